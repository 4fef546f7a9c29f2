"""What the tests of losses share: a batch, a method with new networks, and the terms of its losses."""

from __future__ import annotations

from functools import cached_property

import pytest
import torch
from mfbench_vae.training import Batch
from protocol_fakes import seeded
from torch.distributions import Bernoulli, Normal, kl_divergence
from vae_fakes import made

from mfbench.testing.data import TinyImages

COUNT, DONE = 24, 0.25
STANDARD = Normal(torch.zeros(()).double(), torch.ones(()).double())


def images():
    return TinyImages(size=8).to("cpu", torch.float64)


def batch_of(data, told=None):
    """The encoder sees other images than the decoder should draw."""
    x = data.train.x[:COUNT]
    return Batch(x, None if told is None else told[:COUNT], len(data.train.x), DONE, seeded(), x.flip(3))


def built(name, parameters):
    """The method with new networks and critics, and a batch."""
    data, method = images(), made(name, width=8, **parameters)
    method.build(data.spec(dtype=torch.float64))
    told = method.attributes_for(data, seeded())
    method._new_networks(seeded(), told)
    method.prepare(data.train.x)
    method.critics.eval()  # else spectral norms move with every call
    return method, batch_of(data, told)


def alike(method, found, expected):
    """The same value, and the same gradients of all networks and critics."""
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)
    parameters = [*method.networks.parameters(), *method.critics.parameters()]
    gradients = [torch.autograd.grad(loss, parameters, materialize_grads=True) for loss in (found, expected)]
    for one, other in zip(*gradients):
        assert torch.allclose(one, other, rtol=1e-7, atol=1e-10)


class Terms:
    """What losses are made of, computed when first asked for, from the draws that the batch's rng gives."""

    def __init__(self, method, batch):
        self.method, self.x, self.told, self.count = method, batch.x, batch.attributes, batch.count
        self.seen, self.rng = batch.distorted, seeded()
        self.kind = getattr(method, "kl", None)

    def __getitem__(self, name):
        return {**dict(self.method.networks.items()), **dict(self.method.critics.items())}[name]

    def noise(self):
        return torch.randn(COUNT, self.method.latent, generator=self.rng, dtype=torch.float64)

    def error_of(self, inputs):
        """-log p(x | what the decoder hears), mean over images."""
        law = Bernoulli(logits=self["decoder"](inputs), validate_args=False)
        return -law.log_prob(self.x).flatten(1).sum(1).mean()

    @cached_property
    def law(self):
        q = self.method.posterior(self.seen)
        return Normal(q.mean, q.log_std.exp())

    @cached_property
    def z(self):
        return self.law.mean + self.law.stddev * self.noise()

    @cached_property
    def error(self):
        return self.error_of(self.z)

    @cached_property
    def kl(self):
        return kl_divergence(self.law, STANDARD).sum(1).mean()

    @cached_property
    def pairwise(self):
        return self.law.log_prob(self.z[:, None])

    @cached_property
    def outputs(self):
        return self["encoder"](self.seen)
