"""What data sets tell of their images' history: what was stored, and what the preprocessing adds."""

from __future__ import annotations

import io

import numpy as np
import pytest
from image_fakes import jpeg_bytes, smooth_image
from PIL import Image

from mfbench.contracts import Dataset
from mfbench.contracts.history import ImageHistory
from mfbench.datasets.celeba import CelebA
from mfbench.datasets.cifar import Cifar10, Cifar10Jpeg
from mfbench.datasets.digits import Digits
from mfbench.datasets.faces import SyntheticFaces
from mfbench.datasets.folder import ImageFolder
from mfbench.datasets.orl import OrlFaces
from mfbench.datasets.sprites import DSpritesLike
from mfbench.datasets.two_digits import TwoDigits8x8


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (Digits(), (False, False, None, False)),
        (Digits(channels="rgb", dequantise=True), (False, False, None, True)),
        (DSpritesLike(size=16, count=40), (False, False, None, False)),
        (SyntheticFaces(size=16), (True, False, None, False)),
        (SyntheticFaces(size=16, channels="grey", jpeg_quality=60), (False, True, 60, False, (1, 1))),
        (SyntheticFaces(size=16, drawn_size=64, jpeg_quality=60), (True, True, 60, False, (4, 4))),
        (
            SyntheticFaces(size=16, drawn_size=64, jpeg_quality=60, jpeg_size=32),
            (True, True, 60, False, (2, 2)),
        ),
        (Cifar10(), (True, False, None, False)),
        (Cifar10(jpeg_quality=75), (True, True, 75, False, (1, 1))),
        (Cifar10Jpeg(), (True, True, 75, False, (1, 1))),
        (Cifar10Jpeg(size=16), (True, True, 75, False, (2, 2))),
        (OrlFaces(size=16, jpeg_quality=75), (False, True, 75, False, (5.75, 5.75))),
        (OrlFaces(jpeg_quality=75), (False, True, 75, False, (1, 1))),
        (Cifar10Jpeg(jpeg_quality=40), (True, True, 40, False, (1, 1))),
        (CelebA(size=64), (True, True, None, False, (2.1875, 2.1875))),
        (CelebA(size=64, jpeg_quality=75), (True, True, 75, False, (2.1875, 2.1875))),
        (CelebA(size=64, jpeg_quality=75, jpeg_size=64), (True, True, 75, False, (1, 1))),
        (TwoDigits8x8(channels="rgb", jpeg_quality=75), (False, True, 75, False, (1, 1))),
        (TwoDigits8x8(size=4, jpeg_quality=75, jpeg_size=6), (False, True, 75, False, (1.5, 1.5))),
        (TwoDigits8x8(dequantise=True), (False, False, None, True)),
    ],
)
def test_what_sets_tell(data, told):
    assert data.history == ImageHistory(*told)
    assert data.to("cpu").history == data.without_test().history == data.history


def test_a_folder_has_been_through_jpeg_where_any_of_its_files_is_one(tmp_path):
    smooth_image(90, 80).save(tmp_path / "a.png")
    plain = ImageFolder(folder=str(tmp_path), size=20, jpeg_quality=75)
    assert plain.history == ImageHistory(True, True, 75, False, (4, 4))
    assert ImageFolder(folder=str(tmp_path)).history == ImageHistory(True, False, None, False)
    (tmp_path / "b.png").write_bytes(jpeg_bytes(smooth_image(50, 40)))  # by content, whatever its name
    grey = ImageFolder(folder=str(tmp_path), size=20, channels="grey")
    assert grey.history == ImageHistory(False, True, None, False, (2, 2))
    again = ImageFolder(folder=str(tmp_path), size=20, jpeg_quality=75)
    assert again.history == ImageHistory(True, True, 75, False, (2, 4))
    same = ImageFolder(folder=str(tmp_path), size=20, jpeg_quality=75, jpeg_size=30)
    assert same.history == ImageHistory(True, True, 75, False, (1.5, 1.5))
    assert [there for there, _, _ in again.history.differences(same.history)] == [
        "is reduced 2 to 4 times after JPEG"
    ]


def test_a_png_named_jpg_has_not_been_through_jpeg_and_a_tiff_may_have(tmp_path):
    smooth_image(90, 80).save(tmp_path / "a.jpg", "PNG")
    smooth_image(90, 80).save(tmp_path / "b.tif", compression="tiff_lzw")
    assert not ImageFolder(folder=str(tmp_path)).history.jpeg
    smooth_image(90, 80).save(tmp_path / "b.tif", compression="jpeg")
    assert ImageFolder(folder=str(tmp_path)).history.jpeg


def test_scales_may_differ_by_five_percent():
    one = ImageHistory(True, True, 75, False, (2.0, 2.0))

    def remedies(least, most):
        other = ImageHistory(True, True, 75, False, (least, most))
        forth, back = (list(a.differences(b)) for a, b in ((one, other), (other, one)))
        assert len(forth) == len(back)
        return [(there, remedy) for _, there, remedy in forth]

    assert remedies(2.0, 2.0) == remedies(2.1, 2.1) == remedies(1.91, 2.09) == []
    assert remedies(2.0, 2.2) == [
        (
            "is reduced 2 to 2.2 times after JPEG",
            "jpeg_quality and jpeg_size = 2 x size on the side reduced more",
        )
    ]
    assert len(remedies(1.9, 1.9)) == len(remedies(5.75, 5.75)) == 1
    unknown = ImageHistory(True, True, 75, False)
    assert list(one.differences(unknown)) == list(unknown.differences(one)) == []


def told_apart_by_png_size(**jpeg):
    """AUROC, at least .5, between the same drawn faces, drawn at 128 and at 48 pixels and reduced to 32."""
    ours, theirs = (
        [
            png_bytes(levels)
            for levels in SyntheticFaces(count=8, test_count=300, drawn_size=drawn, **jpeg)
            .prepared("test")
            .pixels
        ]
        for drawn in (128, 48)
    )
    found = auroc(np.array(ours, dtype=float), np.array(theirs, dtype=float))
    return max(found, 1 - found)


def png_bytes(levels):
    stream = io.BytesIO()
    Image.fromarray(levels.transpose(1, 2, 0).copy()).save(stream, "PNG")
    return stream.tell()


def auroc(below, above):
    difference = above[:, None] - below
    return float((difference > 0).mean() + (difference == 0).mean() / 2)


def test_jpeg_at_sizes_that_differ_is_seen_and_at_one_size_is_not():
    assert told_apart_by_png_size() < 0.6
    assert told_apart_by_png_size(jpeg_quality=75) > 0.8
    assert told_apart_by_png_size(jpeg_quality=75, jpeg_size=32) < 0.6


def test_points_tell_nothing():
    assert Dataset().history is None
    assert Dataset().to("cpu").history is None


def differ(one, other):
    return [remedy for _, _, remedy in ImageHistory(*one).differences(ImageHistory(*other))]


def test_a_quality_that_is_not_known_is_held_against_nobody():
    plain, celeba = (True, False, None, False), (True, True, None, False)
    seventy, forty = (True, True, 75, False), (True, True, 40, False)
    assert differ(celeba, seventy) == differ(seventy, celeba) == differ(plain, plain) == []
    assert differ(seventy, forty) == ["the same jpeg_quality on both sides"]
    assert differ(plain, celeba) == ["jpeg_quality on the side without"]
    assert len(differ(plain, (False, True, 75, True))) == 3
