"""SVHN, cropped digits (Netzer et al. 2011), as published: MATLAB files of images and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

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
    from scipy.io import loadmat

    try:
        stored: dict[str, Any] = loadmat(str(path), variable_names=("X", "y"))
    except Exception as error:  # whatever the reader stumbles over in a damaged file, IndexError included
        raise UserError(f"{path}: damaged, or no MATLAB 5 file ({error})") from None
    if not {"X", "y"} <= stored.keys():
        raise UserError(f"{path}: must hold X and y, as the cropped digits of SVHN do")
    images, labels = stored["X"], stored["y"].ravel()
    if images.ndim != 4 or images.shape[:3] != (32, 32, 3) or images.dtype != np.uint8:
        raise UserError(f"{path}: X is {images.dtype} of shape {images.shape}, not uint8 (32, 32, 3, n)")
    if labels.shape != images.shape[3:] or not (labels.min() >= 1 and labels.max() <= 10):
        raise UserError(f"{path}: y must hold {images.shape[3]} labels from 1 to 10")
    pixels = np.ascontiguousarray(images.transpose(3, 2, 0, 1))
    return RawImages(pixels, y=(labels % 10).astype(np.int64), names={"classes": tuple("0123456789")})
