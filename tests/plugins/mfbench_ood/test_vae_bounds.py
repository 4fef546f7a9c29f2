"""The autoencoder's densities and bounds: laws that integrate to one, and a linear model in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mfbench_ood.pixels import LAWS
from mfbench_ood.posterior import Posterior
from mfbench_ood.vae import ConvVAE
from mfbench_ood.vae_bounds import EvidenceLowerBound, ImportanceWeightedBound
from ood_fakes import LinearVAE, Squares, linear_map
from protocol_fakes import Normal, fitted, seeded
from scipy.stats import logistic
from torch.distributions import Independent, kl_divergence
from torch.distributions import Normal as Gauss

from mfbench import HasELBO, Unsupported, UserError
from mfbench.measures import auroc

B = torch.linspace(0.2, 0.8, 6, dtype=torch.float64)
X = torch.rand(12, 1, 1, 6, generator=seeded(), dtype=torch.float64)


def law_log_prob(name, output, x):
    """log p of single pixel values x (m,) for one output (parameters,)."""
    law = LAWS[name]().double()
    return law.log_prob(output.view(1, -1, 1, 1, 1).expand(len(x), -1, 1, 1, 1), x.view(-1, 1, 1, 1)).detach()


LOGISTICS = [[0.0, -3.0], [0.5, -2.0], [0.97, -6.0], [-0.3, -1.0], [0.4, -9.0], [2.0, 0.5]]
"""Locations and log-scales."""


@pytest.mark.parametrize("output", LOGISTICS)
def test_the_discretised_logistic_is_a_density(output):
    levels = torch.arange(256, dtype=torch.float64) / 255
    output = torch.tensor(output, dtype=torch.float64)
    found = law_log_prob("discretised_logistic", output, levels).exp() / 256
    assert float(found.sum()) == pytest.approx(1, abs=1e-12)
    edges = logistic(float(output[0]), math.exp(max(-7.0, float(output[1])))).cdf(np.arange(1, 256) / 256)
    expected = np.diff(np.concatenate([[0.0], edges, [1.0]]))
    assert found.numpy() == pytest.approx(expected, rel=1e-6, abs=1e-13)


@pytest.mark.parametrize("logit", [-8.0, -0.5, 0.0, 1e-4, 3.0])
def test_the_continuous_bernoulli_is_a_density(logit):
    x = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    found = law_log_prob("continuous_bernoulli", torch.tensor([logit], dtype=torch.float64), x)
    assert float(found.exp().mean()) == pytest.approx(1, abs=1e-6)


def test_the_gaussian_law_is_torchs():
    law, x = LAWS["gaussian"]().double(), torch.rand(5, 2, 3, 3, dtype=torch.float64, generator=seeded())
    output = torch.rand(5, 1, 2, 3, 3, dtype=torch.float64, generator=seeded(1))
    expected = Independent(Gauss(output[:, 0], law.log_scale.exp()), 3).log_prob(x)
    assert torch.allclose(law.log_prob(output, x), expected)


@torch.no_grad()
@pytest.mark.parametrize("name", sorted(LAWS))
def test_draws_follow_the_law(name):
    """The mean and spread of many draws, against the law's own moments by summation."""
    law = LAWS[name]().double()
    output = torch.tensor([0.4, -3.0], dtype=torch.float64)[: law.parameters_per_value]
    if name == "gaussian":
        law.log_scale.data.fill_(-3.0)
    draws = law.sample(output.view(1, -1, 1, 1, 1).expand(40_000, -1, 1, 1, 1), seeded()).flatten()
    grid = torch.arange(256, dtype=torch.float64) / 255
    law_at = law.log_prob(output.view(1, -1, 1, 1, 1).expand(256, -1, 1, 1, 1), grid.view(-1, 1, 1, 1))
    mass = law_at.detach().softmax(0)
    mean = (mass * grid).sum()
    assert float(draws.mean()) == pytest.approx(float(mean), abs=0.006)
    assert float(draws.std()) == pytest.approx(float((mass * (grid - mean) ** 2).sum().sqrt()), rel=0.03)


def test_the_divergence_is_torchs():
    q = Posterior(torch.randn(4, 3, generator=seeded()), torch.randn(4, 3, generator=seeded(1)) / 2)
    torchs = Independent(Gauss(q.mean, q.log_std.exp()), 1)
    prior = Independent(Gauss(torch.zeros(4, 3), torch.ones(4, 3)), 1)
    assert torch.allclose(q.divergence(), kl_divergence(torchs, prior), atol=1e-5)
    noise = torch.randn(4, 3, generator=seeded(2))
    assert torch.allclose(q.log_prob(noise), torchs.log_prob(q.at(noise)), atol=1e-4)


@pytest.mark.parametrize("samples", [1, 3, 64])
def test_at_the_exact_posterior_every_weight_is_the_density(samples):
    vae = LinearVAE(linear_map(6, 3, orthogonal=True), B, 0.3)
    found = ImportanceWeightedBound(vae, samples=samples).log_prob(X, rng=seeded())
    assert torch.allclose(found, vae.log_density(X), rtol=1e-10)


def test_at_the_exact_posterior_the_elbo_is_the_density():
    vae = LinearVAE(linear_map(6, 3, orthogonal=True), B, 0.3)
    found = EvidenceLowerBound(vae, samples=20_000).log_prob(X, rng=seeded())
    assert torch.allclose(found, vae.log_density(X), atol=0.06)


def test_the_bound_rises_with_the_samples_and_stays_below_the_density():
    """The encoder is the prior, a poor proposal. Means over many copies: their errors are below the gaps."""
    W = linear_map(6, 2)
    vae = LinearVAE(W, B, 0.7, A=torch.zeros(2, 6, dtype=W.dtype), c=torch.zeros(2, dtype=W.dtype))
    x = X[:1].expand(4000, 1, 1, 6)
    elbo = float(EvidenceLowerBound(vae, samples=1).log_prob(x, rng=seeded()).mean())
    bounds = [
        float(ImportanceWeightedBound(vae, samples=k).log_prob(x, rng=seeded(k)).mean())
        for k in (1, 4, 16, 64)
    ]
    truth = float(vae.log_density(X[:1]))
    assert bounds == sorted(bounds)
    assert bounds[0] == pytest.approx(elbo, abs=1.0)
    assert bounds[-1] < truth + 0.01
    assert truth - bounds[-1] < (truth - bounds[0]) / 10


@pytest.fixture(scope="module")
def data():
    return Squares()


@pytest.fixture(scope="module", params=sorted(LAWS))
def vae(request, data):
    return fitted(ConvVAE(request.param, latent=4, width=4, iterations=150, learning_rate=5e-3), data)


def test_training_helps_and_seen_is_above_unseen(vae, data):
    untrained = fitted(ConvVAE(vae.pixels, latent=4, width=4, iterations=0), data)
    before, after = (
        EvidenceLowerBound(each).log_prob(data.test.x, rng=seeded()) for each in (untrained, vae)
    )
    assert float(after.mean()) > float(before.mean()) + 5
    assert auroc(after, EvidenceLowerBound(vae).log_prob(Squares(noisy=True).test.x, rng=seeded())) > 0.95


def test_samples_are_images_drawn_from_the_generator(vae):
    samples = vae.sample(5, rng=seeded())
    assert samples.shape == (5, 1, 8, 8)
    assert 0 <= samples.min() <= samples.max() <= 1
    assert torch.equal(samples, vae.sample(5, rng=seeded()))


def test_state_round_trip(vae, data):
    copy = ConvVAE(vae.pixels, latent=4, width=4)
    copy.build(data.spec())
    copy.load_state_dict(vae.state_dict())
    one, other = (EvidenceLowerBound(each).log_prob(data.test.x, rng=seeded()) for each in (vae, copy))
    assert torch.equal(one, other)


def test_the_same_seed_gives_the_same_networks_and_leaves_the_global_generator(data):
    state = torch.get_rng_state()
    one, two, other = (fitted(ConvVAE(width=2, iterations=2), data, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name])
    assert any(not torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_the_elbo_has_gradients_in_x(vae, data):
    method = EvidenceLowerBound(vae)
    assert isinstance(method, HasELBO)
    x = data.test.x[:3].clone().requires_grad_()
    method.elbo(x, rng=seeded()).sum().backward()
    assert float(x.grad.abs().sum()) > 0
    assert not method.log_prob(x, rng=seeded()).requires_grad


def test_odd_sizes_and_colour_are_images_too():
    vae = ConvVAE(latent=2, width=2)
    for shape in ((1, 7, 9), (3, 28, 28), (1, 1, 1)):
        vae.shape = shape
        networks = vae.make_networks(0)
        x = torch.rand(2, *shape)
        assert networks.decoder(networks.encoder(x)[0]).shape == (2, 2, *shape)


def test_bad_input_is_told(data):
    with pytest.raises(Unsupported, match="conv_vae reads images"):
        ConvVAE().build(Normal().spec())
    with pytest.raises(UserError, match="the variational autoencoder conv_vae is needed"):
        EvidenceLowerBound(Normal()).build(data.spec())
    with pytest.raises(UserError, match="samples = 0"):
        ImportanceWeightedBound(ConvVAE(), samples=0)
    with pytest.raises(UserError, match="conv_vae: latent = 0"):
        ConvVAE(latent=0)
