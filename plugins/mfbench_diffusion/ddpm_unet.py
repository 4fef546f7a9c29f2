"""A diffusion model for images (Ho et al. 2020): a small U-Net, trained at continuous times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mfbench import Dataset, DataSpec, DiffusionModel, Progress, UserError
from mfbench.schedules import LinearSchedule
from mfbench_diffusion.arguments import require_at_least
from mfbench_diffusion.chunks import ChunkedPredictor
from mfbench_diffusion.dpmpp import DPMSolverPP2M
from mfbench_diffusion.image_predictor import ImagePredictor, Prediction
from mfbench_diffusion.precision import Precision, require_cuda, tensor_float
from mfbench_diffusion.training import noisy_batches, train
from mfbench_diffusion.unet import GROUPS, UNet

_LAYOUT = torch.channels_last
"""Of weights and images: faster on the CPU too (by a sixth at 28 x 28)."""


class DDPMUNet(DiffusionModel):
    """Denoising diffusion of images with T = `num_steps` and a U-Net.

    Model space is data space with the training set's mean and standard deviation, over all pixels, taken to
    0 and 1. `multipliers`: of `width`, one a level, each level half the size of the one before (28, 14, 7);
    `blocks`: of a level; `attention`: largest height and width with self-attention. `iterations` is the
    training budget in steps of `batch_size` images; with 0 the network stays at its start, which predicts 0.
    `ema`: decay a step of the averaged weights that are used. `precision`: "tf32" and "bf16" (autocast) are
    for CUDA (Unsupported elsewhere). `compile`: by torch.compile, on CUDA; elsewhere nothing is compiled.
    `chunk`: images evaluated at once; None: by device and size. `sample` takes `steps` steps of
    DPM-Solver++(2M) on the "asinh" grid.
    """

    def __init__(
        self,
        num_steps: int = 1000,
        width: int = 32,
        multipliers: Sequence[int] = (1, 2, 2),
        blocks: int = 1,
        attention: int = 8,
        time_features: int = 16,
        dropout: float = 0.0,
        prediction: Prediction = "v",
        iterations: int = 3000,
        batch_size: int = 32,
        learning_rate: float = 2e-3,
        ema: float = 0.999,
        precision: Precision = "float32",
        compile: bool = False,
        chunk: int | None = None,
        steps: int = 50,
    ) -> None:
        require_at_least("ddpm_unet", 2, num_steps=num_steps, time_features=time_features)
        require_at_least("ddpm_unet", 1, blocks=blocks, batch_size=batch_size, steps=steps)
        require_at_least("ddpm_unet", 1, chunk=1 if chunk is None else chunk)
        require_at_least("ddpm_unet", 0, attention=attention, iterations=iterations)
        require_at_least("ddpm_unet", 0, learning_rate=learning_rate)
        if width < GROUPS or width % GROUPS:
            raise UserError(f"ddpm_unet: width = {width}: a multiple of {GROUPS}")
        if not multipliers or min(multipliers) < 1:
            raise UserError(f"ddpm_unet: multipliers = {list(multipliers)}: one of at least 1 a level")
        for name, share in {"ema": ema, "dropout": dropout}.items():
            if not 0 <= share < 1:
                raise UserError(f"ddpm_unet: {name} = {share}: in [0, 1)")
        self.schedule = LinearSchedule(num_steps)
        self.width = width
        self.multipliers = tuple(multipliers)
        self.blocks = blocks
        self.attention = attention
        self.time_features = time_features
        self.dropout = dropout
        self.prediction: Prediction = prediction
        self.iterations = iterations
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.ema = ema
        self.precision: Precision = precision
        self.compile = compile
        self.chunk = chunk
        self.steps = steps

    def build(self, spec: DataSpec) -> None:
        require_cuda(self.precision, spec.device)
        self.shape = spec.shape
        network = UNet(
            spec.shape,
            width=self.width,
            multipliers=self.multipliers,
            blocks=self.blocks,
            attention=self.attention,
            time_features=self.time_features,
            dropout=self.dropout,
            bf16=self.precision == "bf16",
        )
        dtype = spec.dtype or torch.float32
        self._use(network.to(spec.device, dtype, memory_format=_LAYOUT))
        self.shift = torch.zeros((), device=spec.device, dtype=torch.float64)
        self.scale = torch.ones_like(self.shift)

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        x = data.train.x
        deviation, self.shift = torch.std_mean(x.double(), correction=0)
        self.scale = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
        self.network.initialise(rng)
        self.network.train().requires_grad_(True)
        if self._compiles():
            self.network.compile(dynamic=True)  # in place, and not in the copy that is averaged
        parameter = next(self.network.parameters())
        model = self.to_model(x.to(parameter.device, parameter.dtype))
        batches = noisy_batches(model, self.schedule, self.batch_size, self.iterations, rng)
        if self.prediction == "eps":
            batches = _eps_targets(batches)
        with tensor_float(self.precision == "tf32"), _dropout_from(rng):
            averaged = train(
                self.network,
                batches,
                iterations=self.iterations,
                learning_rate=self.learning_rate,
                ema=self.ema,
                progress=progress,
            )
        self._use(averaged)

    def _compiles(self) -> bool:
        return self.compile and next(self.network.parameters()).is_cuda

    def _use(self, network: UNet) -> None:
        self.network = network.eval().requires_grad_(False)
        predictor = ImagePredictor(
            self.network,
            self.schedule,
            prediction=self.prediction,
            tf32=self.precision == "tf32",
            compiled=self._compiles(),
        )
        self.predictor = ChunkedPredictor(predictor, self.chunk)

    def sample(self, count: int, *, rng: torch.Generator) -> Tensor:
        dtype = next(self.network.parameters()).dtype
        x = torch.randn((count, *self.shape), generator=rng, dtype=dtype, device=rng.device)
        step = self.schedule.num_steps / self.steps
        return self.to_data(DPMSolverPP2M(grid="asinh").sample(self.predictor, x, step=step, rng=rng))

    def to_model(self, x: Tensor) -> Tensor:
        return (x - self.shift.to(x.dtype)) / self.scale.to(x.dtype)

    def to_data(self, x: Tensor) -> Tensor:
        return x * self.scale.to(x.dtype) + self.shift.to(x.dtype)

    def state_dict(self) -> Mapping[str, Tensor | int | float | str]:
        network = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        return {**network, "shift": self.shift, "scale": self.scale}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.shift, self.scale = state["shift"], state["scale"]
        prefix = "network."
        self.network.load_state_dict(
            {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        )
        self._use(self.network)


Batch = tuple[Tensor, Tensor, Tensor]


def _eps_targets(batches: Iterator[Batch]) -> Iterator[Batch]:
    """(x_t, u, eps) from (x_t, u, v): eps = sqrt(abar) v + sqrt(1 - abar) x_t."""
    for x_t, u, v in batches:
        sigma = (0.1 * torch.sinh(u)).view(-1, *[1] * (v.ndim - 1))
        signal = 1 / torch.sqrt(1 + sigma**2)
        yield x_t, u, signal * (v + sigma * x_t)


@contextmanager
def _dropout_from(rng: torch.Generator) -> Iterator[None]:
    """The global generators, of which alone dropout draws, seeded from `rng`, and put back afterwards."""
    seed = int(torch.randint(2**62, (1,), generator=rng, device=rng.device).item())
    with torch.random.fork_rng(devices=[rng.device] if rng.device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
