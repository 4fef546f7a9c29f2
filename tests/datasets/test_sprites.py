"""dSprites-like pictures: factors and splits, shapes against many samples a pixel, speed."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch

from mfbench.datasets.preprocessing import reencode
from mfbench.datasets.sprites import FACTORS, SHAPES, VALUES, DSpritesLike, draw_sprites
from mfbench.errors import UserError

SPLITS = ("train", "val", "test")


def factors(**given: int) -> np.ndarray:
    """One row of factors, in the middle where nothing is said."""
    middle = {"colour": 0, "shape": 0, "scale": 5, "orientation": 0, "x": 16, "y": 16}
    return np.array([[{**middle, **given}[name] for name in FACTORS]])


def picture(size: int = 64, **given: int) -> np.ndarray:
    return draw_sprites(factors(**given), size)[0, 0].astype(float) / 255


def middle(image: np.ndarray) -> np.ndarray:
    """Centre of the ink, (x, y) in [-1, 1]."""
    place = (np.arange(len(image)) + 0.5) * 2 / len(image) - 1
    return np.array([(image.sum(0) * place).sum(), (image.sum(1) * place).sum()]) / image.sum()


def test_factors_are_those_of_dsprites():
    assert FACTORS == ("colour", "shape", "scale", "orientation", "x", "y")
    assert math.prod(VALUES) == 737_280
    assert SHAPES == ("square", "ellipse", "heart")


def test_splits_have_factors_with_names_and_the_shape_as_class():
    data = DSpritesLike(count=400)
    assert [len(getattr(data, split)) for split in SPLITS] == [400, 100, 200]
    assert data.shape == (1, 64, 64) == tuple(data.train.x.shape[1:])
    assert data.train.attributes.dtype == torch.int64
    assert data.train.names == {"attributes": FACTORS, "classes": SHAPES}
    assert torch.equal(data.train.y, data.train.attributes[:, 1])


def test_every_value_of_every_factor_is_about_as_frequent():
    found = DSpritesLike(count=50_000).combinations["train"]
    for index, values in zip(np.unravel_index(found, VALUES), VALUES, strict=True):
        counts = np.bincount(index, minlength=values)
        assert len(counts) == values
        assert np.abs(counts * values / 50_000 - 1).max() < 0.15


def test_no_picture_is_in_two_splits():
    data = DSpritesLike(count=120_000, test_count=60_000)
    seen = []
    for split in SPLITS:
        numbers = data.combinations[split]
        assert len(np.unique(numbers)) == len(numbers) == data.counts[split]
        combination = np.stack(np.unravel_index(numbers, VALUES))
        combination[3] %= 39  # the last orientation looks like the first
        seen.append(set(np.ravel_multi_index(combination, VALUES).tolist()))
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


def test_the_last_orientation_is_the_first():
    for shape in range(3):
        assert np.array_equal(picture(shape=shape, orientation=39), picture(shape=shape, orientation=0))
        assert not np.array_equal(picture(shape=shape, orientation=1), picture(shape=shape, orientation=0))


@pytest.mark.parametrize(
    ("shape", "area"),
    [(0, 0.58**2), (1, math.pi * 0.22 * 0.40), (2, 0.44**2 + math.pi * 0.22**2)],
    ids=SHAPES,
)
@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("turn", [0, 7, 23])
def test_areas_are_those_of_the_shapes_and_grow_with_the_square_of_scale(shape, area, size, turn):
    for scale in range(6):
        image = picture(size, shape=shape, scale=scale, orientation=turn)
        expected = area * (0.5 + scale / 10) ** 2
        assert image.sum() * (2 / size) ** 2 == pytest.approx(expected, rel=0.04)


@pytest.mark.parametrize("shape", [0, 1])
def test_position_is_where_it_says_and_nothing_is_cut_off(shape):
    for x, y in ((0, 0), (31, 0), (9, 22), (31, 31)):
        image = picture(shape=shape, x=x, y=y, orientation=5)
        expected = 0.6 * (2 * np.array([x, y]) / 31 - 1)
        assert middle(image) == pytest.approx(expected, abs=0.01)


def test_a_heart_stands_on_its_tip_and_turns_with_its_orientation():
    upright = picture(shape=2)
    widths = (upright > 0.5).sum(1)
    rows = np.flatnonzero(widths)
    assert widths[rows[-1]] <= 2 < widths[rows[0]]
    notch = upright[rows[0], :]
    left, right = (np.flatnonzero(notch > 0.5)[index] for index in (0, -1))
    assert notch[left:right].min() < 0.1, "two bows"
    every = draw_sprites(np.concatenate([factors(shape=2, orientation=turn) for turn in range(40)]), 64)
    assert (every[:, 0, [0, -1]] == 0).all(), "nothing is cut off"
    assert len(np.unique(every[:39].reshape(39, -1), axis=0)) == 39


def test_edges_are_those_of_many_samples_a_pixel():
    for shape in range(3):
        coarse = picture(32, shape=shape, orientation=5, x=11)
        fine = torch.from_numpy(picture(512, shape=shape, orientation=5, x=11))
        exact = torch.nn.functional.avg_pool2d(fine[None], 16)[0].numpy()
        assert np.abs(coarse - exact).max() < 0.2
        assert np.abs(coarse - exact).mean() < 0.003


def test_pictures_are_drawn_when_asked_for_and_do_not_depend_on_the_others():
    data = DSpritesLike(count=300, size=32)
    pixels = data.raw("train").pixels
    whole = pixels[:]
    assert np.array_equal(pixels[130:140], whole[130:140])
    assert np.array_equal(pixels[np.array([299, 3])], whole[[299, 3]])
    assert torch.equal(data.train.x, torch.from_numpy(whole).float() / 255)


def test_pictures_go_through_the_common_preprocessing():
    plain = DSpritesLike(count=20).raw("train").pixels[:]
    assert np.array_equal(
        DSpritesLike(count=20, jpeg_quality=60).prepared("train").pixels, reencode(plain, 60)
    )
    colour = DSpritesLike(count=20, channels="rgb", drawn_size=64, size=32)
    assert colour.train.x.shape == (20, 3, 32, 32)


def test_seeds_differ_and_the_digest_follows_every_parameter():
    first, again, other = (DSpritesLike(count=40, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.train.x, again.train.x)
    assert not torch.equal(first.train.x, other.train.x)
    changed = [{"size": 32}, {"drawn_size": 64}, {"test_count": 3}, {"channels": "rgb"}, {"dequantise": True}]
    digests = {DSpritesLike(count=40, **parameters).digest for parameters in changed}
    assert len(digests | {first.digest, other.digest, DSpritesLike(count=41).digest}) == len(changed) + 3
    assert first.digest == again.digest


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"count": 3}, "count = 3"),
        ({"size": 4}, "size = 4"),
        ({"count": 300_000}, "count = 300000: with validation and test at most 359424"),
    ],
)
def test_impossible_parameters_are_refused_in_one_line(parameters, message):
    with pytest.raises(UserError, match=message):
        DSpritesLike(**parameters)


def test_the_smallest_splits_next_to_the_largest_are_filled():
    data = DSpritesLike(count=287_000, test_count=1)
    assert {split: len(rows) for split, rows in data.combinations.items()} == data.counts


def test_a_thousand_images_a_second():
    pixels = DSpritesLike(count=512).raw("train").pixels
    pixels[:64]
    seconds = math.inf
    for _ in range(3):
        start = time.process_time()
        pixels[:]
        seconds = min(seconds, time.process_time() - start)
    assert 512 / seconds > 1000
