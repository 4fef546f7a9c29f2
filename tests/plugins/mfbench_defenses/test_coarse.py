"""Networks at half of the resolution: sizes of every parity, and what is kept of them."""

from __future__ import annotations

import pytest
import torch
from mfbench_defenses.coarse import CoarseCNN
from mfbench_defenses.joint_network import JointNetwork
from mfbench_defenses.trained import CutoutCNN
from protocol_fakes import fitted, seeded

import mfbench
from mfbench.testing.data import TinyImages

SHAPES = [(1, 28, 28), (1, 8, 8), (3, 9, 15), (1, 4, 4), (3, 32, 32)]


@pytest.mark.parametrize("shape", SHAPES)
def test_any_size_is_read_and_drawn(shape):
    x = torch.rand(2, *shape, generator=seeded())
    classifier = CoarseCNN(width=4)
    classifier.build(mfbench.DataSpec(shape=shape, train_count=1, classes=5))
    assert classifier.logits(x).shape == (2, 5)
    assert classifier.features(x).shape[0] == 2
    assert (classifier.features(x) >= 0).all()
    network = JointNetwork(shape, 5, latent=3, width=4, coarse=True).eval()
    mean, log_std = network.encode(x)
    assert mean.shape == log_std.shape == (2, 3)
    drawn = network.decode(mean)
    assert drawn.shape == x.shape
    assert drawn.min() >= 0
    assert drawn.max() <= 1


def test_a_coarse_network_learns_and_comes_back_from_its_state():
    data = TinyImages()
    classifier = fitted(CoarseCNN(width=8, iterations=60, batch_size=32), data)
    right = classifier.logits(data.test.x).argmax(1) == data.test.y
    assert right.double().mean() > 0.9
    again = CoarseCNN(width=8)
    again.build(data.spec())
    again.load_state_dict(classifier.state_dict())
    assert torch.equal(again.logits(data.test.x), classifier.logits(data.test.x))


def test_coarse_is_a_choice_of_those_that_train_otherwise():
    data = TinyImages()
    networks = [type(fitted(CutoutCNN(width=4, iterations=1, coarse=c), data).network) for c in (True, False)]
    assert [network.__name__ for network in networks] == ["CoarseNetwork", "ResidualNetwork"]
