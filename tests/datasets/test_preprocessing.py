"""One path for all image sets: each step against Pillow or arithmetic, and their order."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from mfbench import UserError
from mfbench.datasets import preprocessing as steps
from mfbench.datasets.images import ImageDataset, RawImages
from mfbench.datasets.preprocessing import Preprocessing

COLOUR = np.random.default_rng(0).integers(0, 256, (5, 3, 24, 20), dtype=np.uint8)
GREY = COLOUR[:, :1]


def as_pillow(image):
    return Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0).copy())


def from_pillow(image):
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def test_grey_is_pillows_luma_to_the_last_bit():
    every_red_and_blue = np.stack(np.meshgrid(np.arange(256), np.arange(256))).astype(np.uint8)
    red, blue = every_red_and_blue
    image = np.stack([red, (red // 2 + blue // 3).astype(np.uint8), blue])
    assert np.array_equal(steps.to_grey(image[None])[0], from_pillow(as_pillow(image).convert("L")))
    assert steps.to_grey(GREY) is GREY


def test_rgb_repeats_grey_and_back_gives_the_same():
    rgb = steps.to_rgb(GREY)
    assert rgb.shape == (5, 3, 24, 20)
    assert np.array_equal(steps.to_grey(rgb), GREY)
    assert np.array_equal(steps.to_rgb(COLOUR), COLOUR)


@pytest.mark.parametrize("images", [GREY, COLOUR])
def test_reencode_is_one_jpeg_at_the_given_quality(images):
    stream = io.BytesIO()
    as_pillow(images[2]).save(stream, "JPEG", quality=60, subsampling="4:2:0")
    assert np.array_equal(steps.reencode(images, 60)[2], from_pillow(Image.open(stream)))
    worse = [np.abs(steps.reencode(images, q).astype(int) - images).mean() for q in (95, 60, 10)]
    assert worse[0] < worse[1] < worse[2]


def test_central_square():
    tall = np.arange(7 * 4).reshape(1, 1, 7, 4).astype(np.uint8)
    assert np.array_equal(steps.central_square(tall), tall[:, :, 1:5])
    wide = tall.transpose(0, 1, 3, 2)
    assert np.array_equal(steps.central_square(wide), wide[:, :, :, 1:5])


def test_resize_keeps_constants_means_and_what_fits_already():
    constant = np.full((2, 3, 12, 12), 77, dtype=np.uint8)
    assert (steps.resize(constant, 5) == 77).all()
    square = steps.central_square(COLOUR)
    assert steps.resize(square, 20) is square
    small = steps.resize(square, 5)
    assert np.abs(small.mean((2, 3)) - square.mean((2, 3))).max() < 6


def test_resize_is_antialiased():
    """Stripes of one pixel become grey, where taking every other pixel would give all black or white."""
    stripes = np.zeros((1, 1, 32, 32), dtype=np.uint8)
    stripes[..., ::2] = 255
    small = steps.resize(stripes, 16)[..., 2:-2]
    assert np.abs(small.astype(int) - 127.5).max() < 20


def test_resize_is_the_antialiased_triangle_filter_of_torch():
    square = steps.central_square(COLOUR)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(square.copy()).float(), (9, 9), mode="bilinear", antialias=True
    )
    assert (torch.from_numpy(steps.resize(square, 9)) - expected).abs().max() <= 1.01  # rounded twice


def test_to_unit():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    x = steps.to_unit(levels)
    assert x.dtype == torch.float32
    assert torch.equal((x * 255).round().flatten().int(), torch.arange(256, dtype=torch.int32))
    assert (x.min(), x.max()) == (0, 1)


def test_dequantise_fills_each_level_uniformly():
    levels = np.full((200, 1, 16, 16), 17, dtype=np.uint8)
    u = steps.dequantise(levels, torch.Generator().manual_seed(0)) * 256 - 17
    assert u.min() >= 0
    assert u.max() <= 1
    n = u.numel()
    assert abs(u.mean() - 0.5) < 5 / (12 * n) ** 0.5
    assert abs(u.var() - 1 / 12) < 5 / (180 * n) ** 0.5
    edges = steps.dequantise(np.array([[[[0, 255]]]], dtype=np.uint8), torch.Generator())
    assert 0 <= edges.min() <= edges.max() <= 1


@pytest.mark.parametrize("native", [(3, 24, 20), (1, 24, 20)])
def test_order_of_the_steps(native):
    images = COLOUR[:, : native[0]]
    chosen = Preprocessing(size=10, channels="grey", jpeg_quality=50)
    by_hand = steps.to_grey(steps.reencode(images, 50))
    by_hand = steps.resize(steps.central_square(by_hand), 10)
    assert np.array_equal(chosen.levels(images, native), by_hand)
    assert chosen.shape(native) == (1, 10, 10)


def test_jpeg_is_applied_at_a_size_of_its_own():
    chosen = Preprocessing(size=10, channels="grey", jpeg_quality=50, jpeg_size=16)
    reduced = steps.resize(steps.central_square(COLOUR), 16)
    by_hand = steps.resize(steps.to_grey(steps.reencode(reduced, 50)), 10)
    assert np.array_equal(chosen.levels(COLOUR, (3, 24, 20)), by_hand)
    assert chosen.shape((3, 24, 20)) == (1, 10, 10)
    largest = Preprocessing(size=10, jpeg_quality=50, jpeg_size=20).levels(COLOUR[:, :, 2:22], (3, 20, 20))
    native = Preprocessing(size=10, jpeg_quality=50).levels(COLOUR[:, :, 2:22], (3, 20, 20))
    assert np.array_equal(largest, native)


def test_chunks_make_no_difference(monkeypatch):
    chosen = Preprocessing(size=10, jpeg_quality=50)
    whole = chosen.levels(COLOUR, (3, 24, 20))
    monkeypatch.setattr(steps, "_CHUNK", 2)
    assert np.array_equal(chosen.levels(COLOUR, (3, 24, 20)), whole)


def test_native_settings_change_nothing():
    assert np.array_equal(Preprocessing().levels(COLOUR, (3, 24, 20)), COLOUR)
    assert Preprocessing().shape((3, 24, 20)) == (3, 24, 20)
    assert Preprocessing(channels="rgb").shape((1, 24, 20)) == (3, 24, 20)


class Stripes(ImageDataset):
    """Two images."""

    name = "stripes"
    native = (3, 24, 20)

    def raw(self, split):
        return RawImages(COLOUR[:2], y=np.array([0, 1]), names={"classes": ("a", "b")})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"size": 21}, "size = 21: between 1 and 20, the native size; images are never enlarged"),
        ({"size": 0}, "size = 0: between 1 and 20"),
        ({"jpeg_quality": 0}, "jpeg_quality = 0: between 1 and 95"),
        ({"jpeg_quality": 96}, "jpeg_quality = 96: between 1 and 95"),
        ({"size": 9, "jpeg_quality": 75, "jpeg_size": 21}, "jpeg_size = 21: between 1 and 20, the native"),
        ({"size": 9, "jpeg_quality": 75, "jpeg_size": 8}, "jpeg_size = 8: at least size = 9"),
        ({"size": 9, "jpeg_size": 9}, "jpeg_size = 9: .* set jpeg_quality too"),
        ({"jpeg_quality": 75, "jpeg_size": 9}, "jpeg_size = 9: .* set size too"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(parameters, message):
    with pytest.raises(UserError, match=message):
        Stripes(**parameters)


def test_splits_are_floats_in_the_unit_interval_with_all_that_is_known():
    data = Stripes(size=20, channels="grey")
    assert data.shape == (1, 20, 20)
    assert data.train.x.shape == (2, 1, 20, 20)
    assert data.train.x.dtype == torch.float32
    assert data.train.y.tolist() == [0, 1]
    assert data.train.names == {"classes": ("a", "b")}
    assert data.train.attributes is None


def test_dequantisation_is_drawn_from_the_seed_and_the_split():
    data, again, other = (Stripes(dequantise=True, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(data.train.x, again.train.x)
    assert not torch.equal(data.train.x, other.train.x)
    assert not torch.equal(data.train.x, data.test.x)
    levels = torch.from_numpy(COLOUR[:2])
    assert torch.equal((data.train.x * 256).floor().clamp(max=255).byte(), levels)


def test_preprocessing_enters_the_digest():
    digests = {
        Stripes(**parameters).digest
        for parameters in (
            {},
            {"size": 8},
            {"channels": "grey"},
            {"jpeg_quality": 75},
            {"dequantise": True},
            {"size": 8, "jpeg_quality": 75},
            {"size": 8, "jpeg_quality": 75, "jpeg_size": 16},
        )
    }
    assert len(digests) == 7
    assert Stripes(size=8).digest == Stripes(size=8).digest
