"""Distributions of which everything is known: densities, and the exact noise predictor of their diffusion.

They are not standardised: what the parameters say is what is served.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mfbench.datasets.exact_noise import GaussianPredictor, MixturePredictor
from mfbench.datasets.synthetic import Array, SyntheticDataset
from mfbench.errors import UserError
from mfbench.identity import derive_seed
from mfbench.schedules import LinearSchedule


class Gaussian(SyntheticDataset):
    """N(0, Sigma) with given eigenvalues, along the axes or in a fixed random basis."""

    name = "gaussian"

    def __init__(
        self,
        *,
        dim: int = 2,
        spectrum: list[float] | None = None,
        rotate: bool = False,
        count: int = 10_000,
        test_count: int | None = None,
        seed: int = 0,
    ) -> None:
        """`spectrum`: the `dim` eigenvalues (variances) of Sigma, by default all 1.

        `rotate`: take as eigenvectors a random orthogonal basis that depends on `dim` alone, not on the seed.
        """
        super().__init__(count=count, test_count=test_count, seed=seed)
        variances = [1.0] * dim if spectrum is None else spectrum
        if dim < 1 or len(variances) != dim or not all(0 < v < math.inf for v in variances):
            raise UserError(f"spectrum = {spectrum}, dim = {dim}: as many positive variances as dimensions")
        self.shape = (dim,)
        self.spectrum = np.array(variances, dtype=np.float64)
        self.rotate = rotate

    @cached_property
    def basis(self) -> Array:
        """(dim, dim) orthogonal: the eigenvectors of Sigma, in columns."""
        (dim,) = self.shape
        if not self.rotate:
            return np.eye(dim)
        entries = np.random.default_rng(derive_seed("basis", dim)).standard_normal((dim, dim))
        q, r = np.linalg.qr(entries)
        basis: Array = q * np.sign(np.diagonal(r))  # signs that make Q uniform over the orthogonal group
        return basis

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        return rng.standard_normal((count, *self.shape)) * np.sqrt(self.spectrum) @ self.basis.T

    def exact_log_density(self, x: Tensor) -> Tensor:
        spectrum, basis = (torch.from_numpy(values).to(x.device) for values in (self.spectrum, self.basis))
        distances = ((x @ basis).square() / spectrum).sum(1)
        return -0.5 * (distances + (2 * math.pi * spectrum).log().sum())

    def noise_predictor(self, num_steps: int) -> GaussianPredictor:
        return GaussianPredictor(
            LinearSchedule(num_steps), torch.from_numpy(self.spectrum), torch.from_numpy(self.basis)
        )


class GaussianMixture(SyntheticDataset):
    """A mixture of isotropic Gaussians of one size: on a circle in the plane, or with given means."""

    name = "gaussian_mixture"

    def __init__(
        self,
        *,
        components: int = 8,
        radius: float = 1.0,
        scale: float = 0.1,
        weights: list[float] | None = None,
        means: list[float] | None = None,
        dim: int = 2,
        count: int = 10_000,
        test_count: int | None = None,
        seed: int = 0,
    ) -> None:
        """`scale`: standard deviation of each component. `weights`: one a component, made to sum to 1; equal
        by default. `means`: components x dim numbers, component by component; by default evenly spaced on the
        circle of the given `radius` around 0, which needs dim = 2.
        """
        super().__init__(count=count, test_count=test_count, seed=seed)
        if components < 1:
            raise UserError(f"components = {components}: at least 1")
        if not 0 < scale < math.inf:
            raise UserError(f"scale = {scale}: a positive standard deviation")
        self.shape = (dim,)
        self.scale = scale
        self.means = _on_circle(components, radius, dim) if means is None else _given(means, components, dim)
        self.weights = _normalised([1.0] * components if weights is None else weights, components)

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        which = rng.choice(len(self.weights), size=count, p=self.weights)
        return self.means[which] + self.scale * rng.standard_normal((count, *self.shape))

    def exact_log_density(self, x: Tensor) -> Tensor:
        weights, means = (torch.from_numpy(values).to(x.device) for values in (self.weights, self.means))
        (dim,), variance = self.shape, self.scale**2
        # one component at a time: (n, k, dim) differences would need k times the memory of x
        distances = torch.stack([(x - mean).square().sum(1) for mean in means], 1)
        terms = weights.log() - distances / (2 * variance)
        return terms.logsumexp(1) - dim / 2 * math.log(2 * math.pi * variance)

    def noise_predictor(self, num_steps: int) -> MixturePredictor:
        weights, means = torch.from_numpy(self.weights), torch.from_numpy(self.means)
        return MixturePredictor(LinearSchedule(num_steps), weights, means, self.scale)


def _on_circle(components: int, radius: float, dim: int) -> Array:
    if dim != 2:
        raise UserError(f"dim = {dim}: give `means`, components x dim numbers (the circle lies in the plane)")
    angles = 2 * math.pi * np.arange(components) / components
    return radius * np.stack([np.cos(angles), np.sin(angles)], 1)


def _given(means: list[float], components: int, dim: int) -> Array:
    if len(means) != components * dim:
        raise UserError(f"means: {len(means)} numbers, components x dim = {components} x {dim} are needed")
    return np.array(means, dtype=np.float64).reshape(components, dim)


def _normalised(weights: list[float], components: int) -> Array:
    if len(weights) != components or not all(0 < w < math.inf for w in weights):
        raise UserError(f"weights = {weights}: {components} positive numbers, one a component")
    return np.array(weights, dtype=np.float64) / sum(weights)
