"""How short lossless codecs make an image (Pillow)."""

from __future__ import annotations

import io
import math
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, features
from torch import Tensor

from mfbench import Unsupported
from mfbench_ood.images import as_bytes, require_images

Codec: TypeAlias = Literal["png", "jpeg2000", "webp"]
CODECS: tuple[Codec, ...] = ("png", "jpeg2000", "webp")

_FEATURES = {"png": "zlib", "jpeg2000": "jpg_2000", "webp": "webp"}
_RESOLUTIONS = 6
"""OpenJPEG's default number of wavelet resolutions; a small image has room for fewer."""


def require_codec(codec: Codec) -> None:
    """Unsupported where Pillow was built without the codec."""
    if not features.check(_FEATURES[codec]):
        raise Unsupported(f"the installed Pillow was built without {codec}")


def compressed_nats(x: Tensor, codec: Codec) -> Tensor:
    """Length in nats (bits times log 2) of each 8-bit image (n, c, h, w) in [0, 1] as a file; (n,) float64.

    Headers are counted: a constant for images of one shape. Unsupported where x are not images of 1 or 3
    channels.
    """
    require_images(x.shape[1:], codec)
    lengths = [len(encode(image, codec)) for image in as_bytes(x)]
    return torch.tensor(lengths, dtype=torch.float64, device=x.device) * (8 * math.log(2))


def encode(image: NDArray[np.uint8], codec: Codec) -> bytes:
    """One image, (h, w) or (h, w, 3), as a file: lossless, at the codec's greatest effort."""
    picture, file = Image.fromarray(image), io.BytesIO()
    if codec == "png":
        picture.save(file, "PNG", optimize=True)
    elif codec == "webp":  # without loss, `quality` is the effort
        picture.convert("RGB").save(file, "WEBP", lossless=True, quality=100, method=6)
    else:
        resolutions = min(_RESOLUTIONS, 1 + int(math.log2(min(image.shape[:2]))))
        picture.save(file, "JPEG2000", irreversible=False, no_jp2=True, num_resolutions=resolutions)
    return file.getvalue()
