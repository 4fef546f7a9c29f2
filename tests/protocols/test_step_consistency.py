"""step_consistency on exact predictors: known distances, orders, counts, and what it refuses."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from mfbench_baselines.oracles import ExactDiffusion
from mfbench_diffusion.ancestral import DDPMSampler
from mfbench_diffusion.ddim import DDIM
from mfbench_diffusion.oracle import Oracle
from mfbench_diffusion.rk4 import RungeKutta4
from protocol_fakes import Normal, QualityClock, TimingClock, fitted, record_of, seeded, values_of

from mfbench.contracts import Sampler
from mfbench.errors import ContractError, Unsupported, UserError
from mfbench.protocols.step_consistency import StepConsistency
from mfbench.schedules import sigma_at

DATA = Normal(shift=0.7, scale=0.5, count=400)
EXACT = fitted(ExactDiffusion(num_steps=100), DATA)


def evaluate(method, step=1.0, count=200, clock=None, generator=EXACT, seed=0, **parameters):
    return StepConsistency().evaluate(
        method,
        DATA,
        rng=seeded(seed),
        clock=clock or QualityClock(),
        generator=generator,
        step=step,
        count=count,
        **{"reference": Oracle()} | parameters,
    )


class ClosedForm(Sampler):
    """The flow of N(m, s^2 I): x_0 = m + s (x_T - sqrt(abar_T) m) / sqrt(abar_T s^2 + 1 - abar_T)."""

    evaluations_per_step = None

    def sample(self, predictor, x_start, *, step, rng=None):
        abar = predictor.schedule.alpha_bar(torch.ones(1))
        mean, scale = DATA.mean, DATA.scale
        return mean + scale * (x_start - abar.sqrt() * mean) / (abar * scale**2 + 1 - abar).sqrt()


class Shifted(ClosedForm):
    """The closed form, `step` / 100 beside it along each of the two axes."""

    evaluations_per_step = 1

    def sample(self, predictor, x_start, *, step, rng=None):
        return super().sample(predictor, x_start, step=step) + step / 100


def test_the_closed_form_flow_is_where_the_reference_ends():
    assert values_of(evaluate(ClosedForm()))["distance", ""].value < 1e-6


def test_the_reference_itself_has_no_distance():
    measurement = evaluate(Oracle(), step=7)
    values = values_of(measurement)
    assert values["distance", ""].value == values["self_distance", ""].value == 0.0
    assert measurement.notes == ["adaptive: chooses its own steps whatever h is"]


def test_what_costs_most_is_drawn_once_and_counted_at_every_step(monkeypatch):
    """The adaptive solution at any h, and a sampler's own result at h = 1, asked for or compared with."""
    drawn = []
    sample = Oracle.sample

    def counted(self, predictor, x_start, **asked):
        drawn.append(len(x_start))
        return sample(self, predictor, x_start, **asked)

    monkeypatch.setattr(Oracle, "sample", counted)
    oracle, reference = Oracle(tolerance=3e-7), Oracle(tolerance=2e-7)  # known to no other test
    first, *others = [evaluate(oracle, step=step, reference=reference) for step in (1, 5, 20)]
    assert len(drawn) == 2
    assert first.nfe > 10
    assert all(other.nfe == first.nfe and other.values == first.values for other in others)
    calls = []
    closed = Shifted.sample
    monkeypatch.setattr(Shifted, "sample", lambda self, *a, **k: calls.append(k) or closed(self, *a, **k))
    method = Shifted()
    method.tag = 7  # another key than in other tests
    for step in (1, 4, 8):
        evaluate(method, step=step)
    assert [call["step"] for call in calls] == [1, 4, 8]


def test_distances_to_the_solution_and_to_the_own_first_step():
    values = values_of(evaluate(Shifted(), step=6))
    for metric in ("distance", "rms_distance", "median_distance"):
        assert values[metric, ""].value == pytest.approx(0.06 * math.sqrt(2), rel=1e-4)
    assert values["self_distance", ""].value == pytest.approx(0.05 * math.sqrt(2), rel=1e-4)


def test_the_own_first_step_may_be_taken_by_fewer_samples():
    values = values_of(evaluate(Shifted(), step=6, own_count=7))
    assert values["self_distance", ""].value == pytest.approx(0.05 * math.sqrt(2), rel=1e-4)
    assert values["self_distance", ""].n == 7
    assert values["distance", ""].n > 7
    with pytest.raises(UserError, match="own_count is 1; two or more samples"):
        evaluate(Shifted(), step=6, own_count=1)


def test_scores_reproduce_the_primary_value():
    measurement = evaluate(DDIM(), step=10)
    value = values_of(measurement)["distance", ""]
    assert list(measurement.scores) == ["samples"]
    assert measurement.scores["samples"].mean() == pytest.approx(value.value, abs=1e-12)
    assert value.ci_low < value.value < value.ci_high
    assert value.n == 200


@pytest.mark.parametrize("step", [2, 5, 10])
def test_rk4_is_closer_than_ddim(step):
    rk4, ddim = (values_of(evaluate(method, step)) for method in (RungeKutta4(), DDIM()))
    assert rk4["distance", ""].value < 0.1 * ddim["distance", ""].value


def test_evaluations_are_those_of_the_measured_run_alone():
    assert evaluate(DDIM(), step=10).nfe == 10
    assert evaluate(RungeKutta4(), step=10).nfe == 40
    assert evaluate(DDIM(), step=30).nfe == 4  # three steps of 30 and one of 10


def test_stochastic_samplers_have_quality_but_no_pathwise_distance():
    measurement = evaluate(DDPMSampler(), step=1)
    values = values_of(measurement)
    assert measurement.notes == ["stochastic: no pathwise distance"]
    assert not measurement.scores
    assert {metric for metric, _ in values} == {"energy_distance", "energy_floor"}
    energy = values["energy_distance", ""]
    assert energy.ci_low < 0.02
    assert abs(values["energy_floor", ""].value) < 0.02
    assert values_of(evaluate(DDPMSampler(), step=50))["energy_distance", ""].value > 0.05


def test_all_samplers_are_given_the_same_start():
    seen = []

    class Watching(ClosedForm):
        evaluations_per_step = 1

        def sample(self, predictor, x_start, *, step, rng=None):
            seen.append(x_start.clone())
            x_start.zero_()  # a sampler that works in place spoils nobody's start
            return super().sample(predictor, seen[-1], step=step)

    evaluate(Watching(), step=1)
    evaluate(Watching(), step=5)
    evaluate(Watching(), step=5, seed=1)
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[1], seen[2])
    assert seen[0].std() == pytest.approx(1.0, abs=0.1)


def test_a_step_beyond_the_schedule_is_unsupported():
    with pytest.raises(Unsupported, match="h = 200 is longer than the whole schedule of T = 100 steps"):
        evaluate(DDIM(), step=200)


def test_nonsense_is_refused():
    with pytest.raises(UserError, match="step 0, count 200"):
        evaluate(DDIM(), step=0)
    with pytest.raises(UserError, match="Normal has no predictor"):
        evaluate(DDIM(), generator=Normal())


def test_broken_samples_are_counted():
    class Diverging(ClosedForm):
        def sample(self, predictor, x_start, *, step, rng=None):
            x = super().sample(predictor, x_start, step=step)
            x[:3] = math.nan
            return x

    with pytest.raises(ContractError, match="non-finite values in 3 of 200 samples"):
        evaluate(Diverging())


def test_the_timing_pass_draws_a_thousand_samples():
    clock = TimingClock()
    assert not evaluate(DDIM(), step=20, clock=clock).values
    assert clock.result.shape == (1000, 2)


def test_figures():
    records, arrays = [], []
    for label, method in {
        "ddim": DDIM(),
        "rk4": RungeKutta4(),
        "ddpm": DDPMSampler(),
        "oracle": Oracle(),
    }.items():
        for step in (2.0, 5.0, 10.0):
            measurement = evaluate(method, step)
            generator = {"kind": "generator", "name": "exact_diffusion", "parameters": {}}
            records.append(record_of(measurement, label, method.role, step=step, generator=generator))
            arrays.append(measurement.arrays)
    figures = StepConsistency().draw(records, arrays)
    assert set(figures) == {"samples", "error", "accuracy"}
    assert len(figures["samples"].axes) == 12
    texts = [text.get_text() for text in figures["error"].legends[0].get_texts()]
    assert "ddpm" in texts
    assert any(re.fullmatch(r"ddim: order (0\.9|1\.[01]) \(h 2 to 10\)", text) for text in texts), texts
    lines = {line.get_label(): line for line in figures["error"].axes[2].lines}
    assert np.allclose(lines["ddpm"].get_xdata(), [50, 20, 10])


def test_the_sigma_of_the_start_is_large():
    """The energy distance to data is only small if p_T is close to N(0, I): so it is at T = 100."""
    assert sigma_at(EXACT.predictor.schedule, torch.ones(1)) > 100
