"""The real files, where they are at hand: that they load, fast, and that simple models get what is known."""

from __future__ import annotations

import time

import pytest
import torch

import mfbench
from mfbench.paths import data_root
from mfbench.registry import load_registry

REAL = ("mnist", "fashion_mnist", "cifar10", "cifar100", "cifar10_jpeg", "svhn", "orl_faces")
SIZES = {
    "mnist": (60_000, 10_000, 10),
    "fashion_mnist": (60_000, 10_000, 10),
    "cifar10": (50_000, 10_000, 10),
    "cifar100": (50_000, 10_000, 100),
    "cifar10_jpeg": (1_600, 400, 10),
    "svhn": (73_257, 26_032, 10),
    "orl_faces": (320, 80, 40),
}


def real(name, **parameters):
    """The data set, or a skip that says what is not there."""
    registry = load_registry()
    missing = registry.load(registry.card("dataset", name)).missing(data_root())
    if missing:
        pytest.skip(f"{data_root() / missing[0]} is not here (MFBENCH_DATA names the data folder)")
    return registry.create("dataset", name, **parameters)


def neighbours_accuracy(train, test, k):
    """Share of test images with the label of most of their k nearest training images; ties to the nearest."""
    classes = int(train.y.max()) + 1
    right = 0
    for x, y in zip(test.x.flatten(1).split(500), test.y.split(500)):
        nearest = torch.cdist(x, train.x.flatten(1)).topk(k, largest=False).indices
        votes = torch.nn.functional.one_hot(train.y[nearest], classes).float()
        votes += 1e-3 * votes * torch.arange(k, 0, -1)[:, None]
        right += int((votes.sum(1).argmax(1) == y).sum())
    return right / len(test)


@pytest.mark.parametrize("name", REAL)
def test_real_files_are_whole_and_right(name):
    data = real(name)
    assert list(type(data).check(data_root())) == []
    train_and_val, test, classes = SIZES[name]
    assert len(data.train) + len(data.val) == train_and_val
    assert len(data.test) == test
    assert len(data.train.names["classes"]) == classes
    x = data.test.x
    assert x.shape[1:] == data.shape
    assert 0 <= float(x.min()) < 0.1
    assert 0.9 < float(x.max()) <= 1


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_loading_takes_less_than_a_second_and_a_half_of_processor_time(name):
    """Of this process: what other work on the machine costs is not counted."""
    real(name).digest  # noqa: B018 - the files' hashes are known from here on
    data = real(name)
    started = time.process_time()
    assert len(data.train) + len(data.val) + len(data.test) == 70_000
    assert time.process_time() - started < 1.5


@pytest.mark.slow
def test_three_nearest_neighbours_on_mnist():
    """97.05 % with all 60,000 for training; a tenth is for validation here."""
    data = real("mnist")
    assert neighbours_accuracy(data.train, data.test, 3) == pytest.approx(0.9705, abs=0.004)


@pytest.mark.slow
def test_three_nearest_neighbours_on_fashion_mnist():
    """82.0 % with the first 10,000 for training, on the first 2,000 test images."""
    data = real("fashion_mnist", count=10_000, test_count=2_000)
    assert neighbours_accuracy(data.train, data.test, 3) == pytest.approx(0.82, abs=0.02)


def test_nearest_neighbours_on_orl_within_people():
    """About 90 % with five images of each person for training, five for the test."""
    data = real("orl_faces", size=32)
    faces = [data.train, data.val, data.test]
    x, y = torch.cat([part.x for part in faces]), torch.cat([part.y for part in faces])
    turn = torch.stack([(y[:i] == y[i]).sum() for i in range(len(y))])
    train, test = (mfbench.Split(x[chosen], y[chosen]) for chosen in (turn < 5, turn >= 5))
    assert len(train) == len(test) == 200
    assert neighbours_accuracy(train, test, 1) > 0.85


def test_the_jpeg_path_brings_mnist_and_its_neighbours_to_one_shape():
    """Both sides of an out-of-distribution pair after the same steps."""
    inside = real("fashion_mnist", size=16, channels="rgb", jpeg_quality=75, count=100, test_count=50)
    outside = real("cifar10_jpeg", size=16, test_count=50)
    assert inside.shape == outside.shape == (3, 16, 16)
    for data in (inside, outside):
        assert torch.equal((data.test.x * 255).round() / 255, data.test.x)
