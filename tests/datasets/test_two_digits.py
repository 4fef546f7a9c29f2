"""Pairs of digits: what they show, where they come from, and that nothing is mixed between splits."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from mfbench.datasets.digits import Digits
from mfbench.datasets.idx import Mnist
from mfbench.datasets.two_digits import TwoDigits, TwoDigits8x8
from mfbench.errors import UserError

SPLITS = ("train", "val", "test")

needs_mnist = pytest.mark.skipif(
    not (Path(os.environ.get("MFBENCH_DATA", "/nowhere")) / "mnist").is_dir(),
    reason="MNIST is not in the folder MFBENCH_DATA",
)


@cache
def small() -> TwoDigits8x8:
    return TwoDigits8x8(count=2000)


def shown(data, single, split: str) -> list[tuple[int | None, int | None]]:
    """The labels of the digits on the left and right of each pair, looked up by their pixels."""
    source = single.prepared(split)
    labels = {image.tobytes(): int(label) for image, label in zip(source.pixels[:], source.y, strict=True)}
    pixels = data.prepared(split).pixels
    width = pixels.shape[3] // 2
    sides = (np.ascontiguousarray(pixels[..., :width]), np.ascontiguousarray(pixels[..., width:]))
    return [tuple(labels.get(side[row].tobytes()) for side in sides) for row in range(len(pixels))]


def test_counts_shapes_names_and_classes():
    data = small()
    assert [len(getattr(data, split)) for split in SPLITS] == [2000, 500, 1000]
    assert data.shape == (1, 8, 16) == tuple(data.train.x.shape[1:])
    assert data.train.names["attributes"] == ("left", "right")
    assert len(data.train.names["classes"]) == 36
    assert data.train.attributes.dtype == data.train.y.dtype == torch.int64
    for y, (left, right) in zip(data.train.y.tolist(), data.train.attributes.tolist(), strict=True):
        assert y == 6 * left + right
        assert data.train.names["classes"][y] == f"{left}{right}"


def test_pairs_are_even_and_independent():
    counts = torch.bincount(TwoDigits8x8(count=36_000).train.y, minlength=36)
    assert (counts - 1000).abs().max() < 150


@pytest.mark.parametrize("split", SPLITS)
def test_both_sides_are_images_of_the_same_split_that_show_what_the_attributes_say(split):
    assert shown(small(), Digits(), split) == [
        tuple(pair) for pair in getattr(small(), split).attributes.tolist()
    ]


def test_no_image_of_the_test_is_in_the_pairs_of_the_training():
    single = {split: {image.tobytes() for image in Digits().raw(split).pixels[:]} for split in SPLITS}
    assert not single["train"] & single["test"]
    pixels = small().raw("test").pixels[:]
    halves = np.ascontiguousarray(np.concatenate([pixels[..., :8], pixels[..., 8:]]))
    assert not {half.tobytes() for half in halves} & single["train"]


def test_digits_may_be_chosen_and_their_order_is_the_order_of_the_classes():
    data = TwoDigits8x8(count=200, digits=[7, 3, 9])
    assert data.train.names["classes"] == ("77", "73", "79", "37", "33", "39", "97", "93", "99")
    assert set(data.train.attributes.flatten().tolist()) == {3, 7, 9}
    for y, (left, right) in zip(data.train.y.tolist(), data.train.attributes.tolist(), strict=True):
        assert data.train.names["classes"][y] == f"{left}{right}"


def test_held_out_pairs_are_in_the_test_only():
    data = TwoDigits8x8(count=2000, held_out=["05", "31"])
    held = [data.train.names["classes"].index(pair) for pair in ("05", "31")]
    for split in ("train", "val"):
        counts = torch.bincount(getattr(data, split).y, minlength=36)
        assert (counts[held] == 0).all()
        assert (counts > 0).sum() == 34
    assert (torch.bincount(data.test.y, minlength=36)[held] > 0).all()


def test_each_digit_passes_the_preprocessing_before_it_is_paired():
    data = TwoDigits8x8(count=100, size=4, channels="rgb", dequantise=True)
    assert data.shape == (3, 4, 8) == tuple(data.train.x.shape[1:])
    assert None not in [
        side for pair in shown(data, Digits(size=4, channels="rgb"), "train") for side in pair
    ]
    assert (data.train.x * 255 % 1 > 0.01).double().mean() > 0.9, "dequantised"


def test_seeds_differ_and_the_digest_follows_every_parameter():
    first, again, other = (TwoDigits8x8(count=40, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.train.x, again.train.x)
    assert not torch.equal(first.train.x, other.train.x)
    assert first.digest == again.digest
    changed = [{"digits": [1, 2]}, {"held_out": ["00"]}, {"size": 6}, {"test_count": 3}, {"dequantise": True}]
    digests = {TwoDigits8x8(**{"count": 40, **parameters}).digest for parameters in changed}
    assert len(digests | {first.digest, other.digest, TwoDigits8x8(count=41).digest}) == len(changed) + 3


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"count": 3}, "count = 3"),
        ({"digits": []}, r"digits = \[\]: different ones from 0 to 9"),
        ({"digits": [1, 1]}, r"digits = \[1, 1\]"),
        ({"digits": [10]}, r"digits = \[10\]"),
        ({"held_out": ["07"]}, "held_out: '07' is no pair of the digits, such as '00'"),
        ({"digits": [1], "held_out": ["11"]}, "held_out names every pair"),
        ({"size": 9}, "size = 9: between 1 and 8"),
    ],
)
def test_impossible_parameters_are_refused_in_one_line(parameters, message):
    with pytest.raises(UserError, match=message):
        TwoDigits8x8(**parameters)


def test_without_mnist_the_missing_file_is_named_and_nothing_else_is_served(monkeypatch, tmp_path):
    monkeypatch.setenv("MFBENCH_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz: no such file") as refused:
        TwoDigits(count=40).make_split("train")
    assert "\n" not in str(refused.value)
    assert list(TwoDigits.check(tmp_path)) == list(Mnist.check(tmp_path)) != []
    assert list(TwoDigits.missing(tmp_path)) == list(Mnist.missing(tmp_path)) != []


@needs_mnist
def test_pairs_of_mnist_are_28_by_56_and_come_from_the_official_parts():
    data = TwoDigits(count=400)
    assert data.shape == (1, 28, 56)
    assert data.files() == Mnist().files()
    for split in ("train", "test"):
        assert shown(data, Mnist(), split) == [
            tuple(pair) for pair in getattr(data, split).attributes.tolist()
        ]
