"""What the flows of whole images have in common: training by maximum likelihood, samples, densities."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, cast

import torch
from torch import Tensor, nn

from mfbench import Dataset, DataSpec, GenerativeModel, Likelihood, Progress, UserError
from mfbench_flows.arguments import require_at_least, require_finite, require_positive, require_shape
from mfbench_flows.pixels import ModelSpace, dequantised
from mfbench_flows.randomness import required, seed_from, weights_from
from mfbench_flows.sizes import Shape, image_shape
from mfbench_flows.training import pixel_batches, train

ROWS = 256
"""Images evaluated at once."""


class ImageFlow(Protocol):
    """A bijection of images (n, c, h, w) and z ~ N(0, I), (n, c h w)."""

    def initialise(self, x: Tensor) -> None: ...

    def log_prob(self, x: Tensor) -> Tensor: ...

    def inverse(self, z: Tensor) -> Tensor: ...


class PixelFlow(GenerativeModel):
    """A flow on pixels. `log_prob` is its exact density on R^D, in nats, of images in units of [0, 1].

    It is trained on dequantised values of `grey_levels` levels (`dequantise`; without, on x as it is: right
    where pixels are continuous already). `sample` draws z ~ N(0, temperature^2 I) and holds images to [0, 1].
    """

    name: ClassVar[str]

    def __init__(
        self,
        iterations: int,
        batch_size: int,
        learning_rate: float,
        dequantise: bool,
        grey_levels: int,
        temperature: float,
    ) -> None:
        require_at_least(self.name, 0, iterations=iterations, temperature=temperature)
        require_at_least(self.name, 1, batch_size=batch_size)
        require_at_least(self.name, 2, grey_levels=grey_levels)
        require_positive(self.name, learning_rate=learning_rate)
        self.iterations = iterations
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.dequantise = dequantise
        self.grey_levels = grey_levels
        self.temperature = temperature

    def make_flow(self, shape: Shape) -> nn.Module:
        """An `ImageFlow` on the CPU, its weights drawn from the global generator; Unsupported sizes raise."""
        raise NotImplementedError

    def build(self, spec: DataSpec) -> None:
        self.shape = image_shape(spec.shape, self.name)
        self._make(0, spec.device, spec.dtype or torch.float32)

    def _make(self, seed: int, device: Any, dtype: Any) -> None:
        with weights_from(seed):
            self.networks = nn.ModuleDict({"space": ModelSpace(), "flow": self.make_flow(self.shape)})
        self.networks.to(device, dtype).eval().requires_grad_(False)

    @property
    def space(self) -> ModelSpace:
        """Between data space and the flow's."""
        return cast(ModelSpace, self.networks["space"])

    @property
    def flow(self) -> ImageFlow:
        """The bijection itself, in model space."""
        return cast(ImageFlow, self.networks["flow"])

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        x = data.train.x
        require_finite(self.name, x)
        self._make(seed_from(rng), x.device, x.dtype)
        self.space.set_to(x)
        levels = self.grey_levels if self.dequantise else None
        (first,) = pixel_batches(x, self.batch_size, 1, levels, rng)
        self.flow.initialise(self.space.to_model(first))
        self.networks.train().requires_grad_(True)
        train(
            self.networks,
            lambda batch: -self.log_prob(batch).mean() / batch[0].numel(),
            pixel_batches(x, self.batch_size, self.iterations, levels, rng),
            iterations=self.iterations,
            learning_rate=self.learning_rate,
            progress=progress,
            who=self.name,
        )
        self.networks.eval().requires_grad_(False)

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log-density, (n,) nats, of images x (n, c, h, w); differentiable.

        UserError for images of another shape.
        """
        require_shape(self.name, x, self.shape)
        return self.flow.log_prob(self.space.to_model(x)) + self.space.log_det(x[0].numel())

    @torch.no_grad()
    def sample(self, count: int, *, rng: torch.Generator) -> Tensor:
        dtype = self.space.scale.dtype
        z = torch.randn(count, math.prod(self.shape), generator=rng, dtype=dtype, device=rng.device)
        images = [self.flow.inverse(self.temperature * part) for part in torch.split(z, ROWS)]
        return self.space.to_data(torch.cat(images)).clamp(0, 1)

    def state_dict(self) -> Mapping[str, Tensor]:
        return self.networks.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.networks.load_state_dict(state)


class PixelFlowDensity(Likelihood):
    """The density of a fitted flow of pixels, in nats of the continuous values in [0, 1].

    `dequantisations` = 0: at x itself, exactly. K > 0: the mean over K draws of the noise between x's levels,
    which bounds log P(levels of x) + D log(grey_levels) from below: what papers report, in bits per
    dimension. Then `bound` is "lower", and `rng` is needed.
    """

    model: ClassVar[type[PixelFlow]]

    def __init__(self, generator: Any, dequantisations: int) -> None:
        require_at_least(self.model.name, 0, dequantisations=dequantisations)
        if isinstance(generator, GenerativeModel):  # before anything is fitted
            self._require_flow(generator)
        self.generator = generator
        self.dequantisations = dequantisations
        if dequantisations:
            self.bound = "lower"  # type: ignore[misc]

    def build(self, spec: DataSpec) -> None:
        self._require_flow(self.generator)

    def _require_flow(self, generator: object) -> None:
        if not isinstance(generator, self.model):
            name, found = self.model.name, type(generator).__name__
            raise UserError(f"{name}: generator = {found}; the generator {name} is needed")

    @torch.no_grad()
    def log_prob(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        if not self.dequantisations:
            return self._log_prob(x)
        rng, levels = required(rng), self.generator.grey_levels
        draws = [self._log_prob(dequantised(x, levels, rng)) for _ in range(self.dequantisations)]
        return torch.stack(draws).mean(0)

    def _log_prob(self, x: Tensor) -> Tensor:
        return torch.cat([self.generator.log_prob(part) for part in torch.split(x, ROWS)])
