"""Embeddings: the contrastive loss in closed form, what it learns of people, and the linear decoder."""

from __future__ import annotations

import math

import mfbench_recognition
import pytest
import torch
from mfbench_defenses.cnn import CNN
from mfbench_recognition.contrastive import Contrastive, RandomEmbedding, _Pairs, contrast
from mfbench_recognition.embeddings import ClassifierFeatures, Pixels
from mfbench_recognition.linear_decoder import LinearDecoder
from protocol_fakes import Normal, fitted, seeded

import mfbench
from mfbench.errors import Unsupported, UserError
from mfbench.protocols.structure_neighbours import nearest_others
from mfbench.testing.data import TinyImages


@pytest.fixture(scope="module")
def faces():
    return mfbench.get("dataset", "synthetic_faces", count=1200, test_count=320, size=16, nuisance=0.3)


@pytest.fixture(scope="module")
def embedding(faces):
    return fitted(Contrastive(dimensions=16, width=8, iterations=300, people=48), faces)


def recall(method, data):
    nearest = nearest_others(method.encode(data.test.x))
    return float((data.test.identity[nearest] == data.test.identity).double().mean())


def test_the_loss_by_hand():
    # two people on orthogonal axes: the partner at 1, two others at 0
    codes = torch.eye(2, dtype=torch.float64).expand(2, 2, 2)
    expected = -math.log(math.exp(1 / 0.5) / (math.exp(1 / 0.5) + 2))
    assert float(contrast(codes, 0.5)) == pytest.approx(expected)
    # all alike: one partner among three others
    assert float(contrast(torch.ones(2, 2, 1), 0.1)) == pytest.approx(math.log(3))


def test_pairs_show_the_same_person_on_two_images():
    identity = torch.tensor([7, 7, 7, 3, 3, 9, 9, 9, 9, 9])
    pairs = _Pairs(identity, len(identity), seeded())
    for _ in range(20):
        first, second = pairs.draw(3)
        assert torch.equal(identity[first], identity[second])
        assert (first != second).all()
        assert len(identity[first].unique()) == 3
    alone = _Pairs(None, 5, seeded()).draw(4)
    assert torch.equal(alone[0], alone[1])


def test_it_recognises_people_that_it_has_never_seen(embedding, faces):
    trained = recall(embedding, faces)
    random = recall(fitted(RandomEmbedding(dimensions=16, width=8), faces), faces)
    assert trained > random + 0.1
    assert torch.allclose(embedding.encode(faces.test.x).norm(dim=1), torch.ones(320))


def test_people_are_labels_and_two_views_of_an_image_are_none(embedding, faces):
    assert embedding.labels_used == 1
    assert fitted(RandomEmbedding(dimensions=16, width=8), faces).labels_used == 0
    strangers = TinyImages(seed=0)
    assert strangers.train.identity is None
    alone = fitted(Contrastive(dimensions=16, width=8, iterations=1), strangers)
    assert alone.labels_used == 0
    again = Contrastive(dimensions=16, width=8)
    again.build(strangers.spec())
    again.load_state_dict(alone.state_dict())
    assert again.labels_used == 0


def test_its_state_restores_it(embedding, faces):
    again = Contrastive(dimensions=16, width=8)
    again.build(faces.spec())
    again.load_state_dict(embedding.state_dict())
    x = faces.test.x[:9]
    assert torch.equal(again.encode(x), embedding.encode(x))
    assert torch.equal(again.decode(again.encode(x)), embedding.decode(embedding.encode(x)))


def test_the_decoder_is_the_least_squares_solution():
    rng = seeded()
    codes = torch.randn(200, 3, generator=rng, dtype=torch.float64)
    weight = torch.randn(3, 16, generator=rng, dtype=torch.float64)
    images = (0.5 + codes @ weight).reshape(200, 1, 4, 4)
    decoder = LinearDecoder((1, 4, 4))
    decoder.fit(codes, images)
    assert torch.allclose(decoder(codes), images, atol=1e-2)
    decoder.fit(torch.zeros_like(codes), images)  # a collapsed code leaves the mean
    assert torch.allclose(decoder(codes[:1] * 0), images.mean(dim=0)[None], atol=1e-6)


def test_pixels_are_their_own_code():
    data = TinyImages()
    method = fitted(Pixels(), data)
    x = data.test.x[:3]
    assert torch.equal(method.decode(method.encode(x)), x)
    assert Pixels.role == RandomEmbedding.role == "control"


def test_features_of_a_classifier():
    data = TinyImages()
    method = fitted(ClassifierFeatures(fitted(CNN(width=8, iterations=20), data)), data)
    assert method.encode(data.test.x).shape == (48, 32)
    assert method.decode(method.encode(data.test.x)).shape == data.test.x.shape
    with pytest.raises(UserError, match="classifier = Pixels has no features"):
        ClassifierFeatures(Pixels())


def test_what_is_refused():
    for wrong, told in (
        ({"width": 6}, "multiple of 4"),
        ({"people": 1}, "people = 1"),
        ({"dimensions": 1}, "1"),
    ):
        with pytest.raises(UserError, match=told):
            Contrastive(**wrong)
    with pytest.raises(UserError, match="temperature = 0: above 0"):
        Contrastive(temperature=0.0)
    with pytest.raises(Unsupported, match="for images"):
        Contrastive().build(Normal().spec())


@pytest.mark.slow
def test_the_kit_finds_nothing_wrong(mfbench_check):
    mfbench_check(mfbench_recognition.__name__)
