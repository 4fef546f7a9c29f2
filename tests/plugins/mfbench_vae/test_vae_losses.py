"""Losses against the same draws put together anew by torch.distributions: values and gradients."""

from __future__ import annotations

import math

import pytest
import torch
from mfbench_vae.posterior import aggregate_log_prob, total_correlation
from protocol_fakes import seeded
from torch.distributions import Categorical, MixtureSameFamily, Normal, kl_divergence
from torch.nn.functional import gumbel_softmax, nll_loss, one_hot
from vae_fakes import made
from vae_terms import COUNT, STANDARD, Terms, alike, batch_of, built, images

# -- unguided -----------------------------------------------------------------------------------------------


def vae(t):
    return t.error + t.kl


def beta_vae(t):
    return t.error + 1.5 * t.kl  # beta = 3, in the middle of the warm-up


def beta_tcvae(t):
    return t.error + t.kl + 2 * total_correlation(t.pairwise, t.count)


def factor_vae(t):
    """log D / (1 - D), D that a code is real."""
    real, permuted = t["discriminator"](t.z).log_softmax(1).unbind(1)
    return t.error + t.kl + 3 * (real - permuted).mean()


def told_from_permuted(t):
    real, other = t.z.detach().chunk(2)
    permuted = torch.stack([column[torch.randperm(COUNT // 2, generator=t.rng)] for column in other.T], 1)
    right = [t["discriminator"](codes).log_softmax(1)[:, k] for k, codes in enumerate((real, permuted))]
    return -torch.cat(right).mean()


def drawn_images(t):
    """Reconstructions and samples."""
    return [t["decoder"](z).sigmoid() for z in (t.z, t.noise())]


def contrast(t, drawn):
    """-log of the share that an image has in exp(cosine / temperature) over all images of the batch."""
    near = (t["critic"](drawn)[1] @ t["critic"](t.x)[1].T / 0.5).exp()
    return -(near.diagonal() / near.sum(1)).log().mean()


def dc_vae(t):
    pair = drawn_images(t)
    real = sum(t["critic"](drawn)[0].mean() for drawn in pair) / 2
    return contrast(t, pair[0]) - real + 2 * t.kl


def hinge(t):
    pair = [drawn.detach() for drawn in drawn_images(t)]
    right, wrong = t["critic"](t.x)[0], [t["critic"](drawn)[0] for drawn in pair]
    fakes = sum((1 + said).clamp_min(0).mean() for said in wrong) / 2
    return (1 - right).clamp_min(0).mean() + fakes + contrast(t, pair[0])


def qlae(t):
    values = t["codebook"].values
    place = (t.outputs[:, :, None] - values).abs().argmin(2)
    z = values[torch.arange(2), place]
    moved, held = (z - t.outputs.detach()).square().mean(), (z.detach() - t.outputs).square().mean()
    heard = t.outputs + (z - t.outputs).detach()
    return t.error_of(heard) + t.x[0].numel() * (0.3 * moved + 0.2 * held)


def fsq_vae(t):
    """Four levels: -3/2, ..., 3/2 of a tanh, from 0 on."""
    half = 1.5 * 1.001
    bounded = half * (t.outputs + math.atanh(0.5 / half)).tanh() + 1.5
    code = bounded + (bounded.round() - bounded).detach()
    return t.error_of((code - 1.5) / 1.5)


def lstm_sender(t):
    """By torch's own Gumbel-softmax, which draws from the global generator."""
    talk, symbol, message = t["speaker"], torch.zeros(COUNT, 4).double(), []
    state = t.outputs, torch.zeros_like(t.outputs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(3):
            state = talk.cell(symbol, state)
            symbol = gumbel_softmax(talk.says(state[0]), tau=0.5, hard=True)
            message.append(symbol)
    return t.error_of(torch.cat(message, dim=1))


# -- grids and guidance -------------------------------------------------------------------------------------


def nearest(mean, centres):
    return centres[(mean.detach()[:, :, None] - centres).abs().argmin(2)]


def mixture(centres):
    return MixtureSameFamily(Categorical(torch.ones_like(centres)), Normal(centres, 0.25))


def grid_vae(t):
    """KL of the three kinds, weighed by half of beta = 3."""
    centres = torch.tensor([-1.0, 0.0, 2.0]).double()
    ink = mixture(centres).log_prob(t.z).sum(1)
    kinds = {
        "nearest": kl_divergence(t.law, Normal(nearest(t.law.mean, centres), 0.25)).sum(1),
        "conditional": -t.law.entropy().sum(1) - ink,
        "aggregate": aggregate_log_prob(t.pairwise, t.count)[0] - ink,
    }
    return t.error + 1.5 * kinds[t.kind].mean()


def guided_grid_vae(t):
    """Dimension 0 is told of some images, 1 of none (left out), 2 is free."""
    centres, hidden = torch.tensor([0.0, 1.0]).double(), t.told[:, 0].isnan()
    assert 0 < hidden.sum() < COUNT
    aim = torch.cat([nearest(t.law.mean[:, :2], centres), torch.zeros(COUNT, 1).double()], 1)
    aim[~hidden, 0] = t.told[~hidden, 0]
    kl = kl_divergence(t.law, Normal(aim, torch.tensor([0.25, 0.25, 1.0]).double()))
    if t.kind == "conditional":
        prior = torch.cat([mixture(centres).log_prob(t.z[:, :2]), STANDARD.log_prob(t.z[:, 2:])], 1)
        unseen = torch.stack([hidden, hidden | True, hidden | True], 1)
        kl = torch.where(unseen, -t.law.entropy() - prior, kl)
    return t.error + 1.5 * kl.sum(1).mean()


def others(z):
    """The code without its first dimension, and without its second."""
    kept = z[:, None].repeat(1, 2, 1)
    kept[:, 0, 0] = kept[:, 1, 1] = 0
    return kept


def telling(t, name, inputs):
    """Cross-entropy of the attributes that are told, by those classifiers."""
    logs, told = t[name](inputs), [k for k in range(2) if not t.told[:, k].isnan().any()]
    return sum(nll_loss(logs[:, k], t.told[:, k].long()) for k in told)


def guided_vae(t):
    """Each head lowers its cross-entropy; of the adversary's law the mean log p, over both values, rises."""
    logs = t["adversary"](others(t.z)).mean(2)[:, ~t.told.isnan().any(0)]
    excitation = telling(t, "heads", t.z[:, :2, None])
    return t.error + 3 * t.kl + 5 * (excitation - logs.sum(1).mean())


def adversary(t):
    return telling(t, "adversary", others(t.z.detach()))


# -- the tests ----------------------------------------------------------------------------------------------

GRID = {"grid": [-1.0, 0.0, 2.0], "prior_std": 0.25, "beta": 3.0, "warm_up": 0.5}
PART = {"left_out": ["bottom"], "label_fraction": 0.5, "free": 1, "beta": 3.0, "warm_up": 0.5}
DC = {"latent": 3, "beta": 2.0, "temperature": 0.5}
GUIDED = {"rest": 1, "beta": 3.0, "guidance": 5.0}
QLAE = {"levels": 3, "quantisation": 0.3, "commitment": 0.2, "weight_decay": 0.25}

LOSSES = [
    (vae, {"latent": 3}),
    (beta_vae, {"latent": 3, "beta": 3.0, "warm_up": 0.5}),
    (beta_tcvae, {"latent": 3, "beta": 3.0}),
    (factor_vae, {"latent": 3, "gamma": 3.0}),
    (dc_vae, DC),
    (qlae, QLAE),
    (fsq_vae, {"levels": 4}),
    (lstm_sender, {"length": 3, "vocabulary": 4, "hidden": 8, "temperature": 0.5}),
    *[(grid_vae, {**GRID, "kl": kind}) for kind in ("nearest", "conditional", "aggregate")],
    *[(guided_grid_vae, {**PART, "kl": kind}) for kind in ("nearest", "conditional")],
    (guided_vae, GUIDED),
    (guided_vae, {**GUIDED, "left_out": ["bottom"]}),
]


@pytest.mark.parametrize(("expected", "parameters"), LOSSES)
def test_losses_are_the_sums_that_define_them(expected, parameters):
    method, batch = built(expected.__name__, parameters)
    alike(method, method.loss(batch), expected(Terms(method, batch)))


@pytest.mark.parametrize(
    ("name", "expected", "parameters"),
    [
        ("factor_vae", told_from_permuted, {"latent": 4}),
        ("guided_vae", adversary, GUIDED),
        ("guided_vae", adversary, {**GUIDED, "left_out": ["bottom"]}),
    ],
)
def test_critics_learn_what_the_loss_takes_them_for(name, expected, parameters):
    method, batch = built(name, parameters)
    alike(method, method.critic_loss(batch), expected(Terms(method, batch)))


@pytest.mark.parametrize("sure", [0.0, 1.0, -1.0])
def test_the_critic_of_dc_vae_learns_until_it_is_sure(sure):
    """About half of the images, of the reconstructions or of the samples are beyond the hinge, or none."""
    method, batch = built("dc_vae", DC)
    critic = method.critics["critic"]
    with torch.no_grad():
        t = Terms(method, batch)
        asked = {1.0: t.x, 0.0: t.x, -1.0: drawn_images(t)[0]}[sure]
        critic.says.bias += sure - critic(asked)[0].median()
        beyond = int((critic(asked)[0] * sure > 1).sum())
    assert (beyond > 0) == (sure != 0)
    alike(method, method.critic_loss(batch), hinge(Terms(method, batch)))


def test_a_receiver_lowers_the_error_of_what_it_draws_from_symbols():
    data = images()
    sender = made("grid_vae", width=8, iterations=0)
    sender.build(data.spec(dtype=torch.float64))
    sender.prepare(data.train.x)
    method = made("receiver", sender=sender, width=8, iterations=0)
    method.build(data.spec(dtype=torch.float64))
    method.fit(data.without_test(), rng=seeded(), progress=lambda done, total: None)
    method.networks.requires_grad_(True)
    batch = batch_of(data)
    columns = [column.unique(return_inverse=True) for column in sender.symbols(data.train.x).T]
    most = max(len(words) for words, _ in columns)
    heard = torch.cat([one_hot(place, most) for _, place in columns], dim=1)[:COUNT].double()
    alike(method, method.loss(batch), Terms(method, batch).error_of(heard))


@pytest.mark.parametrize(
    ("name", "parameters", "decays"),
    [
        ("qlae", QLAE, {"encoder": 0.25, "decoder": 0.25, "codebook": 0.0}),
        ("guided_vae", GUIDED, {"encoder": 0.0, "decoder": 0.0, "heads": 0.0}),
        ("factor_vae", {"latent": 3}, {"encoder": 0.0, "decoder": 0.0}),
    ],
)
def test_what_the_loss_trains_and_what_decays(name, parameters, decays):
    method, _ = built(name, parameters)
    modules = {**dict(method.networks.items()), **dict(method.critics.items())}
    groups = method._optimiser().param_groups
    found = {
        key: group["weight_decay"]
        for key, module in modules.items()
        for group in groups
        if set(group["params"]) == set(module.parameters())
    }
    assert found == decays
    assert len(groups) == len(decays)
