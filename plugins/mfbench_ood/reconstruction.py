"""Denoising reconstruction (DDPM-OOD: Graham, Pinaya, Tudosiu, Nachev, Ourselin and Cardoso 2023).

A sample is noised to several levels and denoised again from each by a few steps of a sampler. From little
noise everything comes back, from much only what the model knows. How much worse than usual the copy is, level
by level, is the score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from mfbench import Dataset, DataSpec, Progress, Ref, UserError
from mfbench.measures import lpips
from mfbench_ood.diffusion import DiffusionScore
from mfbench_ood.images import require_images
from mfbench_ood.levels import Level, levels_at
from mfbench_ood.randomness import noise_like, required
from mfbench_ood.references import CalibrationSplit, calibration_rows
from mfbench_ood.truncated import TruncatedPredictor


def mean_squared_error(copy: Tensor, x: Tensor) -> Tensor:
    """(n,) float64, of (n, ...)."""
    return (copy - x).flatten(1).double().square().mean(1)


def perceptual_distance(copy: Tensor, x: Tensor) -> Tensor:
    """LPIPS, (n,) float64, of images (n, c, h, w), the copies held to [0, 1]; Unsupported without weights."""
    found = torch.from_numpy(lpips(copy.clamp(0, 1), x.clamp(0, 1)))
    return found.to(x.device, torch.float64)


_DISTANCES = {"mse": mean_squared_error, "lpips": perceptual_distance}


class DenoisingReconstruction(DiffusionScore):
    """Minus the mean, over noise levels and distances, of the z-score of the copy's distance to the sample.

    The `starts` levels are t = 1/starts, 2/starts, ..., 1; from t, `sampler` takes ceil(t `steps`) steps, so
    that all take steps of about one length (the paper: 100 starts, 100 steps of PLMS). The z-scores are taken
    with mean and standard deviation over the first `count` samples of `split`. `distance`: "mse" in data
    space, "lpips" (AlexNet; Unsupported without its weights or on images below 31 pixels), or "both", as in
    the paper. It is a parameter and does not depend on what a machine has, so that a row of a board means one
    thing.
    """

    def __init__(
        self,
        generator: Ref = "ddpm_mlp",
        sampler: Annotated[Ref, "sampler"] = "ddim",
        starts: int = 10,
        steps: int = 20,
        distance: Literal["mse", "lpips", "both"] = "mse",
        split: CalibrationSplit = "val",
        count: int = 1000,
        chunk: int = 512,
    ) -> None:
        super().__init__(generator, chunk)
        if starts < 1 or steps < 1:
            raise UserError(f"denoising_reconstruction: starts = {starts}, steps = {steps}: at least 1 each")
        self.sampler = sampler
        self.starts = starts
        self.steps = steps
        names = ("mse", "lpips") if distance == "both" else (distance,)
        self.distances = [_DISTANCES[name] for name in names]
        self.split: CalibrationSplit = split
        self.count = count

    def build(self, spec: DataSpec) -> None:
        super().build(spec)
        if perceptual_distance in self.distances:
            require_images(spec.shape, "LPIPS")
        columns = self.starts * len(self.distances)
        self.mean = torch.zeros(columns, device=spec.device, dtype=torch.float64)
        self.deviation = torch.ones_like(self.mean)

    @torch.no_grad()
    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        rows = calibration_rows(data, self.split, self.count, "denoising_reconstruction")
        found = []
        for part in torch.split(rows, self.chunk):
            found.append(self.errors(part, rng))
            progress(sum(map(len, found)), len(rows))
        errors = torch.cat(found)
        self.mean = errors.mean(0)
        deviation = errors.std(0, correction=0)
        self.deviation = torch.where(deviation > 0, deviation, torch.ones_like(deviation))

    def score_rows(self, x: Tensor, rng: torch.Generator | None) -> Tensor:
        return -((self.errors(x, rng) - self.mean) / self.deviation).mean(1)

    def errors(self, x: Tensor, rng: torch.Generator | None) -> Tensor:
        """(n, starts * distances) float64: of the copy of x made from each level, the lowest first, to x."""
        times = [(k + 1) / self.starts for k in range(self.starts)]
        columns = []
        for level in levels_at(self.schedule, times):
            copy = self.reconstruct(x, level, rng)
            columns += [distance(copy, x) for distance in self.distances]
        return torch.stack(columns, 1)

    def reconstruct(self, x: Tensor, level: Level, rng: torch.Generator | None) -> Tensor:
        """x, in data space, noised to `level` and denoised again."""
        model = self.generator.to_model(x)
        x_t = level.signal * model + level.noise * noise_like(model, required(rng))
        predictor = TruncatedPredictor(self.generator.predictor, level.t)
        steps = math.ceil(level.t * self.steps - 1e-9)
        copy = self.sampler.sample(predictor, x_t, step=predictor.schedule.num_steps / steps, rng=rng)
        data: Tensor = self.generator.to_data(copy)
        return data

    def state_dict(self) -> Mapping[str, Tensor]:
        return {"mean": self.mean, "deviation": self.deviation}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.mean, self.deviation = state["mean"], state["deviation"]
