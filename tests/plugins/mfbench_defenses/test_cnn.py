"""The undefended classifier: what it learns, its features and state, and what it refuses."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from mfbench_defenses.cnn import CNN
from mfbench_defenses.residual import ResidualNetwork, halvings
from mfbench_defenses.training import mirrored, moved, shuffled_batches
from protocol_fakes import Normal, fitted, seeded

import mfbench
from mfbench.errors import Unsupported, UserError
from mfbench.testing.data import TinyImages


@pytest.fixture(scope="module")
def digits():
    return mfbench.get("dataset", "digits")


@pytest.fixture(scope="module")
def classifier(digits):
    return fitted(CNN(iterations=200), digits)


def test_it_learns_digits_in_seconds(classifier, digits):
    said = classifier.logits(digits.test.x).argmax(1)
    assert float((said == digits.test.y).double().mean()) >= 0.97


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 16), (1, 28), (3, 64)])
def test_grey_and_colour_of_any_size(channels, size):
    method = fitted(CNN(width=8, iterations=2), TinyImages(channels=channels, size=size))
    x = torch.rand(5, channels, size, size, generator=seeded())
    assert method.logits(x).shape == (5, 2)
    assert method.features(x).shape == (5, 8 * min(2 ** halvings(x.shape[1:]), 4))


def test_sides_of_odd_length_are_rounded_up():
    assert [halvings((1, side, side)) for side in (4, 8, 28, 32, 64)] == [1, 1, 3, 3, 4]
    network = ResidualNetwork((1, 7, 5), 3, width=4, blocks=2).eval()
    assert network(torch.zeros(2, 1, 7, 5)).shape == (2, 3)


def test_features_are_what_the_last_layer_sees(classifier, digits):
    x = digits.test.x[:20]
    out = classifier.network.out
    assert isinstance(classifier, mfbench.HasFeatures)
    assert torch.allclose(classifier.features(x) @ out.weight.T + out.bias, classifier.logits(x))


def test_the_answer_to_an_image_depends_on_it_alone(classifier, digits):
    """Batch statistics are those of training: no image can move another's answer."""
    x = digits.test.x[:20]
    one_by_one = torch.cat([classifier.logits(image[None]) for image in x])
    assert torch.allclose(classifier.logits(x), one_by_one, atol=1e-4)


def test_it_is_undefended(classifier, digits):
    x = digits.test.x[:20]
    assert classifier.role == "control"
    assert torch.equal(classifier.purify(x, rng=seeded()), x)
    assert torch.equal(classifier.defended_logits(x), classifier.logits(x))


def test_one_gradient_step_breaks_it(classifier, digits):
    """Undefended in earnest: signs of the gradient (Goodfellow et al. 2015), which must not be masked."""
    x, y = digits.test.x[:200].clone().requires_grad_(), digits.test.y[:200]
    loss = torch.nn.functional.cross_entropy(classifier.logits(x), y)
    (gradient,) = torch.autograd.grad(loss, x)
    attacked = (x + 0.25 * gradient.sign()).clamp(0, 1)
    assert float((classifier.logits(attacked).argmax(1) == y).double().mean()) < 0.5
    assert all(not parameter.requires_grad for parameter in classifier.network.parameters())


def test_the_same_seed_gives_the_same_network():
    data = TinyImages()
    before = torch.get_rng_state()
    first, again, other = (fitted(CNN(iterations=5, move=1, mirror=True), data, seed) for seed in (0, 0, 1))
    x = data.test.x
    assert torch.equal(first.logits(x), again.logits(x))
    assert not torch.equal(first.logits(x), other.logits(x))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_state_is_all_there_is(classifier, digits):
    restored = CNN()
    restored.build(digits.spec())
    restored.load_state_dict({name: value.clone() for name, value in classifier.state_dict().items()})
    x = digits.test.x[:50]
    assert torch.equal(restored.logits(x), classifier.logits(x))
    assert torch.equal(restored.features(x), classifier.features(x))


def test_a_new_fit_forgets_the_last():
    data, other = TinyImages(), TinyImages(seed=1)
    method = fitted(CNN(iterations=5), data)
    method.fit(other.without_test(), rng=seeded(), progress=lambda done, total: None)
    fresh = fitted(CNN(iterations=5), other)
    assert torch.equal(method.logits(data.test.x), fresh.logits(data.test.x))


def test_double_precision():
    data = TinyImages().to("cpu", torch.float64)
    method = CNN(iterations=2)
    method.build(data.spec(dtype=torch.float64))
    method.fit(data.without_test(), rng=seeded(), progress=lambda done, total: None)
    assert method.logits(data.test.x).dtype == torch.float64


# -- batches ------------------------------------------------------------------------------------------------


def test_every_row_comes_once_before_any_comes_again():
    x, y = torch.arange(10.0), torch.arange(10)
    batches = list(shuffled_batches(x, y, 4, 5, seeded()))
    assert all(len(rows) == 4 and torch.equal(rows, labels.float()) for rows, labels in batches)
    drawn = torch.cat([labels for _, labels in batches])
    assert sorted(drawn[:10].tolist()) == sorted(drawn[10:].tolist()) == list(range(10))


def test_batches_larger_than_the_set():
    x, y = torch.arange(3.0), torch.arange(3)
    (batch,) = shuffled_batches(x, y, 7, 1, seeded())
    assert torch.bincount(batch[1]).sort().values.tolist() == [2, 2, 3]


def test_images_are_moved_as_a_whole_and_repeat_their_edge():
    x = torch.rand(50, 3, 6, 5, generator=seeded())
    wide = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
    places = [(i, j) for i in range(3) for j in range(3)]
    seen = set()
    for image, before in zip(moved(x, 1, seeded(1)), wide):
        found = [p for p in places if torch.equal(image, before[:, p[0] : p[0] + 6, p[1] : p[1] + 5])]
        assert len(found) == 1
        seen |= set(found)
    assert seen == set(places)
    assert moved(x, 0, seeded()) is x


def test_half_of_the_images_are_mirrored():
    x = torch.rand(400, 1, 2, 3, generator=seeded())
    y = mirrored(x, seeded(1))
    kept, turned = (y == x).flatten(1).all(1), (y == x.flip(-1)).flatten(1).all(1)
    assert bool((kept ^ turned).all())
    assert 150 < int(turned.sum()) < 250


# -- what cannot be -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"width": 0}, "cnn: width = 0: at least 1"),
        ({"blocks": 0}, "cnn: blocks = 0: at least 1"),
        ({"iterations": -1}, "cnn: iterations = -1: at least 0"),
        ({"batch_size": 1}, "cnn: batch_size = 1: at least 2"),
        ({"move": -1}, "cnn: move = -1: at least 0"),
        ({"learning_rate": 0.0}, "cnn: learning_rate = 0: above 0"),
    ],
)
def test_parameters_that_cannot_be(parameters, said):
    with pytest.raises(UserError, match=said):
        CNN(**parameters)


def test_points_and_images_without_classes_are_unsupported(digits):
    with pytest.raises(Unsupported, match="for images"):
        CNN().build(Normal().spec())
    with pytest.raises(Unsupported, match="has none"):
        CNN().build(mfbench.DataSpec(shape=(1, 8, 8), train_count=5))


class Mislabelled(TinyImages):
    name = "mislabelled"

    def __init__(self, labels):
        super().__init__()
        self.labels = labels

    def make_split(self, split):
        right = super().make_split(split)
        return mfbench.Split(right.x, self.labels(right.y), names=right.names)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (lambda y: None, "have no labels y"),
        (lambda y: y + 1, "outside of 0 .. 1"),
        (lambda y: y[1:], "shape"),
    ],
)
def test_labels_that_are_wrong(labels, said):
    with pytest.raises(UserError, match=f"'mislabelled'.*{said}"):
        fitted(CNN(iterations=1), Mislabelled(labels))


# -- registration -------------------------------------------------------------------------------------------


def test_reading_the_registration_imports_no_torch():
    code = "import sys, mfbench_defenses; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_conformance(mfbench_check):
    mfbench_check("mfbench_defenses")
