"""Manifolds of known dimension in a space of more: what estimators of intrinsic dimension are held to.

A manifold is drawn in as few coordinates as it takes and turned into the ambient space by a random isometry,
which depends on the number of ambient dimensions alone and not on the seed. `noise` is the standard deviation
of Gaussian noise in every ambient direction, 0 by default; the known dimension is the one before the noise.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from mfbench.datasets.exact_noise import GaussianPredictor
from mfbench.datasets.sphere_noise import SpherePredictor
from mfbench.datasets.synthetic import Array, SyntheticDataset
from mfbench.errors import Unsupported, UserError
from mfbench.identity import derive_seed
from mfbench.schedules import LinearSchedule

SPACING = 4.0
"""Between the centres of a union's spheres, which lie in a row."""


class _Embedded(SyntheticDataset):
    """What lies in `ambient` dimensions, with noise in all of them. A subclass gives `on_manifold`."""

    def __init__(self, *, ambient: int, noise: float, count: int, test_count: int | None, seed: int) -> None:
        super().__init__(count=count, test_count=test_count, seed=seed)
        if not 0 <= noise < math.inf:
            raise UserError(f"noise = {noise}: a standard deviation, 0 or more")
        self.noise = noise
        self.shape = (ambient,)

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        points = self.on_manifold(count, rng)
        return points + self.noise * rng.standard_normal(points.shape)

    def on_manifold(self, count: int, rng: np.random.Generator) -> Array:
        """(count, ambient) independent points without noise."""
        raise NotImplementedError

    def intrinsic_dimension(self, x: Tensor) -> Tensor:
        """Of the manifold that x (n, ambient) was drawn from, before the noise: (n,), in x's dtype."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"{self.name} lies in {self.shape}, x has shape {tuple(x.shape)}")
        return self.dimension_at(x.double()).to(x.dtype)

    def dimension_at(self, x: Tensor) -> Tensor:
        """The same for float64 x (n, ambient)."""
        raise NotImplementedError

    def exact_log_density(self, x: Tensor) -> Tensor:
        raise Unsupported(f"the density of data set {self.name!r} is not known")


class _Manifold(_Embedded):
    """One manifold of one dimension. A subclass gives `coordinates`, and how many `own` ones it takes."""

    def __init__(
        self,
        *,
        dimension: int = 4,
        ambient: int = 16,
        noise: float = 0.0,
        count: int = 10_000,
        test_count: int | None = None,
        seed: int = 0,
    ) -> None:
        """`dimension` of the manifold, in a space of `ambient` dimensions."""
        super().__init__(ambient=ambient, noise=noise, count=count, test_count=test_count, seed=seed)
        if dimension < 1:
            raise UserError(f"dimension = {dimension}: at least 1")
        self.dimension = dimension
        if ambient < self.own:
            raise UserError(f"ambient = {ambient}: {self.name} of dimension {dimension} needs {self.own}")

    @property
    def own(self) -> int:
        """Coordinates that the manifold takes."""
        return self.dimension + 1

    def coordinates(self, count: int, rng: np.random.Generator) -> Array:
        """(count, own) independent points in the manifold's own coordinates."""
        raise NotImplementedError

    def on_manifold(self, count: int, rng: np.random.Generator) -> Array:
        return self.coordinates(count, rng) @ isometry(*self.shape)[:, : self.own].T

    def dimension_at(self, x: Tensor) -> Tensor:
        return x.new_full((len(x),), self.dimension)


class EmbeddedSphere(_Manifold):
    """The unit sphere, uniformly: curved alike everywhere, with a noise predictor in closed form."""

    name = "embedded_sphere"

    def coordinates(self, count: int, rng: np.random.Generator) -> Array:
        return directions(count, self.own, rng)

    def noise_predictor(self, num_steps: int) -> SpherePredictor:
        """Exact for t > 0. Without noise there is no limit at t = 0 off the sphere, and NaN."""
        basis = torch.from_numpy(isometry(*self.shape))
        return SpherePredictor(LinearSchedule(num_steps), basis, self.own, self.noise)


class EmbeddedGaussian(_Manifold):
    """N(0, I) on a linear subspace: flat, with a noise predictor in closed form."""

    name = "embedded_gaussian"

    @property
    def own(self) -> int:
        return self.dimension

    @property
    def spectrum(self) -> Array:
        """(ambient,) variances along the columns of the isometry."""
        (ambient,) = self.shape
        variances: Array = (np.arange(ambient) < self.dimension).astype(np.float64) + self.noise**2
        return variances

    def coordinates(self, count: int, rng: np.random.Generator) -> Array:
        return rng.standard_normal((count, self.own))

    def exact_log_density(self, x: Tensor) -> Tensor:
        if not self.spectrum.all():
            raise Unsupported(f"data set {self.name!r} has no density without noise: it has no volume")
        spectrum, basis = (torch.from_numpy(v).to(x.device) for v in (self.spectrum, isometry(*self.shape)))
        distances = ((x @ basis).square() / spectrum).sum(1)
        return -0.5 * (distances + (2 * math.pi * spectrum).log().sum())

    def noise_predictor(self, num_steps: int) -> GaussianPredictor:
        """Exact for t > 0. Without noise there is no limit at t = 0 off the subspace, and NaN."""
        spectrum, basis = torch.from_numpy(self.spectrum), torch.from_numpy(isometry(*self.shape))
        return GaussianPredictor(LinearSchedule(num_steps), spectrum, basis)


class EmbeddedTorus(_Manifold):
    """The Clifford torus, uniformly: a unit circle for each dimension, in a plane of its own.

    Flat in itself and bent as it lies in space, without a boundary.
    """

    name = "embedded_torus"

    @property
    def own(self) -> int:
        return 2 * self.dimension

    def coordinates(self, count: int, rng: np.random.Generator) -> Array:
        angles = rng.uniform(0, 2 * math.pi, (count, self.dimension))
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


class EmbeddedRoll(_Manifold):
    """The Swiss roll, uniformly: a spiral in the plane, straight in all other directions, with edges.

    Coordinates (t cos t, t sin t) / 5 for t from 1.5 pi to 4.5 pi, and others from -1 to 1. Its turns are
    1.26 apart: who takes wider neighbourhoods sees through them.
    """

    name = "embedded_roll"

    def coordinates(self, count: int, rng: np.random.Generator) -> Array:
        t = _uniform_on_spiral(count, rng)
        straight = rng.uniform(-1, 1, (count, self.dimension - 1))
        return np.column_stack([t * np.cos(t) / 5, t * np.sin(t) / 5, straight])


class ManifoldUnion(_Embedded):
    """Unit spheres of several dimensions, equally likely, each turned at random, their centres 4 apart.

    The dimension at a point is that of the nearest of them.
    """

    name = "manifold_union"

    def __init__(
        self,
        *,
        dimensions: list[int] | None = None,
        ambient: int = 16,
        noise: float = 0.0,
        count: int = 10_000,
        test_count: int | None = None,
        seed: int = 0,
    ) -> None:
        """`dimensions` of the spheres (default: 1, 2 and 4), in a space of `ambient` dimensions."""
        super().__init__(ambient=ambient, noise=noise, count=count, test_count=test_count, seed=seed)
        self.dimensions = [1, 2, 4] if dimensions is None else dimensions
        if not self.dimensions or min(self.dimensions) < 1:
            raise UserError(f"dimensions = {dimensions}: one or more, each at least 1")
        if ambient <= max(self.dimensions):
            raise UserError(
                f"ambient = {ambient}: at least one more than the {max(self.dimensions)} of `dimensions`"
            )
        places = np.arange(len(self.dimensions)) - (len(self.dimensions) - 1) / 2
        self.centres = SPACING * places[:, None] * isometry(ambient)[:, 0]
        self.frames = [isometry(ambient, k)[:, : d + 1] for k, d in enumerate(self.dimensions)]

    def on_manifold(self, count: int, rng: np.random.Generator) -> Array:
        which = rng.integers(len(self.dimensions), size=count)
        points = self.centres[which]
        for k, frame in enumerate(self.frames):
            members = which == k
            points[members] += directions(int(members.sum()), frame.shape[1], rng) @ frame.T
        return points

    def dimension_at(self, x: Tensor) -> Tensor:
        distances = [_to_sphere(x, *pair) for pair in zip(self.centres, self.frames)]
        return x.new_tensor(self.dimensions)[torch.stack(distances).argmin(0)]


def isometry(ambient: int, *names: int) -> Array:
    """(ambient, ambient) orthogonal, uniform over the orthogonal group: the same for the same names."""
    from scipy.stats import ortho_group

    rng = np.random.default_rng(derive_seed("isometry", ambient, *names))
    matrix: Array = ortho_group.rvs(ambient, random_state=rng)
    return matrix


def directions(count: int, dim: int, rng: np.random.Generator) -> Array:
    """(count, dim) independent points, uniform on the unit sphere."""
    points = rng.standard_normal((count, dim))
    unit: Array = points / np.linalg.norm(points, axis=1, keepdims=True)
    return unit


def _uniform_on_spiral(count: int, rng: np.random.Generator) -> Array:
    """t from 1.5 pi to 4.5 pi, uniform by the arc length of (t cos t, t sin t)."""
    grid = np.linspace(1.5 * math.pi, 4.5 * math.pi, 4096)
    length = (grid * np.sqrt(1 + grid**2) + np.arcsinh(grid)) / 2
    t: Array = np.interp(rng.uniform(length[0], length[-1], count), length, grid)
    return t


def _to_sphere(x: Tensor, centre: Array, frame: Array) -> Tensor:
    """Distance, (n,), of x (n, ambient) to the unit sphere around `centre` in the span of `frame`."""
    offset = x - torch.from_numpy(centre).to(x.device)
    inside = offset @ torch.from_numpy(frame).to(x.device)
    off_plane = (offset.square().sum(1) - inside.square().sum(1)).clamp(min=0)
    distances: Tensor = ((inside.norm(dim=1) - 1).square() + off_plane).sqrt()
    return distances
