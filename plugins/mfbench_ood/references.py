"""What the scores ask of the methods that they refer to, and of the data that they calibrate on."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from torch import Tensor

from mfbench import Dataset, DiffusionModel, Likelihood, Unsupported, UserError

CalibrationSplit: TypeAlias = Literal["train", "val"]


def require_density(likelihood: Any, who: str) -> None:
    """Unsupported unless `likelihood` has log-densities or bounds of them, and does not only rank."""
    if not isinstance(likelihood, Likelihood):
        raise UserError(f"{who}: likelihood = {likelihood!r}; a method of kind likelihood is needed")
    if likelihood.bound == "score":
        raise Unsupported(f"{who} needs log-densities; {type(likelihood).__name__} only ranks")


def require_diffusion(generator: Any, who: str) -> None:
    """Unsupported unless `generator` has a noise predictor."""
    if not isinstance(generator, DiffusionModel):
        raise Unsupported(f"{who} reads the noise predictor of a diffusion model; {generator!r} has none")


def calibration_rows(data: Dataset, split: CalibrationSplit, count: int, who: str) -> Tensor:
    """The first `count` samples of the split (all where it has fewer; UserError where it has none)."""
    rows = (data.train if split == "train" else data.val).x[:count]
    if len(rows) == 0:
        raise UserError(f"{who}: count = {count} of split {split!r} leaves no sample to calibrate on")
    return rows
