"""Splits of fixed images: official tests stay tests, nobody is on two sides, the first n are fair samples."""

from __future__ import annotations

import numpy as np
import pytest

from mfbench import UserError
from mfbench.datasets.images import RawImages
from mfbench.datasets.preprocessing import Preprocessing
from mfbench.datasets.splitting import SplitImages, hold_out

SPLITS = ("train", "val", "test")


class Numbered(SplitImages):
    """Image i of a part has identity i // `per_person` (where asked for) and y = i."""

    name = "numbered"
    native = (1, 1, 1)
    sizes = {"train": 100, "val": 30, "test": 50, "all": 100}
    per_person = 0
    reads = 0

    def part(self, name):
        self.reads += 1
        y = np.arange(self.sizes[name])
        identity = y // self.per_person if self.per_person else None
        return RawImages(np.zeros((len(y), 1, 1, 1), dtype=np.uint8), y=y, identity=identity)


def rows(data):
    return {split: getattr(data, split).y.tolist() for split in SPLITS}


def made(official, per_person=0):
    return type("Numbered", (Numbered,), {"official": official, "per_person": per_person})


def test_official_test_whole_and_validation_out_of_train():
    found = rows(made(("train", "test"))())
    assert sorted(found["test"]) == list(range(50))
    assert sorted(found["train"] + found["val"]) == list(range(100))
    assert len(found["val"]) == 10


def test_official_validation_stays_what_it_is():
    found = rows(made(("train", "val", "test"))())
    assert [sorted(found[split]) for split in SPLITS] == [list(range(n)) for n in (100, 30, 50)]


def test_without_official_parts_a_fifth_is_for_the_test():
    found = rows(made(("all",))())
    assert sorted(found["train"] + found["val"] + found["test"]) == list(range(100))
    assert [len(found[split]) for split in SPLITS] == [72, 8, 20]


@pytest.mark.parametrize("official", [("train", "test"), ("all",)])
def test_seeds_move_validation_and_never_the_test(official):
    first, again, other = (rows(made(official)(seed=seed)) for seed in (0, 0, 1))
    assert first == again
    assert first["test"] == other["test"]
    assert set(first["val"]) != set(other["val"])


@pytest.mark.parametrize("official", [("train", "test"), ("train", "val", "test"), ("all",)])
def test_any_first_few_are_a_random_sample(official):
    for split, found in rows(made(official)()).items():
        drift = np.corrcoef(np.arange(len(found)), found)[0, 1]
        assert abs(drift) < 0.9, split
        assert found != sorted(found)


@pytest.mark.parametrize("official", [("train", "test"), ("all",)])
def test_nobody_is_in_two_splits(official):
    for seed in range(5):
        data = made(official, per_person=7)(seed=seed)
        own = [("train", "val"), *([("train", "test"), ("val", "test")] if official == ("all",) else [])]
        people = {split: set(getattr(data, split).identity.tolist()) for split in SPLITS}
        assert all(people[one].isdisjoint(people[two]) for one, two in own)
        assert all(people.values())


def test_counts_limit_each_split_to_rows_of_the_whole():
    whole, some = rows(made(("train", "test"))()), rows(made(("train", "test"))(count=12, test_count=5))
    assert [len(some[split]) for split in SPLITS] == [12, 3, 5]
    assert all(set(some[split]) <= set(whole[split]) for split in SPLITS)
    assert len(rows(made(("train", "test"))(count=1000))["train"]) == 90


def test_a_part_is_read_once_for_all_splits_made_of_it():
    for official, reads in ((("train", "test"), 2), (("all",), 1), (("train", "val", "test"), 3)):
        data = made(official)()
        rows(data)
        assert data.reads == reads
        assert data._waiting == {}


class Coloured(Numbered):
    """Label i % 5, and a pixel column that says which image it is, from the top."""

    native = (1, 2, 1)

    def part(self, name):
        y = np.arange(self.sizes[name])
        pixels = np.stack([y, 255 - y], axis=1).astype(np.uint8)[:, None, :, None]
        return RawImages(pixels, y=y % 5, names={"classes": tuple("abcde")})


@pytest.mark.parametrize("official", [("train", "test"), ("all",)])
def test_held_out_classes_make_a_near_pair(official):
    cls = type("Coloured", (Coloured,), {"official": official})
    known, unknown = cls(classes=[0, 1, 4]), cls(classes=[2, 3])
    for split in SPLITS:
        inside, outside = getattr(known, split), getattr(unknown, split)
        assert set(inside.y.tolist()) == {0, 1, 4}
        assert set(outside.y.tolist()) == {2, 3}
        assert inside.names == outside.names == {"classes": tuple("abcde")}
    total = sum(len(getattr(data, split)) for data in (known, unknown) for split in SPLITS)
    assert total == sum(cls.sizes[part] for part in official)
    assert len({known.digest, unknown.digest, cls().digest}) == 3


@pytest.mark.parametrize(
    ("classes", "message"),
    [([0, 9, 7], r"classes = \[0, 9, 7\]: no image has the label 7"), ([], r"classes = \[\]: at least one")],
)
def test_classes_that_are_not_there(classes, message):
    with pytest.raises(UserError, match=message):
        _ = Coloured(classes=classes).train


def test_upside_down_exchanges_top_and_bottom_before_all_else():
    upright, turned = Coloured(), Coloured(upside_down=True)
    assert np.array_equal(turned.train.x, upright.train.x.flip(2))
    assert np.array_equal(turned.train.y, upright.train.y)
    assert turned.digest != upright.digest
    wave = Wave(jpeg_quality=20, size=12, upside_down=True).test.x
    flipped = Preprocessing(size=12, jpeg_quality=20).levels(WAVE[:, :, ::-1].copy(), Wave.native)
    assert np.array_equal((wave * 255).round().numpy(), flipped)


WAVE = (np.arange(2 * 20 * 20).reshape(2, 1, 20, 20) * 37 % 256).astype(np.uint8)


class Wave(SplitImages):
    """Two images of which JPEG makes others when they stand on their heads."""

    name = "wave"
    native = (1, 20, 20)

    def part(self, name):
        return RawImages(WAVE, y=np.arange(2))

    def _rows(self, split, part):
        return np.arange(2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"count": 3}, "count = 3: at least 4"), ({"test_count": 0}, "test_count = 0: at least 1")],
)
def test_limits_that_leave_nothing_are_refused(parameters, message):
    with pytest.raises(UserError, match=message):
        Numbered(**parameters)


def test_too_few_to_split_is_said():
    with pytest.raises(UserError, match="tiny: 1 images or people are too few"):
        hold_out(np.arange(4), np.zeros(4, dtype=np.int64), 0.2, np.random.default_rng(0), "tiny")
