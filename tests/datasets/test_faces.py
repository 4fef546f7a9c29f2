"""Synthetic faces: attributes seen and told apart, people in one split, scenes, preprocessing, speed."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from functools import cache

import numpy as np
import pytest
import torch

from mfbench.datasets.drawing import Canvas
from mfbench.datasets.face_model import (
    ATTRIBUTES,
    CHANGING,
    IDENTITY,
    KEPT,
    SCALE,
    SCALE_RANGE,
    SCENE,
    SHIFT,
    Face,
)
from mfbench.datasets.faces import SyntheticFaces, attribute_region, render
from mfbench.datasets.preprocessing import reencode, resize
from mfbench.errors import UserError

SPLITS = ("train", "val", "test")


@cache
def small() -> SyntheticFaces:
    return SyntheticFaces(count=403, renderings=5, size=16)


@cache
def people(count: int = 256) -> Face:
    face, _ = SyntheticFaces(count=count, renderings=1).faces("train")
    return face


def with_attribute(face: Face, name: str, value: float) -> Face:
    attributes = face.attributes.clone()
    attributes[:, ATTRIBUTES.index(name)] = value
    return Face(face.identity, attributes, face.scene)


def test_the_attributes_asked_for_are_there():
    assert len(ATTRIBUTES) >= 12
    assert set(ATTRIBUTES) >= {"smile", "glasses", "hat", "beard", "dark_hair", "blush"}
    assert ATTRIBUTES == KEPT + CHANGING


@pytest.mark.parametrize("size", [16, 32, 64])
def test_splits_are_images_with_names_for_all_that_is_known(size):
    data = SyntheticFaces(count=40, size=size)
    assert [len(getattr(data, split)) for split in SPLITS] == [40, 10, 20]
    assert data.shape == (3, size, size) == tuple(data.train.x.shape[1:])
    assert data.train.x.dtype == torch.float32
    assert data.train.x.min() >= 0
    assert data.train.x.max() <= 1
    assert data.train.names["attributes"] == ATTRIBUTES
    assert data.train.attributes.shape == (40, len(ATTRIBUTES))
    assert data.train.attributes.dtype == data.train.y.dtype == data.train.identity.dtype == torch.int64


def test_the_class_is_the_combination_of_the_labels():
    data = SyntheticFaces(count=200, size=16, labels=["hat", "beard", "smile"])
    chosen = [ATTRIBUTES.index(name) for name in ("hat", "beard", "smile")]
    names = data.train.names["classes"]
    assert len(names) == 8
    assert (names[0], names[5]) == ("none", "hat+smile")
    for y, bits in zip(data.train.y.tolist(), data.train.attributes[:, chosen].tolist(), strict=True):
        assert y == bits[0] + 2 * bits[1] + 4 * bits[2]
    unlabelled = SyntheticFaces(count=8, labels=[]).train
    assert unlabelled.y is None
    assert "classes" not in unlabelled.names


def test_no_person_is_in_two_splits_and_each_has_as_many_renderings_as_asked():
    seen = [set(getattr(small(), split).identity.tolist()) for split in SPLITS]
    assert [len(people) for people in seen] == [81, 20, 41]
    assert len(set.union(*seen)) == sum(map(len, seen))
    counts = torch.bincount(small().train.identity)
    assert sorted(counts.tolist()) == [3] + [5] * 80
    assert not torch.equal(small().train.identity, small().train.identity.sort().values), "shuffled"


def test_renderings_share_who_it_is_and_nothing_of_the_scene():
    face, identity = small().faces("val")
    first = {int(person): row for row, person in reversed(list(enumerate(identity)))}
    owner = torch.tensor([first[int(person)] for person in identity])
    kept = len(KEPT)
    assert torch.equal(face.identity, face.identity[owner])
    assert torch.equal(face.attributes[:, :kept], face.attributes[owner, :kept])
    others = torch.arange(len(identity)) != owner
    assert (face.scene[others] != face.scene[owner[others]]).all()
    assert (face.attributes[others, kept:] != face.attributes[owner[others], kept:]).double().mean() > 0.4
    people = face.identity[list(first.values())]
    assert len(np.unique(people.numpy(), axis=0)) == len(first)
    assert -1 <= people.min() < -0.9
    assert 0.9 < people.max() <= 1


@pytest.mark.parametrize("attribute", ATTRIBUTES)
@pytest.mark.parametrize(("size", "mean", "most"), [(16, 4, 8), (32, 6, 25), (64, 7, 30)])
def test_an_attribute_changes_its_region_visibly_and_nothing_else(attribute, size, mean, most):
    """`mean`: levels of 255 over the whole region; `most`: of some pixel in nearly every face."""
    without, having = (
        render(with_attribute(people(), attribute, value), size).astype(int) for value in (0, 1)
    )
    change = np.abs(having - without).max(1)  # over the channels: (n, h, w)
    region = attribute_region(people(), attribute, size)
    assert (change[~region] == 0).all()
    in_region = (change * region).sum((1, 2)) / region.sum((1, 2))
    assert in_region.mean() > mean
    assert np.quantile(change.max((1, 2)), 0.02) > most


def test_windows_cut_nothing_off(monkeypatch):
    """What is drawn through windows is what is drawn on the whole canvas."""
    windowed = render(people(64), 32)
    monkeypatch.setattr(Canvas, "window", lambda self, box: self)
    assert np.array_equal(windowed, render(people(64), 32))


@cache
def linear_probe() -> tuple[torch.Tensor, torch.Tensor]:
    """Attributes and identity code by ridge regression on pixels: what it says of other people, and truth."""
    data = SyntheticFaces(count=6000, test_count=1500, size=32)
    x, x_test = (getattr(data, split).x.flatten(1) for split in ("train", "test"))
    faces = [data.faces(split)[0] for split in ("train", "test")]
    y, y_test = (torch.cat([face.attributes, face.identity], 1).float() for face in faces)
    middle, offset = x.mean(0), y.mean(0)
    gram = (x - middle).T @ (x - middle) + 3.0 * torch.eye(x.shape[1])
    weights = torch.linalg.solve(gram, (x - middle).T @ (y - offset))
    return (x_test - middle) @ weights + offset, y_test


def test_a_linear_probe_tells_every_attribute_of_people_never_seen():
    found, truth = (codes[:, : len(ATTRIBUTES)] for codes in linear_probe())
    accuracy = ((found > 0.5) == (truth > 0.5)).double().mean(0)
    table = dict(zip(ATTRIBUTES, accuracy.tolist(), strict=True))
    assert accuracy.min() > 0.92, table
    assert accuracy.mean() > 0.975, table


def test_who_it_is_can_be_seen():
    """The part of the variance of the identity code that pixels explain linearly, on other people."""
    found, truth = (codes[:, len(ATTRIBUTES) :] for codes in linear_probe())
    explained = 1 - (found - truth).square().mean(0) / truth.var(0)
    table = dict(zip(IDENTITY, explained.tolist(), strict=True))
    assert table["eye_distance"] > 0.8, table
    assert sum(value > 0.1 for value in explained.tolist()) >= 9, table


@pytest.mark.parametrize("trait", IDENTITY)
def test_every_trait_changes_the_face(trait):
    column = IDENTITY.index(trait)
    ends = []
    for end in (-1.0, 1.0):
        identity = people(64).identity.clone()
        identity[:, column] = end
        ends.append(render(Face(identity, people(64).attributes, people(64).scene), 32).astype(int))
    assert np.median(np.abs(ends[1] - ends[0]).max((1, 2, 3))) > 25


@pytest.mark.parametrize("coordinate", SCENE)
def test_everything_in_the_scene_changes_the_picture(coordinate):
    scene = people(64).scene.clone()
    column = SCENE.index(coordinate)
    face = with_attribute(people(64), "hat", 1)
    before = render(face, 32).astype(int)
    scene[:, column] = torch.where(scene[:, column] > 0, scene[:, column] - 1, scene[:, column] + 1)
    after = render(Face(face.identity, face.attributes, scene), 32).astype(int)
    bare = coordinate.startswith("clothes")  # long hair may hide them
    assert (np.abs(after - before).max((1, 2, 3)) > 5).mean() > (0.4 if bare else 0.95)


def test_a_face_moved_by_two_pixels_is_the_same_picture_two_pixels_on():
    size, face = 64, people(32)
    scenes = torch.zeros(2, *face.scene.shape, dtype=torch.float64)
    scenes[1, :, SCENE.index("right")] = 2 / (SHIFT * size / 2)
    still, moved = (render(Face(face.identity, face.attributes, scene), size).astype(int) for scene in scenes)
    assert np.abs(moved[:, :, :, 2:] - still[:, :, :, :-2]).max() <= 1
    assert np.abs(moved - still).max() > 100


def test_scale_is_the_length_of_the_face():
    face = people(8)
    scenes = torch.zeros(2, *face.scene.shape, dtype=torch.float64)
    scenes[1, :, SCENE.index("scale")] = 1
    small, large = (Face(face.identity, face.attributes, scene) for scene in scenes)
    ratio = (SCALE + SCALE_RANGE) / SCALE
    torch.testing.assert_close(large.scale / small.scale, torch.full((8,), ratio).double(), rtol=1e-6, atol=0)
    rows = [attribute_region(each, "smile", 512).any(2).sum(1) for each in (small, large)]
    assert rows[1] / rows[0] == pytest.approx(ratio, abs=0.02)


def test_without_nuisance_pictures_differ_by_person_and_attributes_only():
    face, _ = SyntheticFaces(count=50, nuisance=0.0).faces("train")
    assert (face.scene == 0).all()
    assert (SyntheticFaces(count=50, nuisance=0.5).faces("train")[0].scene.abs() <= 0.5).all()


def test_attributes_are_independent_unless_correlations_are_given():
    face, _ = SyntheticFaces(count=40_000, renderings=2).faces("train")
    correlation = np.corrcoef(face.attributes.T.numpy())
    assert np.abs(correlation - np.eye(len(ATTRIBUTES))).max() < 0.035
    assert (face.attributes.mean(0) - 0.5).abs().max() < 0.02
    rare, _ = SyntheticFaces(count=20_000, probability=0.1, renderings=1).faces("test")
    assert (rare.attributes.mean(0) - 0.1).abs().max() < 0.015


def test_given_correlations_are_found():
    data = SyntheticFaces(
        count=40_000, renderings=2, correlated=["dark_hair", "beard", "smile"], correlation=[0.6]
    )
    face, _ = data.faces("train")
    columns = [ATTRIBUTES.index(name) for name in ("dark_hair", "beard", "smile", "hat")]
    found = np.corrcoef(face.attributes[:, columns].T.numpy())
    assert found[np.triu_indices(3, 1)] == pytest.approx(2 / math.pi * math.asin(0.6), abs=0.035)
    assert np.abs(found[3, :3]).max() < 0.035


def test_pictures_go_through_the_common_preprocessing():
    plain = SyntheticFaces(count=20, size=32)
    levels = plain.raw("train").pixels[:]
    assert torch.equal(plain.train.x, torch.from_numpy(levels).float() / 255)
    jpeg = SyntheticFaces(count=20, size=32, jpeg_quality=75).prepared("train").pixels
    assert np.array_equal(jpeg, reencode(levels, 75))
    drawn = SyntheticFaces(count=20, size=32, drawn_size=64)
    assert np.array_equal(drawn.prepared("train").pixels, resize(render(drawn.faces("train")[0], 64), 32))
    grey = SyntheticFaces(count=20, size=16, channels="grey", dequantise=True)
    assert grey.shape == (1, 16, 16) == tuple(grey.train.x.shape[1:])
    assert torch.equal((grey.train.x * 256).floor().byte(), torch.from_numpy(grey.prepared("train").pixels))


def test_sizes_show_the_same_faces():
    """Drawn small, or drawn large and reduced: nothing appears or vanishes with the size."""
    large = render(people(64), 64)
    for size in (32, 16):
        gap = np.abs(render(people(64), size).astype(int) - resize(large, size).astype(int))
        assert gap.mean() < 8, "sharper, but the same"


def test_bits_do_not_depend_on_the_batch_nor_on_the_process():
    data = SyntheticFaces(count=150, size=32, seed=3)
    pixels = data.raw("train").pixels
    assert np.array_equal(pixels[97:101], pixels[:][97:101])
    assert np.array_equal(pixels[np.array([5, 3])], pixels[:][[5, 3]])
    code = (
        "from mfbench.datasets.faces import SyntheticFaces;"
        "print(SyntheticFaces(count=150, size=32, seed=3).raw('train').pixels[:].astype(int).sum())"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(run.stdout) == pixels[:].astype(int).sum()


def test_seeds_and_splits_differ_and_the_digest_follows_every_parameter():
    first, again, other = (SyntheticFaces(count=40, size=16, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.train.x, again.train.x)
    assert not torch.equal(first.train.x, other.train.x)
    changed = {
        "renderings": 2,
        "probability": 0.4,
        "labels": ["hat"],
        "nuisance": 0.5,
        "size": 32,
        "drawn_size": 32,
        "channels": "grey",
        "jpeg_quality": 80,
        "dequantise": True,
        "test_count": 7,
        "count": 44,
    }
    digests = {
        SyntheticFaces(**{"count": 40, "size": 16, name: value}).digest for name, value in changed.items()
    }
    pair = SyntheticFaces(count=40, size=16, correlated=["hat", "beard"], correlation=[0.5]).digest
    assert len(digests | {pair, first.digest, other.digest}) == len(changed) + 3


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"count": 3}, "count = 3"),
        ({"test_count": 0}, "test_count = 0"),
        ({"renderings": 0}, "renderings = 0: at least 1"),
        ({"probability": 1.0}, "probability = 1.0"),
        ({"nuisance": 1.5}, "nuisance = 1.5"),
        ({"size": 7}, "size = 7: at least 8"),
        ({"size": 32, "drawn_size": 16}, "size = 32: between 1 and 16"),
        ({"labels": ["smlie"]}, "labels: no attribute 'smlie'; did you mean 'smile'"),
        ({"labels": ["hat", "hat"]}, "labels names an attribute twice"),
        ({"correlated": ["hat", "beard"]}, "go together"),
        ({"correlated": ["hat", "beard", "smile"], "correlation": [-0.9]}, "not positive definite"),
    ],
)
def test_impossible_parameters_are_refused_in_one_line(parameters, message):
    with pytest.raises(UserError, match=message) as refused:
        SyntheticFaces(**parameters)
    assert "\n" not in str(refused.value)


def test_a_thousand_images_a_second_at_32_pixels():
    data = SyntheticFaces(count=256, size=32)
    pixels = data.raw("train").pixels
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = math.inf
        for _ in range(5):
            start = time.process_time()  # of this process: others may be using the machine
            pixels[:]
            seconds = min(seconds, time.process_time() - start)
    finally:
        torch.set_num_threads(threads)
    assert 256 / seconds > 1000
