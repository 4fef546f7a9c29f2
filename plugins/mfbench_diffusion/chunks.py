"""Large batches in parts, so that samplers and likelihoods need not know how much memory a network takes."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mfbench import NoisePredictor

_PIXELS = {"cpu": 2**14, "cuda": 2**20}
"""Evaluated at once where nobody says otherwise: what the caches of a CPU hold, and what keeps a GPU busy."""


class ChunkedPredictor:
    """A noise predictor that is given at most `chunk` images at once: by default 2^14 pixels of them on a CPU
    and 2^20 on CUDA.

    Where gradients are taken through more than one part, the activations of a part are computed again when
    its products are (gradient checkpointing): memory is that of one part, for one more evaluation a product.
    """

    def __init__(self, predictor: NoisePredictor, chunk: int | None = None) -> None:
        self.predictor = predictor
        self.schedule = predictor.schedule
        self.chunk = chunk

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        rows = self.chunk or rows_at_once(x)
        if len(x) <= rows:
            return self.predictor(x, t)
        parts = zip(x.split(rows), t.split(rows))  # what is expanded stays so
        if torch.is_grad_enabled() and x.requires_grad:
            return torch.cat([self._again(part, times) for part, times in parts])
        return torch.cat([self.predictor(part, times) for part, times in parts])

    def _again(self, x: Tensor, t: Tensor) -> Tensor:
        eps = checkpoint(self.predictor, x, t, use_reentrant=False, preserve_rng_state=False)
        return cast(Tensor, eps)


def rows_at_once(x: Tensor) -> int:
    """Images of x's size (n, channels, height, width) that are evaluated at once on its device."""
    pixels = _PIXELS.get(x.device.type, _PIXELS["cuda"])
    return max(1, pixels // x[0, 0].numel())
