"""Hierarchical normalizing flows on autoencoders' codes (Tu et al. 2023, Sec. 2.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from mfbench import (
    Dataset,
    DataSpec,
    GeneratesLevels,
    GenerativeModel,
    Progress,
    Reconstructor,
    SuperResolver,
    UserError,
)
from mfbench_flows.arguments import require_at_least, require_finite, require_positive, require_shape
from mfbench_flows.hierarchy import Hierarchy
from mfbench_flows.pixels import ModelSpace
from mfbench_flows.randomness import seed_from, weights_from
from mfbench_flows.sizes import image_shape
from mfbench_flows.step import log_standard_normal
from mfbench_flows.training import pixel_batches, train

_NAME = "hierarchical_flow"
_ROWS = 256
"""Images at once."""


class HierarchicalFlow(GenerativeModel, Reconstructor, SuperResolver, GeneratesLevels):
    """`levels` autoencoders, trained jointly by their squared errors (Eq. 4); then a conditional flow on the
    codes of each, trained jointly by maximum likelihood (Eq. 5) with the autoencoders frozen. Each training
    has `iterations` steps of `batch_size` dequantised images. Level 1 is the full size.

    `code_factor`: channels of a code, times the image's; `code_halvings`: of the image's size to its code's.
    `code_noise`: standard deviation of the noise on codes while the autoencoders learn, in units of the
    code's own; the decoders then forgive what the flows get wrong. 0 is the paper's training.
    `width`: channels of the autoencoders' layers; `steps`: Glow's steps by level, the finest first, the last
    number for all coarser levels (where they are cheap); `flow_width`, `features`: channels of the couplings'
    networks, and of what they see of the coarser image. `sample` draws z ~ N(0, temperature^2 I).
    """

    def __init__(
        self,
        levels: int = 2,
        code_factor: int = 2,
        code_halvings: int = 1,
        code_noise: float = 0.0,
        width: int = 32,
        steps: Sequence[int] = (4,),
        flow_width: int = 32,
        features: int = 16,
        iterations: int = 1500,
        batch_size: int = 32,
        learning_rate: float = 2e-3,
        dequantise: bool = True,
        grey_levels: int = 256,
        temperature: float = 1.0,
    ) -> None:
        sizes = {"levels": levels, "code_factor": code_factor, "code_halvings": code_halvings, "width": width}
        sizes |= {
            "steps": min(steps, default=0),
            "flow_width": flow_width,
            "features": features,
            "batch_size": batch_size,
        }
        require_at_least(_NAME, 1, **sizes)
        require_at_least(_NAME, 0, iterations=iterations, temperature=temperature, code_noise=code_noise)
        require_at_least(_NAME, 2, grey_levels=grey_levels)
        require_positive(_NAME, learning_rate=learning_rate)
        self.levels = levels
        self.code_factor = code_factor
        self.code_halvings = code_halvings
        self.code_noise = code_noise
        self.width = width
        self.steps = list(steps)
        self.flow_width = flow_width
        self.features = features
        self.iterations = iterations
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.dequantise = dequantise
        self.grey_levels = grey_levels
        self.temperature = temperature

    # -- training --------------------------------------------------------------------------------------------

    def build(self, spec: DataSpec) -> None:
        self.shape = image_shape(spec.shape, _NAME)
        self._make(0, spec.device, spec.dtype or torch.float32)

    def _make(self, seed: int, device: Any, dtype: Any) -> None:
        with weights_from(seed):
            hierarchy = Hierarchy(
                self.shape,
                levels=self.levels,
                code_factor=self.code_factor,
                code_halvings=self.code_halvings,
                width=self.width,
                steps=self.steps,
                flow_width=self.flow_width,
                features=self.features,
                who=_NAME,
            )
        self.networks = nn.ModuleDict({"space": ModelSpace(), "hierarchy": hierarchy})
        self.networks.to(device, dtype).eval().requires_grad_(False)

    @property
    def space(self) -> ModelSpace:
        """Between data space and the networks'."""
        return cast(ModelSpace, self.networks["space"])

    @property
    def hierarchy(self) -> Hierarchy:
        """The networks, in model space."""
        return cast(Hierarchy, self.networks["hierarchy"])

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        x = data.train.x
        require_finite(_NAME, x)
        self._make(seed_from(rng), x.device, x.dtype)
        self.space.set_to(x)
        hierarchy, total = self.hierarchy, 2 * self.iterations
        self._train(
            hierarchy.autoencoders,
            lambda batch: self._squared_errors(batch, rng),
            x,
            rng,
            lambda done, _: progress(done, total),
        )
        (first,) = pixel_batches(x, self.batch_size, 1, self._levels, rng)
        hierarchy.initialise_flows(self.space.to_model(first))
        self._train(
            hierarchy.flows,
            self._code_losses,
            x,
            rng,
            lambda done, _: progress(self.iterations + done, total),
        )

    @property
    def _levels(self) -> int | None:
        return self.grey_levels if self.dequantise else None

    def _train(
        self,
        networks: nn.Module,
        loss: Callable[[Tensor], Tensor],
        x: Tensor,
        rng: torch.Generator,
        progress: Progress,
    ) -> None:
        """`networks` alone, on the loss of images in model space."""
        networks.train().requires_grad_(True)
        train(
            networks,
            lambda batch: loss(self.space.to_model(batch)),
            pixel_batches(x, self.batch_size, self.iterations, self._levels, rng),
            iterations=self.iterations,
            learning_rate=self.learning_rate,
            progress=progress,
            who=_NAME,
        )
        networks.eval().requires_grad_(False)

    def _squared_errors(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """sum_i L_ae(x_i), each a mean over pixels and channels (Eq. 4), of codes with noise."""
        codes = self.hierarchy.encode(x)
        if self.code_noise:
            codes = [code + self.code_noise * _like(code, rng) for code in codes]
        images = self.hierarchy.decode(codes)
        errors = [(image - self.hierarchy.at_level(x, i)).square() for i, image in enumerate(images, 1)]
        return torch.stack([error.mean() for error in errors]).sum()

    def _code_losses(self, x: Tensor) -> Tensor:
        """sum_i L_flow(y_i) / d_i (Eq. 5): the flows share nothing, so the divisors only balance steps."""
        latents = self.hierarchy.latents(self.hierarchy.encode(x))
        losses = [-(log_standard_normal(z) + log_det).mean() / z.shape[1] for z, log_det in latents]
        return torch.stack(losses).sum()

    # -- what it can do --------------------------------------------------------------------------------------

    def require_level(self, level: int, name: str = "level", least: int = 1) -> None:
        """UserError where there is no such level."""
        if not least <= level <= self.levels:
            raise UserError(f"{_NAME}: {name} = {level}: between {least} and {self.levels} (levels)")

    def require_images(self, x: Tensor) -> None:
        """UserError where x is not of full-size images."""
        require_shape(_NAME, x, self.hierarchy.shapes[0])

    def sample(self, count: int, *, rng: torch.Generator) -> Tensor:
        return self.generate(count, 1, self.temperature, rng=rng)

    @torch.no_grad()
    def generate(self, count: int, level: int, temperature: float, *, rng: torch.Generator) -> Tensor:
        """`count` images x_hat_level, of that level's size, all z_i ~ N(0, temperature^2 I) (Fig. 3 B)."""
        self.require_level(level)
        images = []
        for start in range(0, count, _ROWS):
            rows = min(_ROWS, count - start)
            z = [self._noise(rows, i, temperature, rng) for i in range(level, self.levels + 1)]
            images.append(self.hierarchy.generate(z, level))
        return self._to_images(torch.cat(images))

    @torch.no_grad()
    def reconstruct(self, x: Tensor, level: int) -> Tensor:
        """x_hat_level, (n, c, h, w) of that level's size, of full-size images, from the codes of that level
        and all coarser ones (Fig. 3 A); `at_level` gives what it is compared with.
        """
        self.require_level(level)
        self.require_images(x)
        images = []
        for part in torch.split(self.space.to_model(x), _ROWS):
            images.append(self.hierarchy.decode(self.hierarchy.encode(part, level), level)[0])
        return self._to_images(torch.cat(images))

    def at_level(self, x: Tensor, level: int) -> Tensor:
        """x_level of full-size images: the means of blocks."""
        self.require_level(level)
        self.require_images(x)
        return self.hierarchy.at_level(x, level)

    @torch.no_grad()
    def super_resolve(
        self, x_low: Tensor, from_level: int, temperature: float, *, rng: torch.Generator
    ) -> Tensor:
        """Full-size images given x_low in place of x_hat_{from_level}, z ~ N(0, temperature^2 I) (Fig. 4).

        `from_level`: from 2, half the full size, to `levels`. That the images' means are x_low is learned
        and not built in (`projected` makes it so). UserError where there is no such level, or x_low has not
        its size.
        """
        self.require_level(from_level, "from_level", 2)
        require_shape(_NAME, x_low, self.hierarchy.shapes[from_level - 1], from_level)
        images = []
        for low in torch.split(self.space.to_model(x_low), _ROWS):
            z = [self._noise(len(low), i, temperature, rng) for i in range(1, from_level)]
            images.append(self.hierarchy.generate(z, 1, low))
        return self._to_images(torch.cat(images))

    def _noise(self, count: int, level: int, temperature: float, rng: torch.Generator) -> Tensor:
        """z_level, (count, d)."""
        require_at_least(_NAME, 0, temperature=temperature)
        shape = (count, self.hierarchy.code_size(level))
        dtype = self.space.scale.dtype
        return temperature * torch.randn(shape, generator=rng, dtype=dtype, device=rng.device)

    def _to_images(self, x: Tensor) -> Tensor:
        return self.space.to_data(x).clamp(0, 1)

    # -- state -----------------------------------------------------------------------------------------------

    def state_dict(self) -> Mapping[str, Tensor]:
        return self.networks.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.networks.load_state_dict(state)


def _like(code: Tensor, rng: torch.Generator) -> Tensor:
    """Normal noise with the standard deviations that the code's channels have in this batch."""
    spread = code.std(dim=(0, 2, 3), correction=0, keepdim=True)
    return spread * torch.randn(code.shape, generator=rng, dtype=code.dtype, device=code.device)
