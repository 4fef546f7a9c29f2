"""A diffusion model for point data (Ho et al. 2020), trained at continuous times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mfbench import Dataset, DataSpec, DiffusionModel, Progress, UserError
from mfbench.schedules import LinearSchedule
from mfbench_diffusion.ancestral import DDPMSampler
from mfbench_diffusion.arguments import require_at_least
from mfbench_diffusion.network import FourierMLP, NetworkPredictor
from mfbench_diffusion.training import noisy_batches, train


class DDPM(DiffusionModel):
    """Denoising diffusion with T = `num_steps` and a Fourier-feature MLP.

    Model space is data space standardised coordinate by coordinate with the training set's mean and standard
    deviation. `iterations` is the training budget in steps of `batch_size` samples; with 0 the network stays
    at its random start. `ema`: decay a step of the averaged weights that are used.
    """

    def __init__(
        self,
        num_steps: int = 100,
        width: int = 64,
        depth: int = 2,
        fourier_features: int = 32,
        frequency: float = 3.0,
        time_features: int = 16,
        iterations: int = 10_000,
        batch_size: int = 512,
        learning_rate: float = 6e-3,
        ema: float = 0.999,
    ) -> None:
        require_at_least("ddpm_mlp", 2, num_steps=num_steps, time_features=time_features)
        require_at_least("ddpm_mlp", 1, width=width, depth=depth, batch_size=batch_size)
        require_at_least("ddpm_mlp", 0, fourier_features=fourier_features, iterations=iterations)
        require_at_least("ddpm_mlp", 0, learning_rate=learning_rate)
        if not 0 <= ema < 1:
            raise UserError(f"ddpm_mlp: ema = {ema}: a decay in [0, 1)")
        self.schedule = LinearSchedule(num_steps)
        self.width = width
        self.depth = depth
        self.fourier_features = fourier_features
        self.frequency = frequency
        self.time_features = time_features
        self.iterations = iterations
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.ema = ema

    def build(self, spec: DataSpec) -> None:
        self.shape = spec.shape
        network = FourierMLP(
            torch.Size(spec.shape).numel(),
            width=self.width,
            depth=self.depth,
            fourier_features=self.fourier_features,
            frequency=self.frequency,
            time_features=self.time_features,
        )
        self._use(network.to(spec.device, spec.dtype or torch.float32))
        self.shift = torch.zeros(spec.shape, device=spec.device, dtype=torch.float64)
        self.scale = torch.ones_like(self.shift)

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        x = data.train.x
        self.shift = x.double().mean(0)
        deviation = x.double().std(0, correction=0)
        self.scale = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
        self.network.initialise(rng)
        self.network.train().requires_grad_(True)
        parameter = next(self.network.parameters())
        model = self.to_model(x.to(parameter.device, parameter.dtype))
        averaged = train(
            self.network,
            noisy_batches(model, self.schedule, self.batch_size, self.iterations, rng),
            iterations=self.iterations,
            learning_rate=self.learning_rate,
            ema=self.ema,
            progress=progress,
        )
        self._use(averaged)

    def _use(self, network: FourierMLP) -> None:
        self.network = network.eval().requires_grad_(False)
        self.predictor = NetworkPredictor(self.network, self.schedule)

    def sample(self, count: int, *, rng: torch.Generator) -> Tensor:
        """Ancestral samples at h = 1."""
        dtype = next(self.network.parameters()).dtype
        x = torch.randn((count, *self.shape), generator=rng, dtype=dtype, device=rng.device)
        return self.to_data(DDPMSampler().sample(self.predictor, x, step=1, rng=rng))

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
