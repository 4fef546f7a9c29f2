"""Small models whose every answer is known, for the tests of defenses."""

from __future__ import annotations

import torch
from mfbench_defenses.joint_model import JointVAE
from protocol_fakes import seeded
from torch import nn

import mfbench

SIDE = 4
PIXELS = SIDE * SIDE


class LinearNetwork(nn.Module):
    """mean = A (x - m) + b, constant standard deviations, g(z) = W z + c: an ELBO that is quadratic in x."""

    def __init__(self, encoder, bias, log_std, decoder, offset, centre):
        super().__init__()
        self.register_buffer("shift", torch.zeros((), dtype=encoder.dtype))
        self.A, self.b, self.log_std = encoder, bias, log_std
        self.W, self.c, self.m = decoder, offset, centre

    def encode(self, x):
        mean = (x.flatten(1) - self.m) @ self.A.T + self.b
        return mean, self.log_std.expand(len(x), -1)

    def decode(self, z):
        return (z @ self.W.T + self.c).view(-1, 1, SIDE, SIDE)

    def classify(self, z):
        return torch.stack([-z[:, 0], z[:, 0]], dim=1)


def linear_vae(latent=3, variance=0.05, seed=0):
    """A joint_vae with some linear network, in float64."""
    rng = seeded(seed)
    encoder = 0.2 * torch.randn(latent, PIXELS, generator=rng, dtype=torch.float64)
    decoder = 0.2 * torch.randn(PIXELS, latent, generator=rng, dtype=torch.float64)
    centre = torch.full((PIXELS,), 0.5, dtype=torch.float64)
    model = JointVAE(latent=latent, variance=variance)
    model.build(mfbench.DataSpec(shape=(1, SIDE, SIDE), train_count=1, classes=2, dtype=torch.float64))
    bias = 0.1 * torch.randn(latent, generator=rng, dtype=torch.float64)
    log_std = torch.full((latent,), -1.0, dtype=torch.float64)
    model._use(LinearNetwork(encoder, bias, log_std, decoder, centre, centre))
    return model


def quadratic(model):
    """H and g of the objective -x'H x / 2 + g'x + constant."""
    net, v = model.network, model.variance
    residual = torch.eye(PIXELS, dtype=torch.float64) - net.W @ net.A  # x - g(mean(x)) = R x - r
    r = net.W @ (net.b - net.A @ net.m) + net.c
    offset = net.b - net.A @ net.m
    hessian = residual.T @ residual / v + net.A.T @ net.A
    return hessian, residual.T @ r / v - net.A.T @ offset


class Pixel(mfbench.Defense):
    """Two classes, by the mean of the pixels alone: above or below `level`."""

    def __init__(self, level=0.5, slope=20.0):
        self.level, self.slope = level, slope

    def logits(self, x):
        score = self.slope * (x.flatten(1).mean(1) - self.level)
        return torch.stack([-score, score], dim=1)
