"""What a hierarchical flow says of an image's probability (Tu et al. 2023, Fig. 2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from mfbench import DataSpec, GenerativeModel, HasDensityTerms, Likelihood, Ref, Unsupported, UserError
from mfbench_flows.arguments import require_at_least
from mfbench_flows.hierarchical_flow import HierarchicalFlow
from mfbench_flows.hierarchy_densities import (
    AUTOENCODERS,
    LATENT,
    code_terms,
    decoder_volume,
    encoder_volumes,
)

_NAME = "hierarchical_flow"
_ROWS = 256


class HierarchicalFlowDensity(Likelihood, HasDensityTerms):
    """At `level` (1: the full size), in nats, with x_hat_{level + 1} reconstructed from the coarser codes:

    `density` = "log_pz": log N(z; 0, I) of this level's latent. "log_py": log p(y | x_hat_{level + 1}), with
    the flow's log-determinant. "log_px": of the image, as `mode` says. "exact": the density of x_hat_level,
    the reconstruction, on the decoders' image, by that surface's own measure. "paper": Eq. 7 and 8 read
    literally, the singular values of each encoder's Jacobian in place of its determinant.

    Only "log_px", "exact", level 1 is a density of images (`bound` is "exact"), and only on the surface: how
    far x is from it is not in the number. All else ranks (`bound` is "score"), and has no `log_prob`.
    """

    def __init__(
        self,
        generator: Ref = "hierarchical_flow",
        density: Literal["log_pz", "log_py", "log_px"] = "log_pz",
        level: int = 1,
        mode: Literal["paper", "exact"] = "exact",
    ) -> None:
        require_at_least(_NAME, 1, level=level)
        if isinstance(generator, GenerativeModel):  # before anything is fitted
            _require_flow(generator)
            generator.require_level(level)
            if density == "log_px":
                _require_fewer_codes_than_pixels(generator, level, mode)
        self.generator = generator
        self.density = density
        self.level = level
        self.mode = mode
        self.bound = "exact" if (density, mode, level) == ("log_px", "exact", 1) else "score"  # type: ignore[misc]

    def build(self, spec: DataSpec) -> None:
        _require_flow(self.generator)
        if self.density == "log_px":
            self._require_fewer_codes_than_pixels()

    def _require_fewer_codes_than_pixels(self) -> None:
        """Unsupported where a Jacobian cannot have full rank."""
        hierarchy = self.generator.hierarchy
        levels = range(self.level, hierarchy.levels + 1)
        sizes = [hierarchy.code_size(i) for i in levels]
        pixels = [math.prod(hierarchy.shapes[i - 1]) for i in levels]
        if self.mode == "exact":
            sizes, pixels = [sum(sizes)], pixels[:1]
        for size, count in zip(sizes, pixels):
            if size > count:
                raise Unsupported(
                    f'{_NAME}: density = "log_px", mode = "{self.mode}": {size} latent dimensions are more '
                    f"than the {count} of the pixels; a smaller code_factor is right"
                )

    def log_prob(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        if self.bound != "exact":
            raise Unsupported(
                f'{_NAME}: density = "{self.density}", mode = "{self.mode}", level = {self.level} only ranks'
            )
        return self.score(x)

    @torch.no_grad()
    def score(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        return torch.cat([sum_of(self._terms(part)) for part in torch.split(x, _ROWS)])

    @torch.no_grad()
    def density_terms(self, x: Tensor) -> Mapping[str, Tensor]:
        """log p(z), and with it log abs det of the flows and of the autoencoders where they are in the
        density: sums over the levels that are.
        """
        parts = [self._terms(part) for part in torch.split(x, _ROWS)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _terms(self, x: Tensor) -> dict[str, Tensor]:
        hierarchy, level = self.generator.hierarchy, self.level
        self.generator.require_images(x)
        x = self.generator.space.to_model(x)
        if self.density != "log_px":
            terms = code_terms(hierarchy, hierarchy.encode(x, level), level, one=True)
            return terms if self.density == "log_py" else {LATENT: terms[LATENT]}
        numbers = sum(hierarchy.code_size(i) for i in range(level, hierarchy.levels + 1))
        codes = hierarchy.encode(x, level)
        if self.mode == "paper":
            volume = encoder_volumes(hierarchy, x, level)
        else:
            volume = -decoder_volume(hierarchy, codes, level)
        scale = self.generator.space.log_det(numbers)
        return code_terms(hierarchy, codes, level) | {AUTOENCODERS: volume + scale}


def _require_flow(generator: object) -> None:
    if not isinstance(generator, HierarchicalFlow):
        raise UserError(f"{_NAME}: generator = {type(generator).__name__}; the generator {_NAME} is needed")


def _require_fewer_codes_than_pixels(flow: HierarchicalFlow, level: int, mode: str) -> None:
    """UserError where a Jacobian cannot have full rank, whatever the images: a code has at least
    code_factor / 4^code_halvings numbers a pixel value (more where a side is one pixel: `build` sees to it).
    """
    values = flow.code_factor / 4**flow.code_halvings
    if mode == "exact":
        values *= sum(0.25**i for i in range(flow.levels - level + 1))
    if values > 1:
        raise UserError(
            f'{_NAME}: density = "log_px", mode = "{mode}", level = {level}: {values:g} latent dimensions '
            f"for each of the pixels' are more than 1; code_factor = {flow.code_factor} is too large"
        )


def sum_of(terms: Mapping[str, Tensor]) -> Tensor:
    """(n,)."""
    return torch.stack(list(terms.values())).sum(0)
