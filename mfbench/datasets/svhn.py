"""SVHN, cropped digits (Netzer et al. 2011), as published: MATLAB files of images and labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mfbench.datasets.damage import said
from mfbench.datasets.images import RawImages
from mfbench.datasets.sources import SourceFile
from mfbench.datasets.stored import StoredImages
from mfbench.errors import UserError

_ADDRESS = "http://ufldl.stanford.edu/housenumbers"


class Svhn(StoredImages):
    """Street View House Numbers, 32 x 32 RGB: 73,257 for training, 26,032 for test; labels are the digits."""

    name = "svhn"
    native = (3, 32, 32)
    sources = (
        SourceFile(
            "svhn/train_32x32.mat",
            "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
            (f"{_ADDRESS}/train_32x32.mat",),
        ),
        SourceFile(
            "svhn/test_32x32.mat",
            "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
            (f"{_ADDRESS}/test_32x32.mat",),
        ),
    )

    def part(self, name: str) -> RawImages:
        return read_mat(self.path(self.sources[0 if name == "train" else 1]))


def read_mat(path: Path) -> RawImages:
    """X (32, 32, 3, n) and y (n, 1), where 10 stands for the digit 0; UserError for anything else."""
    from scipy.io import loadmat, whosmat

    try:
        told = {name: (shape, kind) for name, shape, kind in whosmat(str(path))}
        _check_told(path, told)  # before memory is taken for what a damaged header says
        stored: dict[str, Any] = loadmat(str(path), variable_names=("X", "y"))
        images, labels = stored["X"], stored["y"].ravel()
    except UserError:
        raise
    except Exception as error:  # whatever the reader stumbles over in a damaged file, IndexError included
        raise UserError(f"{path}: damaged, or no MATLAB 5 file ({said(error)})") from None
    if not np.isin(labels, range(1, 11)).all():
        raise UserError(f"{path}: y must hold {images.shape[3]} labels from 1 to 10")
    pixels = np.ascontiguousarray(images.transpose(3, 2, 0, 1))
    return RawImages(pixels, y=(labels % 10).astype(np.int64), names={"classes": tuple("0123456789")})


def _check_told(path: Path, told: Mapping[str, tuple[tuple[int, ...], str]]) -> None:
    """UserError where the headers of X and y are not those of SVHN."""
    if not {"X", "y"} <= told.keys():
        raise UserError(f"{path}: must hold X and y, as the cropped digits of SVHN do")
    shape, kind = told["X"]
    count = shape[3] if len(shape) == 4 else 0
    if shape[:3] != (32, 32, 3) or not 1 <= count <= _MOST or kind != "uint8":
        raise UserError(f"{path}: X is {kind} of shape {shape}, not uint8 (32, 32, 3, n)")
    if told["y"][0] not in ((count, 1), (1, count)) or told["y"][1] not in _NUMBERS:
        raise UserError(f"{path}: y must hold {count} labels from 1 to 10")


_NUMBERS = ("double", "single", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
_MOST = 1_000_000
"""Images in one file; the largest of the published ones has 531,131."""
