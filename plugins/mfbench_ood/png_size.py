"""The control: the size of the PNG file, and nothing learned but what size is usual."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from mfbench import Dataset, DataSpec, Likelihood, Progress, Role
from mfbench_ood.compression import compressed_nats
from mfbench_ood.images import require_images
from mfbench_ood.references import CalibrationSplit, calibration_rows


class PngSize(Likelihood):
    """The length L(x) of the 8-bit image as a PNG, in nats, as a score.

    `inliers`: which sizes count as seen. "small": the score is -L(x). "large": L(x), for seen sets that are
    more complex than the unseen. "typical": -|L(x) - mean|, the mean that of the first `count` samples of
    `split`, which needs no guess. A control of the wrong sign is beaten by anything: put both on a board.
    """

    role: ClassVar[Role] = "control"
    bound: ClassVar[Literal["exact", "lower", "score"]] = "score"

    def __init__(
        self,
        inliers: Literal["small", "large", "typical"] = "small",
        split: CalibrationSplit = "val",
        count: int = 5000,
    ) -> None:
        self.inliers = inliers
        self.split: CalibrationSplit = split
        self.count = count

    def build(self, spec: DataSpec) -> None:
        require_images(spec.shape, "png_size")
        self.mean = math.nan

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        rows = calibration_rows(data, self.split, self.count, "png_size")
        self.mean = float(compressed_nats(rows, "png").mean())

    def score(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        length = compressed_nats(x, "png")
        if self.inliers == "typical":
            length = (length - self.mean).abs()
        return (length if self.inliers == "large" else -length).to(x.dtype)

    def state_dict(self) -> Mapping[str, float]:
        return {"mean": self.mean}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.mean = float(state["mean"])
