"""Diffusion purification with an exact noise predictor: data stay data, what is far is pulled back."""

from __future__ import annotations

import pytest
import torch
from defense_fakes import Pixel
from mfbench_defenses.diffusion_purification import DiffusionPurification
from protocol_fakes import seeded

import mfbench
from mfbench.errors import Unsupported, UserError
from mfbench.schedules import LinearSchedule

SPEC = mfbench.DataSpec(shape=(1, 2, 2), train_count=1, classes=2)
SPREAD = 0.3


class Exact(mfbench.DiffusionModel):
    """Images N(1/2, (SPREAD / 4)^2 I), in a model space four times as wide: E[eps | x_t] in closed form."""

    def __init__(self):
        self.predictor = self
        self.schedule = LinearSchedule(100)

    def __call__(self, x, t):
        abar = self.schedule.alpha_bar(t).view(-1, 1, 1, 1)
        return (1 - abar).sqrt() * x / (abar * SPREAD**2 + 1 - abar)

    def to_model(self, x):
        return 4 * (x - 0.5)

    def to_data(self, x):
        return x / 4 + 0.5


def made(**parameters):
    defense = DiffusionPurification(Exact(), Pixel(), **parameters)
    defense.build(SPEC)
    return defense


def variance_by_recursion(start, steps, eta):
    """Of purified data in model space: on Gaussians every step is linear in x_t, with noise of its own."""
    schedule, v = LinearSchedule(100), SPREAD**2
    times = start * (1 - torch.arange(steps + 1, dtype=torch.float64) / steps)
    for abar_t, abar_s in zip(*(schedule.alpha_bar(t) for t in (times[:-1], times[1:]))):
        sigma2 = eta**2 * (1 - abar_s) / (1 - abar_t) * (1 - abar_t / abar_s)
        if abar_t == schedule.alpha_bar(times[0]):
            v = abar_t * v + 1 - abar_t
        slope = (1 - abar_t).sqrt() / (abar_t * SPREAD**2 + 1 - abar_t)
        clean = (1 - (1 - abar_t).sqrt() * slope) / abar_t.sqrt()
        last = clean**2 * v
        v = (abar_s.sqrt() * clean + (1 - abar_s - sigma2).clamp(min=0).sqrt() * slope) ** 2 * v + sigma2
    return float(last)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_purified_data_are_as_wide_as_the_linear_recursion_says(eta):
    x = 0.5 + SPREAD / 4 * torch.randn(4000, 1, 2, 2, generator=seeded())
    pure = made(start=0.5, steps=20, eta=eta).purify(x, rng=seeded(1))
    assert float(pure.mean()) == pytest.approx(0.5, abs=3e-3)
    expected = variance_by_recursion(0.5, 20, eta)
    assert 16 * float(pure.var()) == pytest.approx(expected, rel=0.04)


def test_what_is_far_from_the_data_is_pulled_back_and_more_so_from_later():
    x = torch.ones(500, 1, 2, 2)
    early, late = (made(start=start, steps=10).purify(x, rng=seeded()) for start in (0.1, 0.5))
    assert 0.5 < float(late.mean()) < float(early.mean()) < 1.0


def test_the_steps_that_attackers_take_are_those_that_defend():
    defense, x = made(steps=5), torch.rand(6, 1, 2, 2, generator=seeded())
    rng = seeded(2)
    state = defense.purification_start(x.requires_grad_(), rng=rng)
    for _ in range(defense.purification_steps):
        state = defense.purification_step(state, rng=rng)
    assert torch.allclose(state[0], defense.purify(x, rng=seeded(2)), atol=1e-6)
    (slope,) = torch.autograd.grad(state[0].sum(), x)
    assert slope.isfinite().all()
    assert (slope != 0).any()


def test_longer_strides_end_at_the_same_time():
    defense, x = made(steps=6), torch.rand(3, 1, 2, 2, generator=seeded())
    state = defense.purification_start(x, rng=seeded())
    for _ in range(2):
        state = defense.purification_step(state, stride=3.0, rng=seeded())
    assert (state[2] == 6).all()


def test_what_cannot_be():
    for parameters, said in (
        ({"start": 0.0}, "start = 0: above 0"),
        ({"eta": 2.0}, "eta = 2: from 0 to 1"),
        ({"steps": 0}, "steps = 0: at least 1"),
    ):
        with pytest.raises(UserError, match=said):
            made(**parameters)
    with pytest.raises(Unsupported, match="noise predictor"):
        DiffusionPurification(Pixel(), Pixel()).build(SPEC)
    with pytest.raises(UserError, match="draws random numbers"):
        made().purify(torch.zeros(1, 1, 2, 2))
