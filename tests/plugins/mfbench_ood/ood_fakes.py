"""Diffusion models without error, image sets without files, and a linear autoencoder: all in closed form."""

from __future__ import annotations

import math

import torch
from mfbench_ood.autoencoder import Autoencoder
from mfbench_ood.pixels import Gaussian as GaussianPixels
from mfbench_ood.vae import ConvVAE
from torch import nn

from mfbench import Dataset, DiffusionModel, Likelihood, Split
from mfbench.datasets.analytic import Gaussian


def gaussian(spectrum, count=400, **parameters):
    return Gaussian(dim=len(spectrum), spectrum=list(spectrum), count=count, **parameters)


class Exact(DiffusionModel):
    """The data set's closed-form predictor. Model space is data space times `scale`, plus `shift`."""

    def __init__(self, data, num_steps=1000, scale=1.0, shift=0.0):
        self.predictor = data.noise_predictor(num_steps)
        self.scale, self.shift = scale, shift

    def to_model(self, x):
        return x * self.scale + self.shift

    def to_data(self, x):
        return (x - self.shift) / self.scale


class Squares(Dataset):
    """Grey 8 x 8 images, a square at a random place on a faint ground; `noisy`: uniform noise instead."""

    def __init__(self, noisy=False, *, seed=0):
        super().__init__(seed=seed)
        self.noisy, self.name, self.shape = noisy, "noise" if noisy else "squares", (1, 8, 8)

    def make_split(self, split):
        rng = torch.Generator().manual_seed(["train", "val", "test"].index(split) + 10 * self.noisy)
        count = {"train": 300, "val": 100, "test": 100}[split]
        x = torch.rand(count, 1, 8, 8, generator=rng)
        if not self.noisy:
            x *= 0.1
            corners = torch.randint(5, (count, 2), generator=rng).tolist()
            for image, (top, left) in zip(x, corners):
                image[0, top : top + 3, left : left + 3] += 0.8
        return Split((x * 255).round() / 255)


class Fixed(Likelihood):
    """log p(x) = minus half the squared length."""

    def log_prob(self, x, *, rng=None):
        return -x.flatten(1).square().sum(1) / 2


class OnlyRanks(Likelihood):
    bound = "score"

    def score(self, x, *, rng=None):
        return x.flatten(1).sum(1)


class LinearVAE(ConvVAE):
    """x = W z + b + s noise in float64 pixels (1, 1, D), with the encoder N(A (x - b), diag(exp(2 c))).

    By default the encoder is the exact posterior, where W has orthogonal columns.
    """

    def __init__(self, W, b, s, A=None, c=None):
        super().__init__("gaussian", latent=W.shape[1])
        self.shape = (1, 1, len(W))
        self.W, self.b, self.s = W, b, s
        self.precision = torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / s**2
        A = torch.linalg.solve(self.precision, W.T / s**2) if A is None else A
        c = -self.precision.diagonal().log() / 2 if c is None else c
        law = GaussianPixels()
        law.log_scale = nn.Parameter(torch.tensor(math.log(s), dtype=W.dtype))
        self._use(Autoencoder(_Encode(A, b, c), _Decode(W, b), law))

    def log_density(self, x):
        """log N(x; b, W W^T + s^2 I)."""
        covariance = self.W @ self.W.T + self.s**2 * torch.eye(len(self.W), dtype=self.W.dtype)
        return torch.distributions.MultivariateNormal(self.b, covariance).log_prob(x.flatten(1))


class _Encode(nn.Module):
    def __init__(self, A, b, c):
        super().__init__()
        self.A, self.b, self.c = A, b, c

    def forward(self, x):
        mean = (x.flatten(1) - self.b) @ self.A.T
        return mean, self.c.expand_as(mean)


class _Decode(nn.Module):
    def __init__(self, W, b):
        super().__init__()
        self.W, self.b = W, b

    def forward(self, z):
        return (z @ self.W.T + self.b)[:, None, None, None]


def linear_map(dim, latent, seed=0, orthogonal=False):
    """W (dim, latent) float64."""
    W = torch.randn(dim, latent, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.linalg.qr(W).Q * torch.linspace(0.5, 1.5, latent, dtype=W.dtype) if orthogonal else W
