"""Likelihood regret of a linear autoencoder, whose best posterior is known."""

from __future__ import annotations

import math

import pytest
import torch
from mfbench_ood.regret import LikelihoodRegret
from mfbench_ood.vae import ConvVAE
from ood_fakes import LinearVAE, Squares, linear_map
from protocol_fakes import fitted, seeded

from mfbench import UserError
from mfbench.measures import auroc

B = torch.linspace(0.2, 0.8, 6, dtype=torch.float64)
X = torch.rand(8, 1, 1, 6, generator=seeded(), dtype=torch.float64)
S = 0.8


def regret_of_the_prior(vae, x):
    """max_q ELBO - ELBO(N(0, I)), q Gaussian with independent coordinates.

    The best q has the posterior's mean and the variances 1 / Lambda_ii, Lambda its precision: it falls short
    of log p by (sum log Lambda_ii - log det Lambda) / 2. With q the prior the KL is 0.
    """
    precision, dim = vae.precision, x[0].numel()
    best = vae.log_density(x) - (precision.diagonal().log().sum() - precision.logdet()) / 2
    squares = (x.flatten(1) - vae.b).square().sum(1) + vae.W.square().sum()
    return best + dim / 2 * math.log(2 * math.pi * vae.s**2) + squares / (2 * vae.s**2)


@pytest.mark.parametrize("orthogonal", [True, False])
def test_it_is_the_closed_form(orthogonal):
    W = linear_map(6, 2, orthogonal=orthogonal) / 2
    vae = LinearVAE(W, B, S, A=torch.zeros(2, 6, dtype=W.dtype), c=torch.zeros(2, dtype=W.dtype))
    found = LikelihoodRegret(vae, steps=400, samples=10_000).score(X, rng=seeded())
    assert torch.allclose(-found, regret_of_the_prior(vae, X), atol=0.1)


def test_the_exact_posterior_leaves_nothing_to_regret():
    vae = LinearVAE(linear_map(6, 2, orthogonal=True), B, S)
    found = LikelihoodRegret(vae, steps=300, samples=500).score(X, rng=seeded())
    assert float(found.abs().max()) < 0.05


def test_samples_do_not_disturb_each_other():
    """Adam works coordinate by coordinate: a neighbour a thousand times as large changes nothing."""
    W = linear_map(6, 2)
    vae = LinearVAE(W, B, S, A=torch.zeros(2, 6, dtype=W.dtype), c=torch.zeros(2, dtype=W.dtype))
    method = LikelihoodRegret(vae, steps=50, samples=5)
    beside = torch.cat([X[:1], X[1:2]]), torch.cat([X[:1], 1000 * X[1:2]])
    one, other = (float(method.score(x, rng=seeded())[0]) for x in beside)
    assert one == pytest.approx(other, rel=1e-9)


def test_seen_above_unseen():
    data = Squares()
    vae = fitted(ConvVAE("gaussian", latent=4, width=4, iterations=300, learning_rate=5e-3), data)
    method = fitted(LikelihoodRegret(vae, steps=40), data)
    seen, unseen = (method.score(each.test.x, rng=seeded()) for each in (data, Squares(noisy=True)))
    assert auroc(seen, unseen) > 0.9
    assert float(seen.mean()) < 0  # the encoder is not perfect
    assert torch.equal(seen, method.score(data.test.x, rng=seeded()))
    assert not torch.is_grad_enabled() or not seen.requires_grad


def test_bad_input_is_told():
    with pytest.raises(UserError, match="likelihood_regret: steps = 0"):
        LikelihoodRegret(ConvVAE(), steps=0)
    with pytest.raises(UserError, match="likelihood_regret: generator"):
        LikelihoodRegret("vae").build(Squares().spec())
