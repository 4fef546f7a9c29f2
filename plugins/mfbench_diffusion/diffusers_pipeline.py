"""A pretrained `UNet2DModel` of diffusers, with its scheduler's betas, as a diffusion model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mfbench import Dataset, DataSpec, DiffusionModel, FileRef, Progress, Unsupported, UserError
from mfbench_diffusion.arguments import require_at_least
from mfbench_diffusion.beta_schedule import BetaSchedule, betas_of
from mfbench_diffusion.chunks import ChunkedPredictor
from mfbench_diffusion.diffusers_folder import SavedModel, download, empty_network, open_folder, read_network
from mfbench_diffusion.dpmpp import DPMSolverPP2M
from mfbench_diffusion.network import NetworkPredictor

_PREDICTIONS = ("epsilon", "v_prediction", "sample")
_LONGEST_PERIOD = 10_000
"""Of the sinusoids of "positional" times, in steps over 2 pi."""


class DiffusersPipeline(DiffusionModel):
    """Pretrained: `fit` reads the weights (safetensors) and trains nothing.

    `folder`: a saved pipeline, or a folder with both configurations; or `hub` and `revision`: a model of the
    Hugging Face hub at a commit. Model space is 2 x - 1, in which such models are trained. The scheduler's
    configuration gives betas and prediction type; its sampling options (clipping, spacing) are not used.
    `chunk`: images evaluated at once; None: by device and size. `sample` takes `steps` steps of
    DPM-Solver++(2M) on the "asinh" grid.
    """

    def __init__(
        self,
        folder: FileRef | None = None,
        hub: str | None = None,
        revision: str = "",
        chunk: int | None = None,
        steps: int = 50,
    ) -> None:
        require_at_least("diffusers_pipeline", 1, chunk=1 if chunk is None else chunk, steps=steps)
        self.folder = folder
        self.hub = hub
        self.revision = revision
        self.chunk = chunk
        self.steps = steps

    def build(self, spec: DataSpec) -> None:
        if (self.folder is None) == (self.hub is None):
            raise UserError(
                "diffusers_pipeline: name a `folder`, or a model of the `hub` with its `revision`"
            )
        place = Path(self.folder) if self.folder is not None else download(str(self.hub), self.revision)
        self.saved = open_folder(place)
        _check_shape(self.saved, spec.shape)
        self.shape, self.device, self.dtype = spec.shape, spec.device, spec.dtype or torch.float32
        file = str(self.saved.scheduler_file)
        self.schedule = BetaSchedule(betas_of(self.saved.scheduler, file))
        self.prediction = self.saved.scheduler.get("prediction_type", "epsilon")
        if self.prediction not in _PREDICTIONS:
            raise UserError(
                f"{file}: prediction_type = {self.prediction!r}: one of {', '.join(_PREDICTIONS)}"
            )

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        """Reads the weights; neither `data` nor `rng` matter."""
        self._use(read_network(self.saved))

    def _use(self, network: nn.Module) -> None:
        self.network = network.to(self.device, self.dtype).eval().requires_grad_(False)
        predictor = DiffusersPredictor(self.network, self.schedule, self.prediction)
        self.predictor = ChunkedPredictor(predictor, self.chunk)

    def sample(self, count: int, *, rng: torch.Generator) -> Tensor:
        x = torch.randn((count, *self.shape), generator=rng, dtype=self.dtype, device=rng.device)
        step = self.schedule.num_steps / self.steps
        return self.to_data(DPMSolverPP2M(grid="asinh").sample(self.predictor, x, step=step, rng=rng))

    def to_model(self, x: Tensor) -> Tensor:
        return 2 * x - 1

    def to_data(self, x: Tensor) -> Tensor:
        return (x + 1) / 2

    def state_dict(self) -> Mapping[str, Tensor | int | float | str]:
        return self.network.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        network = empty_network(self.saved)
        network.load_state_dict(dict(state))
        self._use(network)


def _check_shape(saved: SavedModel, shape: tuple[int, ...]) -> None:
    """Unsupported where the data are not the images that the network was made for."""
    size = saved.network.get("sample_size")
    channels = saved.network.get("in_channels", 3)
    sizes = shape[1:] if size is None else (size, size) if isinstance(size, int) else tuple(size)
    if len(shape) != 3 or tuple(shape) != (channels, *sizes):
        raise Unsupported(
            f"{saved.unet}: the model is for images {(channels, *sizes)}, the data are {tuple(shape)}"
        )


class DiffusersPredictor(NetworkPredictor):
    """eps(x, t) from a `UNet2DModel`, whose time is k - 1 = t T - 1, a real number.

    Below k = 1, where it has no time, that of k = 1 stands in, with the noise level there: so the quotients
    by sqrt(1 - abar) stay finite at t = 0.
    """

    def __init__(self, network: nn.Module, schedule: BetaSchedule, prediction: str) -> None:
        super().__init__(network, schedule)
        self.prediction = prediction
        self.steps = schedule.num_steps
        if next(network.parameters()).dtype == torch.float64:
            _embed_in_double(network)

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        if t.stride(0) == 0:  # one time, expanded
            t = t[:1]
        k = (t.to(x.dtype) * self.steps).clamp(min=1)
        output: Tensor = self._network(x.dtype)(x, k - 1, return_dict=False)[0]
        output = output[:, : x.shape[1]]  # what follows, where there is more, is a variance
        if self.prediction == "epsilon":
            return output
        alpha_bar = self.schedule.alpha_bar(k / self.steps).view(-1, *[1] * (x.ndim - 1))
        signal, noise = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
        if self.prediction == "v_prediction":
            return signal * output + noise * x
        return (x - signal * output) / noise

    def _network(self, dtype: torch.dtype) -> nn.Module:
        known = dtype in self._networks
        network = super()._network(dtype)
        if not known and dtype == torch.float64:
            _embed_in_double(network)
        return network


def _embed_in_double(network: nn.Module) -> None:
    """diffusers rounds times to float32 even in a float64 network: steps that an adaptive solver stumbles
    over. The frequencies stay as it has them.
    """
    if not isinstance(network.time_proj, _Sinusoids):
        network.time_proj = _Sinusoids(network.time_proj)


class _Sinusoids(nn.Module):
    """The embedding of diffusers' `Timesteps`, in the precision of the times (n,)."""

    def __init__(self, original: Any) -> None:
        super().__init__()
        half = original.num_channels // 2
        exponent = -math.log(_LONGEST_PERIOD) * torch.arange(half, dtype=torch.float32)
        self.frequencies = (exponent / (half - original.downscale_freq_shift)).exp() * original.scale
        self.flip = original.flip_sin_to_cos
        self.padding = original.num_channels % 2

    def forward(self, times: Tensor) -> Tensor:
        phase = times[:, None] * self.frequencies.to(times)
        parts = [phase.cos(), phase.sin()] if self.flip else [phase.sin(), phase.cos()]
        return nn.functional.pad(torch.cat(parts, 1), (0, self.padding))
