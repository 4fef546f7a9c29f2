"""The judge of attributes: it learns all of them, of any number of values, and its state restores it."""

from __future__ import annotations

import pytest
import torch
from mfbench_defenses.attribute_cnn import AttributeCNN
from protocol_fakes import Normal, fitted
from semantic_fakes import Tiles

import mfbench
from mfbench.errors import Unsupported, UserError
from mfbench.testing.data import TinyImages


@pytest.fixture(scope="module")
def tiles():
    return Tiles((2, 4, 3))


@pytest.fixture(scope="module")
def judge(tiles):
    return fitted(AttributeCNN(width=6, iterations=150), tiles)


def test_it_learns_attributes_of_several_values(judge, tiles):
    said = judge.predict_attributes(tiles.test.x)
    assert said.dtype == torch.int64
    assert (said == tiles.test.attributes).double().mean(dim=0).min() > 0.9
    assert isinstance(judge, mfbench.PredictsAttributes)
    assert said.amax(dim=0).tolist() == [1, 3, 2]  # no head answers what it has no logit for


def test_its_state_restores_it(judge, tiles):
    again = AttributeCNN(width=6)
    again.build(tiles.spec())
    again.load_state_dict(judge.state_dict())
    x = tiles.test.x[:50]
    assert torch.equal(again.network(x), judge.network(x))
    assert torch.equal(again.predict_attributes(x), judge.predict_attributes(x))


def test_with_classes_it_is_a_classifier_as_well(judge, tiles):
    data = TinyImages()
    method = fitted(AttributeCNN(width=8, iterations=60), data)
    logits = method.logits(data.test.x)
    assert logits.shape == (48, 2)
    assert (logits.argmax(1) == data.test.y).double().mean() > 0.9
    assert method.predict_attributes(data.test.x).shape == (48, 2)
    assert method.features(data.test.x).shape == (48, 32)
    with pytest.raises(Unsupported, match="without classes"):
        judge.logits(tiles.test.x)


def test_what_it_refuses():
    with pytest.raises(UserError, match="width = 0"):
        AttributeCNN(width=0)
    with pytest.raises(UserError, match="learning_rate = 0: above 0"):
        AttributeCNN(learning_rate=0.0)
    with pytest.raises(Unsupported, match="for images"):
        AttributeCNN().build(Normal().spec())
    with pytest.raises(Unsupported, match="the data set has none"):
        AttributeCNN().build(mfbench.get("dataset", "digits").spec())
