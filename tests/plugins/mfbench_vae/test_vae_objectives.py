"""Objectives: the ELBO of a linear-Gaussian model, adversaries, guidance, quantisers, senders."""

from __future__ import annotations

import math

import pytest
import torch
from mfbench_vae import vae
from mfbench_vae.classifiers import AttributeClassifiers
from mfbench_vae.dc_vae import Critic
from mfbench_vae.factor_vae import permuted_dimensions
from mfbench_vae.lstm_sender import Speaker
from mfbench_vae.pixels import Bernoulli, Gaussian
from mfbench_vae.quantised import straight_through
from mfbench_vae.training import Batch, shuffled_rows
from protocol_fakes import fitted, seeded
from torch import nn
from torch.distributions import MultivariateNormal, Normal
from torch.nn.functional import cross_entropy
from vae_fakes import made, normal

import mfbench
from mfbench.testing.data import TinyImages


def batch_of(x, attributes=None, done=1.0):
    return Batch(x, attributes, len(x), done, seeded())


# -- the ELBO -----------------------------------------------------------------------------------------------


class ExactPosterior(nn.Module):
    """Mean and log-standard-deviation of p(z | x) for x = W z + b + std eps, W's columns orthogonal."""

    def __init__(self, weight, bias, std):
        super().__init__()
        self.weight, self.bias, self.std = weight, bias, std

    def forward(self, x):
        precision = 1 + self.weight.square().sum(0) / self.std**2
        mean = (x.flatten(1) - self.bias) @ self.weight / self.std**2 / precision
        return torch.cat([mean, (-precision.log() / 2).expand_as(mean)], dim=1)


class Linear(nn.Module):
    def __init__(self, weight, bias):
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, z):
        return (z @ self.weight.T + self.bias).unflatten(1, (1, 2, 3))


def linear_gaussian(std=0.3):
    """A VAE that is p(z) = N(0, I), p(x | z) = N(W z + b, std^2 I), encoded by p(z | x); and its p(x)."""
    weight = torch.linalg.qr(normal(6, 2)).Q * torch.tensor([1.5, 0.7]).double()
    bias = normal(6, seed=1)
    method = made("vae", latent=2, pixels="gaussian", pixel_std=std)
    method.networks = nn.ModuleDict(
        {"encoder": ExactPosterior(weight, bias, std), "decoder": Linear(weight, bias)}
    )
    evidence = MultivariateNormal(bias, weight @ weight.T + std**2 * torch.eye(6).double())
    return method, evidence


def test_the_elbo_is_log_p_at_the_exact_posterior(monkeypatch):
    """The mean over +-sqrt(2) along each axis is exact: log p(x | z) is quadratic in the noise."""
    method, evidence = linear_gaussian()
    x = evidence.sample((20,)) + normal(20, 6, seed=4)
    corners = math.sqrt(2) * torch.cat([torch.eye(2), -torch.eye(2)]).double()
    elbos = []
    for corner in corners:
        monkeypatch.setattr(vae, "normal_like", lambda like, rng, corner=corner: corner.expand_as(like))
        elbos.append(method.elbo(x.reshape(20, 1, 2, 3), rng=seeded()))
    assert torch.allclose(torch.stack(elbos).mean(0), evidence.log_prob(x), rtol=1e-10)


def test_the_elbo_is_below_log_p_elsewhere():
    method, evidence = linear_gaussian()
    x = evidence.sample((500,))
    method.networks["encoder"].bias = method.networks["encoder"].bias + 0.2
    assert method.elbo(x.reshape(500, 1, 2, 3), rng=seeded()).mean() < evidence.log_prob(x).mean() - 0.01


def test_laws_of_pixels():
    outputs, x = normal(4, 1, 2, 2), normal(4, 1, 2, 2, seed=1).sigmoid()
    law = Normal(outputs.flatten(1), 0.2)
    assert torch.allclose(Gaussian(0.2).log_prob(outputs, x), law.log_prob(x.flatten(1)).sum(1))
    ink = outputs.sigmoid()
    expected = (x * ink.log() + (1 - x) * (1 - ink).log()).flatten(1).sum(1)
    assert torch.allclose(Bernoulli().log_prob(outputs, x), expected)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("beta_vae", {"beta": 1.0}),
        ("beta_tcvae", {"beta": 1.0}),
        ("factor_vae", {"gamma": 0.0}),
        ("guided_vae", {"rest": 1, "beta": 1.0}),
    ],
)
def test_descendants_of_the_vae_have_its_objective_at_the_weight_that_takes_them_back(name, parameters):
    data = TinyImages()
    method = made(name, **({"latent": 3} if name != "guided_vae" else {}), **parameters)
    plain = made("vae", latent=3)
    for each in (method, plain):
        each.build(data.spec())
    method.networks.load_state_dict(plain.networks.state_dict())
    batch = data.train.x[:40]
    assert torch.allclose(method.objective(batch_of(batch)), plain.objective(batch_of(batch)), rtol=1e-5)


def test_beta_tcvae_is_not_beta_vae():
    """The weighed part is the total correlation alone: it depends on the other images of the batch."""
    data = TinyImages()
    method = made("beta_tcvae", latent=3, beta=10.0)
    method.build(data.spec())
    q, z = method.drawn(batch_of(data.train.x[:40]))
    batch = batch_of(data.train.x[:40])
    excess = method.penalty(q, z, batch) - q.divergence().sum(1).mean()
    assert abs(excess / 9 - q.divergence().sum(1).mean()) > 0.1


def test_weights_grow_during_the_warm_up():
    data = TinyImages()
    method = made("beta_vae", latent=3, beta=8.0, warm_up=0.5)
    method.build(data.spec())
    q, z = method.drawn(batch_of(data.train.x))
    found = [method.penalty(q, z, batch_of(data.train.x, done=done)).item() for done in (0.0, 0.25, 0.5, 1.0)]
    full = 8 * q.divergence().sum(1).mean().item()
    assert found == pytest.approx([0, full / 2, full, full])


# -- grid ---------------------------------------------------------------------------------------------------


def test_kinds_of_divergence_are_ordered():
    """Aggregate <= conditional (their difference: the information of z about x) <= nearest + log K."""
    data = TinyImages()
    method = made("grid_vae")
    method.build(data.spec())
    method.prepare(data.train.x)
    q = method.posterior(data.train.x.repeat(20, 1, 1, 1))
    z = q.at(torch.randn(q.mean.shape, generator=seeded()))
    found = {}
    for kind in ("aggregate", "conditional", "nearest"):
        method.kl = kind
        found[kind] = method.divergence(q, z, len(z)).mean()
    assert -0.1 < found["aggregate"] < found["conditional"]
    assert found["conditional"] < found["nearest"] + method.grid_prior.log_count


def test_codes_of_the_centres_head_begin_uncorrelated_about_the_middle_of_the_grid():
    data = TinyImages()
    spreads = {}
    for sharpness in (0.1, 1.0):
        method = made("grid_vae", grid=[0.0, 1.0, 2.0, 3.0])
        method.build(data.spec())
        method.begin(data.train.x, sharpness)
        mean = method.encode(data.train.x).double()
        assert torch.allclose(mean.mean(0), torch.full((2,), 1.5).double(), atol=0.1)
        assert torch.corrcoef(mean.T)[0, 1].abs() < 0.1
        assert 0 < mean.min() < mean.max() < 3
        spreads[sharpness] = mean.std(0)
    assert torch.allclose(spreads[0.1], torch.full((2,), 0.1 * 1.25**0.5).double(), rtol=0.1)
    assert (spreads[1.0] > 0.5).all()


def test_the_centres_head_soon_tells_values_in_any_order():
    """0, 2, 1 along a line are no monotone function: what the head is for."""
    x = torch.linspace(0, 1, 300)[:, None, None, None].expand(-1, 1, 8, 8).contiguous()
    told = torch.tensor([0.0, 2.0, 1.0])[torch.arange(300) // 100, None]
    method = made("guided_grid_vae", prior_std=0.2)
    method.build(mfbench.DataSpec(shape=(1, 8, 8), train_count=300, attributes=("place",)))
    method._axes = [[0.0, 1.0, 2.0]]
    method._new_networks(seeded())
    method.networks["encoder"].standardise(x)
    method.prepare(x)
    optimiser = torch.optim.Adam(method.networks.parameters(), lr=5e-3)
    for _ in range(60):
        loss = method.grid_prior.nearest_divergence(method.posterior(x), told).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (method.symbols(x) == told).float().mean() > 0.9


def test_codes_begin_spread_over_the_grid():
    data = TinyImages()
    method = made("grid_vae", grid=[0.0, 1.0, 2.0, 3.0], head="linear")
    method.build(data.spec())
    method.prepare(data.train.x)
    mean = method.encode(data.train.x).double()
    assert torch.allclose(mean.mean(0), torch.full((2,), 1.5).double(), atol=1e-3)
    assert torch.allclose(torch.cov(mean.T), 1.25 * torch.eye(2).double(), atol=1e-2)
    assert len(method.symbols(data.train.x).unique(dim=0)) > 8


def test_outputs_that_never_change_are_left_alone():
    method = made("grid_vae")
    method.build(TinyImages().spec())
    x = torch.full((50, 1, 16, 16), 0.3)
    x[:25] = 0.7
    method.prepare(x)  # two different images: one direction of two
    weight = method.networks["encoder"].out.weight
    assert torch.isfinite(weight).all()
    assert weight.abs().max() < 1e3


# -- adversaries and guidance -------------------------------------------------------------------------------


def test_dimensions_are_permuted_each_on_its_own():
    z = torch.stack([torch.arange(200.0)] * 3, dim=1)
    permuted = permuted_dimensions(z, seeded())
    assert torch.equal(permuted.sort(dim=0).values, z)
    assert (permuted[:, 0] == permuted[:, 1]).double().mean() < 0.05


def test_the_discriminator_of_factor_vae_finds_the_total_correlation(monkeypatch):
    """Density ratio: E[log D / (1 - D)] of the trained discriminator is TC, here of a Gaussian."""
    method = made("factor_vae", latent=2, batch_size=512)
    critics = method.make_critics(None)
    method.critics = critics
    correlation = 0.8
    optimiser = torch.optim.Adam(critics.parameters(), lr=2e-3)
    rng = seeded()

    def codes(count):
        one, other = torch.randn(2, count, generator=rng)
        return torch.stack([one, correlation * one + math.sqrt(1 - correlation**2) * other], dim=1)

    monkeypatch.setattr(method, "drawn", lambda batch: (None, codes(512)))
    for _ in range(200):
        loss = method.critic_loss(batch_of(torch.zeros(512)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        real, permuted = critics["discriminator"](codes(20_000)).unbind(1)
    assert abs((real - permuted).mean() + math.log(1 - correlation**2) / 2) < 0.12


def classifiers():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AttributeClassifiers(2, [[0.0, 1.0], [3.0, 4.0, 5.0]])


def test_classifiers_tell_the_labels_that_are_given():
    heads = classifiers()
    inputs = normal(4, 2, 2).float()
    attributes = torch.tensor([[0.0, 3.0], [1.0, 5.0], [torch.nan, 4.0], [1.0, torch.nan]])
    logs = heads(inputs)
    assert torch.isneginf(logs[:, 0, 2]).all()
    first = cross_entropy(logs[[0, 1, 3], 0, :2], torch.tensor([0, 1, 1]), reduction="sum")
    second = cross_entropy(logs[:3, 1], torch.tensor([0, 2, 1]), reduction="sum")
    assert torch.allclose(heads.told(inputs, attributes), (first + second) / 4)


def test_confusion_is_least_where_nothing_can_be_told():
    heads = classifiers()
    for parameter in heads.parameters():
        parameter.data.zero_()
    attributes = torch.tensor([[0.0, 3.0]] * 5)
    nothing = heads.confusion(torch.zeros(5, 2, 2), attributes)
    assert nothing.item() == pytest.approx(math.log(2) + math.log(3))
    assert classifiers().confusion(3 * normal(5, 2, 2).float(), attributes) > nothing


def test_inhibition_sees_all_dimensions_but_one():
    method = made("guided_vae", rest=2)
    method.build(TinyImages().spec())
    z = normal(3, 4)
    seen = method._others(z)
    assert seen.shape == (3, 2, 4)
    assert torch.equal(seen[:, 0, 1:], z[:, 1:])
    assert not seen[:, 0, 0].any()
    assert not seen[:, 1, 1].any()


def test_layers_of_the_critic_do_not_stretch():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        critic = Critic(nn.Sequential(nn.Flatten(), nn.Linear(16, 128)))
    for _ in range(30):
        said, seen = critic(normal(5, 1, 4, 4).float())
    layers = [critic.body[1].weight, critic.says.weight]
    norms = [torch.linalg.matrix_norm(weight, 2).item() for weight in layers]
    assert norms == pytest.approx([1, 1], rel=1e-3)
    assert said.shape == (5,)
    assert torch.allclose(seen.norm(dim=1), torch.ones(5))


def test_the_contrast_is_low_where_each_image_has_its_own_reconstruction():
    method = made("dc_vae")
    own = torch.eye(6)
    assert method._contrast(own, own) < 1e-4
    assert method._contrast(own.roll(1, 0), own) > 10
    assert method._contrast(own[:1].expand(6, -1), own[:1].expand(6, -1)).item() == pytest.approx(math.log(6))


# -- quantisers ---------------------------------------------------------------------------------------------


def test_gradients_pass_straight_through():
    x = normal(5).requires_grad_()
    y = straight_through(x.round(), x)
    assert torch.equal(y, x.round())
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], torch.ones(5).double())


@pytest.mark.parametrize("levels", [2, 3, 5, 6])
def test_fsq_has_as_many_levels_as_asked_for(levels):
    method = made("fsq_vae", latent=1, levels=levels)
    codes = method.codes(torch.linspace(-8, 8, 2001)[:, None])
    assert codes.unique().tolist() == list(range(levels))
    assert torch.allclose(method.codes(torch.tensor([[-1e6], [1e6]])), torch.tensor([[0.0], [levels - 1]]))


def test_qlae_takes_the_nearest_value_and_moves_it():
    data = TinyImages()
    method = made("qlae", latent=2, levels=3)
    method.build(data.spec())
    codebook = method.networks["codebook"].requires_grad_(True)
    assert codebook.index(torch.tensor([[-9.0, 0.2], [0.3, 9.0]])).tolist() == [[0, 1], [2, 2]]
    method.quantisation = 0.0
    moves = []
    for weight in (0.0, 0.01):
        method.quantisation = weight
        loss = method.objective(batch_of(data.train.x))
        moves.append(torch.autograd.grad(loss, codebook.values)[0].abs().sum())
    assert moves[0] == 0  # the reconstruction error does not reach the values
    assert moves[1] > 0


def test_symbols_of_qlae_are_ordered_by_value():
    data = TinyImages()
    method = made("qlae", latent=1, levels=3)
    method.build(data.spec())
    method.networks["codebook"].values.data = torch.tensor([[0.5, -0.5, 0.0]])
    order = method.encode(data.test.x)[:, 0].argsort()
    symbols = method.symbols(data.test.x)[order, 0]
    assert (symbols.diff() >= 0).all()


# -- the sequential sender ----------------------------------------------------------------------------------


def speaker():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Speaker(8, 4).double()


def test_messages_are_one_hot_and_drawn_as_often_as_they_are_likely():
    talk, hidden = speaker(), normal(1, 8)
    message = talk(hidden.expand(20_000, 8), 1, 1.0, seeded())
    assert set(message.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(message.sum(2), torch.ones(20_000, 1).double())
    state = talk.cell(torch.zeros(1, 4).double(), (hidden, torch.zeros_like(hidden)))
    likely = talk.says(state[0]).softmax(1)[0]
    assert torch.allclose(message.mean(0)[0], likely, atol=0.02)


def test_later_symbols_depend_on_earlier_ones_and_gradients_reach_the_thought():
    talk = speaker()
    hidden = normal(6, 8).requires_grad_()
    message = talk(hidden, 3, 1.0, seeded())
    assert message.shape == (6, 3, 4)
    (gradient,) = torch.autograd.grad((message * normal(6, 3, 4, seed=2)).sum(), hidden)
    assert gradient.abs().sum() > 0
    assert torch.equal(talk(hidden, 3), talk(hidden, 3))


def test_every_row_comes_once_before_any_comes_again():
    rows = shuffled_rows(torch.arange(10), 4, seeded())
    drawn = torch.cat([next(rows) for _ in range(5)])
    assert sorted(drawn[:10].tolist()) == sorted(drawn[10:].tolist()) == list(range(10))


def test_training_of_each_objective_lowers_it():
    """On held-out images: 60 steps against none."""
    data = TinyImages()
    fast = {"learning_rate": 5e-3}
    for name in ("grid_vae", "vae", "beta_tcvae", "fsq_vae", "qlae", "lstm_sender", "factor_vae"):
        before = fitted(made(name, iterations=0, **fast), data).held_out(data.val.x)
        assert fitted(made(name, iterations=60, **fast), data).held_out(data.val.x) < before - 5, name
