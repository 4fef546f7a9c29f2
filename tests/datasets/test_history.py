"""What data sets tell of their images' history: what was stored, and what the preprocessing adds."""

from __future__ import annotations

import pytest

from mfbench.contracts import Dataset
from mfbench.contracts.history import ImageHistory
from mfbench.datasets.celeba import CelebA
from mfbench.datasets.cifar import Cifar10, Cifar10Jpeg
from mfbench.datasets.digits import Digits
from mfbench.datasets.faces import SyntheticFaces
from mfbench.datasets.folder import ImageFolder
from mfbench.datasets.sprites import DSpritesLike
from mfbench.datasets.two_digits import TwoDigits8x8


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (Digits(), (False, False, None, False)),
        (Digits(channels="rgb", dequantise=True), (False, False, None, True)),
        (DSpritesLike(size=16, count=40), (False, False, None, False)),
        (SyntheticFaces(size=16), (True, False, None, False)),
        (SyntheticFaces(size=16, channels="grey", jpeg_quality=60), (False, True, 60, False)),
        (Cifar10(), (True, False, None, False)),
        (Cifar10(jpeg_quality=75), (True, True, 75, False)),
        (Cifar10Jpeg(), (True, True, 75, False)),
        (Cifar10Jpeg(jpeg_quality=40), (True, True, 40, False)),
        (CelebA(size=64), (True, True, None, False)),
        (CelebA(size=64, jpeg_quality=75), (True, True, 75, False)),
        (TwoDigits8x8(channels="rgb", jpeg_quality=75), (False, True, 75, False)),
        (TwoDigits8x8(dequantise=True), (False, False, None, True)),
    ],
)
def test_what_sets_tell(data, told):
    assert data.history == ImageHistory(*told)
    assert data.to("cpu").history == data.without_test().history == data.history


def test_a_folder_has_been_through_jpeg_where_any_of_its_files_is_one(tmp_path):
    (tmp_path / "a.png").touch()
    assert ImageFolder(folder=str(tmp_path)).history == ImageHistory(True, False, None, False)
    (tmp_path / "b.JPG").touch()
    assert ImageFolder(folder=str(tmp_path), channels="grey").history == ImageHistory(
        False, True, None, False
    )


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
