"""Images as scores of pixels and bytes see them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mfbench import Unsupported

GREY_LEVELS = 256


def require_images(shape: Sequence[int], who: str) -> None:
    """Unsupported, saying what `who` needs, unless `shape` is (channels, height, width) of grey or colour."""
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise Unsupported(
            f"{who} reads images of 1 or 3 channels, (channels, height, width); "
            f"the data have shape {tuple(shape)}"
        )


def grey_levels(x: Tensor) -> Tensor:
    """The 8-bit levels, 0 to 255 in x's dtype, of values in [0, 1].

    floor(256 x) undoes both encodings of a level k: k / 255 (as it is), and (k + u) / 256, u in [0, 1)
    (dequantised).
    """
    return (x * GREY_LEVELS).floor().clamp(0, GREY_LEVELS - 1)


def as_bytes(x: Tensor) -> NDArray[np.uint8]:
    """Images (n, c, h, w) in [0, 1] as 8-bit (n, h, w, c), or (n, h, w) where they are grey."""
    levels: NDArray[np.uint8] = grey_levels(x).byte().permute(0, 2, 3, 1).cpu().numpy()
    return levels[..., 0] if levels.shape[-1] == 1 else levels
