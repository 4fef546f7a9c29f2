"""Samplers on exact noise predictors, float64: PAPER.md, sections 2 (the table) and 5 (oracle 2)."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from diffusion_fakes import (
    SPECTRUM,
    exact_flow,
    fitted_order,
    gaussian,
    median_distance,
    mixture,
    noise,
    rms_distance,
)
from mfbench_diffusion.ddim import DDIM
from mfbench_diffusion.difference import RungeKutta4Difference
from mfbench_diffusion.dpmpp import DPMSolverPP2M
from mfbench_diffusion.grids import levels_at
from mfbench_diffusion.heun import Heun
from mfbench_diffusion.oracle import Oracle
from mfbench_diffusion.prk import PseudoRungeKutta
from mfbench_diffusion.rk4 import RungeKutta4
from mfbench_diffusion.unipc import UniPC

from mfbench.schedules import LinearSchedule

T = 1000
H = (5, 10, 20, 50, 100)
COUNTS = (20, 40, 80, 160)


class Case:
    """Samples x_T, where an exact predictor carries them, and what each sampler made of them so far."""

    def __init__(self, predictor, start, exact):
        self.predictor, self.start, self.exact = predictor, start, exact
        self._sampled = {}

    def sample(self, sampler, step):
        key = (type(sampler), tuple(vars(sampler).items()), step)
        if key not in self._sampled:
            self._sampled[key] = sampler.sample(self.predictor, self.start, step=step)
        return self._sampled[key]

    def errors(self, sampler, steps, distance=rms_distance):
        return [distance(self.sample(sampler, step), self.exact) for step in steps]

    def order(self, sampler, counts):
        return fitted_order(counts, self.errors(sampler, [T / n for n in counts], median_distance))


@pytest.fixture(scope="module")
def on_mixture():
    predictor, start = mixture().noise_predictor(T), noise(400, 2)
    return Case(predictor, start, Oracle(tolerance=1e-10).sample(predictor, start, step=1))


@pytest.fixture(scope="module")
def on_gaussian():
    start = noise(100, 64)
    return Case(gaussian().noise_predictor(T), start, exact_flow(start, SPECTRUM, T))


# -- the table of section 2 ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sampler", "steps", "printed"),
    [
        (DDIM(), H[1:], (0.12, 0.24, 0.57, 1.05)),
        (PseudoRungeKutta(), H[1:], (4.5e-3, 8.6e-3, 0.020, 0.050)),
        (RungeKutta4(), H[1:], (1.9e-5, 3.0e-4, 6.6e-3, 0.020)),
        (DDIM(), [h / 4 for h in H[1:]], (0.032, 0.063, 0.154, 0.298)),
        (RungeKutta4("asinh"), [T / n for n in (10, *COUNTS)], (1.8e-2, 1.2e-3, 7.2e-5, 4.5e-6, 2.8e-7)),
    ],
    ids=["ddim", "prk", "rk4", "ddim_equal_nfe", "rk4_asinh"],
)
def test_gaussian_table(sampler, steps, printed, on_gaussian):
    assert on_gaussian.errors(sampler, steps) == pytest.approx(printed, rel=0.12)


@pytest.mark.parametrize(
    ("sampler", "printed"),
    [
        (DDIM(), (1.6e-2, 3.0e-2, 5.2e-2, 9.2e-2, 0.16)),
        (PseudoRungeKutta(), (8.1e-4, 1.6e-3, 3.1e-3, 7.6e-3, 0.024)),
        (RungeKutta4(), (3.2e-6, 3.8e-5, 3.6e-4, 3.4e-3, 0.018)),
    ],
    ids=["ddim", "prk", "rk4"],
)
def test_mixture_table(sampler, printed, on_mixture):
    """The means of the printed one are not known: ours has as many components, and errors of that size."""
    for error, value in zip(on_mixture.errors(sampler, H), printed):
        assert value / 3 < error < value * 3


@pytest.mark.parametrize("case", ["on_mixture", "on_gaussian"])
@pytest.mark.parametrize("step", H)
def test_rk4_beats_ddim_at_equal_step_and_at_equal_evaluations(case, step, request):
    case = request.getfixturevalue(case)
    (rk4,) = case.errors(RungeKutta4(), [step])
    equal_step, equal_evaluations = case.errors(DDIM(), [step, step / 4])
    assert rk4 < equal_evaluations
    if step <= 20:
        assert rk4 <= equal_step / 10


@pytest.mark.slow
@pytest.mark.parametrize("case", ["on_mixture", "on_gaussian"])
def test_rk4_beats_ddim_at_every_step_from_2_to_100(case, request):
    """Steps that do not divide T included."""
    case = request.getfixturevalue(case)
    steps = range(2, 101)
    rk4, equal_step = (case.errors(sampler, steps) for sampler in (RungeKutta4(), DDIM()))
    equal_evaluations = case.errors(DDIM(), [step / 4 for step in steps])
    assert [step for step, *pair in zip(steps, rk4, equal_evaluations) if not pair[0] < pair[1]] == []
    assert [h for h, *pair in zip(steps, rk4, equal_step) if h <= 20 and not pair[0] <= pair[1] / 10] == []


# -- orders --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["on_mixture", "on_gaussian"])
@pytest.mark.parametrize(
    ("sampler", "low", "high"),
    [(RungeKutta4("asinh"), 3.8, 4.2), (DDIM("asinh"), 0.9, 1.1), (Heun("asinh"), 1.85, 2.15)],
    ids=["rk4", "ddim", "heun"],
)
def test_order(sampler, low, high, case, request):
    assert low < request.getfixturevalue(case).order(sampler, COUNTS) < high


@pytest.mark.parametrize(
    ("sampler", "low", "high"),
    [
        (PseudoRungeKutta(), 1.85, 2.15),
        (Heun(), 1.85, 2.15),
        (DPMSolverPP2M(), 1.8, 2.3),
        (UniPC(order=2), 1.8, 3.2),
        (RungeKutta4(), 3.8, 4.2),
    ],
    ids=["prk", "heun", "dpmpp_2m", "unipc_2", "rk4"],
)
def test_order_in_mid_range(sampler, low, high, on_mixture):
    """From t = 1 to t = 0.2, where no step goes to sigma = 0."""
    predictor, start = on_mixture.predictor, on_mixture.start

    def carried(sampler, count):
        times = torch.linspace(1, 0.2, count + 1, dtype=torch.float64)
        return sampler.carry(predictor, start, levels_at(predictor.schedule, times))

    exact = carried(RungeKutta4(), 640)
    counts = (20, 40, 80, 160)
    distances = [median_distance(carried(sampler, n), exact) for n in counts]
    assert low < fitted_order(counts, distances) < high


def test_multistep_solvers_beat_ddim_at_equal_evaluations(on_mixture, on_gaussian):
    for case in (on_mixture, on_gaussian):
        steps = [T / n for n in (40, 80, 160)]
        for sampler in (DPMSolverPP2M("asinh"), UniPC("asinh")):
            pairs = zip(case.errors(sampler, steps), case.errors(DDIM("asinh"), steps))
            assert all(multistep < ddim / 5 for multistep, ddim in pairs)


def test_bias_of_rk4_on_differences_does_not_vanish(on_gaussian):
    ten, two = on_gaussian.errors(RungeKutta4Difference(), (10, 2))
    assert two > 0.9 * ten > 5e-3


# -- closed forms --------------------------------------------------------------------------------------------


def test_ddim_is_a_product_of_linear_maps_on_a_gaussian():
    """In its printed form: x_s = sqrt(abar_s) x_0 + sqrt(1 - abar_s) eps."""
    variances, start = torch.tensor([0.04, 1.0, 3.0], dtype=torch.float64), noise(5, 3)
    schedule = LinearSchedule(100)
    times = torch.arange(100, -1, -7, dtype=torch.float64).clamp(min=0) / 100
    times = torch.cat([times, times.new_zeros(1)]) if times[-1] > 0 else times
    alpha_bar = schedule.alpha_bar(times)
    expected = start
    for late, early in pairwise(alpha_bar):
        eps = (1 - late).sqrt() / (late * variances + 1 - late) * expected
        data = (expected - (1 - late).sqrt() * eps) / late.sqrt()
        expected = early.sqrt() * data + (1 - early).sqrt() * eps
    sampled = DDIM().sample(gaussian(variances).noise_predictor(100), start, step=7)
    assert torch.allclose(sampled, expected, rtol=1e-11, atol=1e-12)


def test_ddim_converges_to_the_closed_form_flow():
    variances, start = torch.tensor([0.04, 1.0, 3.0], dtype=torch.float64), noise(50, 3)
    predictor = gaussian(variances).noise_predictor(T)
    exact = exact_flow(start, variances, T)
    coarse, fine = (rms_distance(DDIM().sample(predictor, start, step=h), exact) for h in (5, 1))
    assert fine < 0.01
    assert coarse / fine == pytest.approx(5, rel=0.15)


@pytest.mark.parametrize("num_steps", [20, 100, 1000])
def test_oracle_is_the_closed_form_flow(num_steps):
    variances, start = torch.tensor([1e-4, 0.04, 1.0, 30.0], dtype=torch.float64), noise(200, 4)
    sampled = Oracle().sample(gaussian(variances).noise_predictor(num_steps), start, step=50)
    assert (sampled - exact_flow(start, variances, num_steps)).abs().max() < 1e-8


def test_oracle_is_as_accurate_for_each_sample_of_a_batch_as_alone(on_mixture):
    predictor, start = on_mixture.predictor, on_mixture.start
    together = Oracle().sample(predictor, start, step=1)
    assert (together - on_mixture.exact).abs().max() < 1e-7
    alone = Oracle().sample(predictor, start[:1], step=1)
    assert (together[:1] - alone).abs().max() < 1e-7
