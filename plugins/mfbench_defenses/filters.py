"""Filters before a classifier: what removes small changes of pixels, and knows nothing of patches."""

from __future__ import annotations

import io
from typing import Annotated

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from mfbench import HasSurrogate, Ref, Unsupported, UserError
from mfbench_defenses.arguments import require_above, require_at_least
from mfbench_defenses.classifying import BeforeClassifier


class MedianFilter(BeforeClassifier):
    """Each pixel the median of the `window` x `window` around it, edges repeated (Xu et al. 2018).

    Differentiable: the gradient goes to the pixel that is the median.
    """

    def __init__(self, classifier: Annotated[Ref, "defense"] = "cnn", window: int = 3) -> None:
        super().__init__(classifier)
        if window < 1 or window % 2 == 0:
            raise UserError(f"median: window = {window}: an odd number of pixels, at least 1")
        self.window = window

    def purify(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        side = self.window // 2
        wide = pad(x, (side, side, side, side), mode="replicate")
        windows = wide.unfold(2, self.window, 1).unfold(3, self.window, 1)
        return windows.flatten(4).median(dim=4).values


class TotalVariation(BeforeClassifier):
    """argmin_u |u - x|^2 / 2 + weight TV(u), by Chambolle's projection (2004), channel by channel.

    `iterations` of it, with steps of 1/8. Differentiable.
    """

    def __init__(
        self, classifier: Annotated[Ref, "defense"] = "cnn", weight: float = 0.1, rounds: int = 40
    ) -> None:
        super().__init__(classifier)
        require_above("total_variation", 0, weight=weight)
        require_at_least("total_variation", 0, rounds=rounds)
        self.weight = weight
        self.rounds = rounds

    def purify(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        dual = torch.zeros(2, *x.shape, device=x.device, dtype=x.dtype)
        for _ in range(self.rounds):
            slope = gradient(divergence(dual) - x / self.weight)
            length = (slope.square().sum(0) + 1e-12).sqrt()  # of 0 the root has no derivative
            dual = (dual + slope / 8) / (1 + length / 8)
        return (x - self.weight * divergence(dual)).clamp(0, 1)


def gradient(u: Tensor) -> Tensor:
    """(2, ...) forward differences of u (..., h, w) down and across, 0 at the far edge."""
    down = pad(u[..., 1:, :] - u[..., :-1, :], (0, 0, 0, 1))
    across = pad(u[..., :, 1:] - u[..., :, :-1], (0, 1, 0, 0))
    return torch.stack([down, across])


def divergence(p: Tensor) -> Tensor:
    """Minus the adjoint of `gradient`: (..., h, w) of (2, ..., h, w)."""
    down, across = p[0][..., :-1, :], p[1][..., :, :-1]
    rows = pad(down, (0, 0, 0, 1)) - pad(down, (0, 0, 1, 0))
    return rows + pad(across, (0, 1, 0, 0)) - pad(across, (1, 0, 0, 0))


class JPEG(BeforeClassifier, HasSurrogate):
    """The image as a JPEG of this `quality` gives it back (Guo et al. 2018), by Pillow; no gradient.

    Its stand-in for attackers is exact forward, and the identity backward.
    """

    def __init__(self, classifier: Annotated[Ref, "defense"] = "cnn", quality: int = 50) -> None:
        super().__init__(classifier)
        if not 1 <= quality <= 95:
            raise UserError(f"jpeg: quality = {quality}: from 1 to 95")
        self.quality = quality

    def purify(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        channels = x.shape[1]
        if channels not in (1, 3):
            raise Unsupported(f"jpeg: images of 1 or 3 channels, not {channels}")
        levels = (x.detach().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        back = np.stack([self._compressed(image) for image in levels])
        return torch.from_numpy(back).to(x.device, x.dtype).permute(0, 3, 1, 2) / 255

    def _compressed(self, levels: np.ndarray) -> np.ndarray:
        """8-bit (h, w, channels) there and back."""
        grey, file = levels.shape[2] == 1, io.BytesIO()
        Image.fromarray(levels[..., 0] if grey else levels).save(file, "JPEG", quality=self.quality)
        back = np.asarray(Image.open(file))
        return back[..., None] if grey else back

    def surrogate_logits(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        return self.logits(x + (self.purify(x) - x).detach())
