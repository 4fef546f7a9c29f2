"""What the tests of autoencoders share: small budgets, random posteriors, images with other labels."""

from __future__ import annotations

import torch
from mfbench_vae.posterior import Posterior
from protocol_fakes import seeded

import mfbench
from mfbench.testing.data import TinyImages

SMALL = {"width": 32, "iterations": 10, "batch_size": 32}
UNGUIDED = (
    "grid_vae",
    "fsq_vae",
    "qlae",
    "vae",
    "beta_vae",
    "beta_tcvae",
    "factor_vae",
    "dc_vae",
    "lstm_sender",
)
GUIDED = ("guided_grid_vae", "guided_vae")
MESSAGES = ("grid_vae", "guided_grid_vae", "fsq_vae", "qlae", "lstm_sender")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def posteriors(count, dim, *, seed=0, spread=2.0):
    """Random q(z | x) in float64."""
    return Posterior(spread * normal(count, dim, seed=seed), normal(count, dim, seed=seed + 1) - 0.5)


def made(name, **parameters):
    """The method of that name, with a small budget."""
    return mfbench.get("disentangler", name, **{**SMALL, **parameters})


class Relabelled(TinyImages):
    """The same images; `relabel` makes other attributes (n, 2) of the right ones."""

    def __init__(self, relabel, **shape):
        super().__init__(**shape)
        self.relabel = relabel

    def make_split(self, split):
        right = super().make_split(split)
        return mfbench.Split(right.x, right.y, self.relabel(right.attributes), names=right.names)
