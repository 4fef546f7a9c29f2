"""Transitions and ancestral sampling against closed forms: PAPER.md, sections 2 and 5 (oracle 2)."""

from __future__ import annotations

import pytest
import torch
from diffusion_fakes import gaussian, noise, seeded
from mfbench_diffusion.ancestral import DDPMSampler
from mfbench_diffusion.difference import RungeKutta4DDPM
from mfbench_diffusion.grids import Level, levels_at, t_grid
from mfbench_diffusion.transition import Transition

from mfbench.schedules import LinearSchedule


def levels(*times, num_steps=100):
    return levels_at(LinearSchedule(num_steps), torch.tensor(times, dtype=torch.float64))


def variance_of_output(v, step, variance, final_noise=False, num_steps=100):
    """By its recursion V <- a^2 V + sigma_st^2, for eps = sqrt(1 - abar_t) x / (abar_t v + 1 - abar_t)."""
    alpha_bar = LinearSchedule(num_steps).alpha_bar
    total, t = 1.0, 1.0
    while t > 0:
        s = max(0.0, t - step / num_steps) if t > step / num_steps + 1e-9 else 0.0
        a_t, a_s = (alpha_bar(torch.tensor(time, dtype=torch.float64)).item() for time in (t, s))
        beta = 1 - a_t / a_s
        gain = (1 - beta / (a_t * v + 1 - a_t)) / (a_t / a_s) ** 0.5
        noise_variance = beta if variance == "beta" else (1 - a_s) / (1 - a_t) * beta
        if s == 0:
            noise_variance = beta if final_noise else 0
        total = gain**2 * total + noise_variance
        t = s
    return total


def test_transitions_compose():
    """Chapman-Kolmogorov: s to u is s to t and then t to u."""
    s, t, u = levels(0.1, 0.37, 0.9)
    whole, first, second = Transition(s, u), Transition(s, t), Transition(t, u)
    assert whole.alpha_bar == pytest.approx(first.alpha_bar * second.alpha_bar, rel=1e-13)
    assert whole.beta_bar == pytest.approx(second.alpha_bar * first.beta_bar + second.beta_bar, rel=1e-13)


def test_transition_from_data_is_the_marginal():
    zero, t = levels(0.0, 0.6)
    transition = Transition(zero, t)
    assert transition.alpha_bar == pytest.approx(t.alpha_bar, rel=1e-14)
    assert transition.beta_bar == pytest.approx(1 - t.alpha_bar, rel=1e-12)


def test_transition_keeps_its_digits_at_small_noise():
    """1 - abar_t / abar_s would lose ten of them here."""
    early, late = Level(0.0, 1e-6), Level(0.0, 2e-6)
    assert Transition(early, late).beta_bar == pytest.approx(3e-12, rel=1e-10)


def test_mean_and_second_variance_are_the_posterior_given_the_data():
    """With the eps that made x_t from x_0, mu and beta_tilde are Bayes' posterior q(x_s | x_t, x_0)."""
    s, t = levels(0.3, 0.7)
    transition = Transition(s, t)
    data, eps = noise(4, 3, seed=1), noise(4, 3, seed=2)
    late = t.scale * data + (1 - t.alpha_bar) ** 0.5 * eps
    prior, likelihood = 1 / (1 - s.alpha_bar), transition.alpha_bar / transition.beta_bar  # precisions
    expected = (prior * s.scale * data + likelihood * late / transition.alpha_bar**0.5) / (prior + likelihood)
    assert torch.allclose(transition.mean(late, eps), expected, rtol=1e-12, atol=1e-13)
    assert transition.variance("beta_tilde") == pytest.approx(1 / (prior + likelihood), rel=1e-12)
    assert transition.variance("beta") == transition.beta_bar


@pytest.mark.parametrize(
    ("variance", "printed"), [("beta", (0.999, 0.904, 0.074)), ("beta_tilde", (0.921, 0.544, 0.069))]
)
@pytest.mark.parametrize("index", range(3))
def test_variance_of_ddpm_on_a_gaussian(variance, printed, index):
    """T = 100, v = 1: the recursion gives the printed digits, and the samples the recursion's variance."""
    step = (1, 10, 50)[index]
    expected = variance_of_output(1.0, step, variance)
    assert expected == pytest.approx(printed[index], abs=6e-4)
    predictor = gaussian([1.0]).noise_predictor(100)
    sampled = DDPMSampler(variance).sample(predictor, noise(50_000, 1), step=step, rng=seeded(1))
    assert sampled.var().item() == pytest.approx(expected, rel=0.03)  # 5 standard errors


def test_final_noise_adds_the_first_variance():
    predictor = gaussian([0.3]).noise_predictor(100)
    for variance in ("beta", "beta_tilde"):
        sampler = DDPMSampler(variance, final_noise=True)
        sampled = sampler.sample(predictor, noise(50_000, 1), step=10, rng=seeded(1))
        expected = variance_of_output(0.3, 10, variance, final_noise=True)
        assert expected - variance_of_output(0.3, 10, variance) == pytest.approx(
            Transition(*levels(0.0, 0.1)).beta_bar
        )
        assert sampled.var().item() == pytest.approx(expected, rel=0.03)


def test_steps_that_do_not_divide_the_chain_end_with_a_shorter_one():
    predictor = gaussian([1.0]).noise_predictor(100)
    sampled = DDPMSampler().sample(predictor, noise(50_000, 1), step=30, rng=seeded(1))
    assert [round(level.t, 12) for level in t_grid(predictor.schedule, 30)] == [1, 0.7, 0.4, 0.1, 0]
    assert sampled.var().item() == pytest.approx(variance_of_output(1.0, 30, "beta"), rel=0.03)


def test_rk4_on_the_ddpm_mean_of_a_gaussian():
    """At v = 1 a step of the mean is x_{k-1} = sqrt(alpha_k) x_k, and RK4 integrates
    dx/dk = (1 - sqrt(alpha_k)) x instead: without noise the result is exp(-integral) x_T, 2 % off the chain.
    """
    predictor = gaussian([1.0]).noise_predictor(1000)
    start = noise(100, 1)
    rates = 1 - (1 - predictor.schedule.betas).sqrt()  # at k = 1, ..., T; below k = 1 the first stands in
    expected = (-(torch.trapezoid(rates) + rates[0])).exp() * start
    drifted = RungeKutta4DDPM("none").sample(predictor, start, step=10)
    assert torch.allclose(drifted, expected, rtol=1e-4)


@pytest.mark.parametrize("noise_variance", ["beta", "beta_tilde"])
def test_rk4_on_the_ddpm_mean_with_noise_keeps_the_variance(noise_variance):
    """Near 1, and for the first variance as near as ancestral sampling's."""
    predictor = gaussian([1.0]).noise_predictor(1000)
    sampled = RungeKutta4DDPM(noise_variance).sample(predictor, noise(50_000, 1), step=10, rng=seeded(1))
    expected = variance_of_output(1.0, 10, noise_variance, num_steps=1000)
    assert sampled.var().item() == pytest.approx(expected, rel=0.05)
