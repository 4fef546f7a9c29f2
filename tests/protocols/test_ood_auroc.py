"""ood_auroc against AUROCs in closed form, the contract of its scores, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mfbench_baselines.oracles import OracleBayes, OracleDensity
from protocol_fakes import Normal, QualityClock, TimingClock, fitted, record_of, seeded, values_of
from scipy.stats import norm

from mfbench.contracts import Dataset, DiffusionLikelihood, Likelihood, Split
from mfbench.errors import ContractError, Unsupported, UserError
from mfbench.protocols.ood_auroc import OODAuroc

SEEN = Normal(count=4000)
FAR, NEAR = Normal(shift=2.0, count=4000, name="far"), Normal(shift=0.5, count=3000, name="near")


def evaluate(method, against=(FAR, NEAR), data=SEEN, clock=None, seed=0, **parameters):
    return OODAuroc().evaluate(
        method, data, rng=seeded(seed), clock=clock or QualityClock(), against=list(against), **parameters
    )


class Random(Likelihood):
    def log_prob(self, x, *, rng=None):
        return torch.randn(len(x), generator=rng)


class Scoring(Likelihood):
    """Ranks by something else than its log-density."""

    def log_prob(self, x, *, rng=None):
        return torch.full((len(x),), -3.0)

    def score(self, x, *, rng=None):
        return -x[:, 0]


class Returning(Likelihood):
    def __init__(self, change):
        self.change = change

    def log_prob(self, x, *, rng=None):
        return self.change(-x.square().sum(1))


def test_the_bayes_ratio_of_two_gaussians_has_its_closed_form_auroc():
    values = values_of(evaluate(fitted(OracleBayes(), SEEN)))
    for part, shift in (("far", 2.0), ("near", 0.5)):
        value = values["auroc", part]
        assert value.ci_low < norm.cdf(shift / math.sqrt(2)) < value.ci_high
    assert values["auroc", "far"].n == 8000
    assert values["auroc", "near"].n == 7000
    overall = values["auroc", ""]
    assert overall.value == pytest.approx((values["auroc", "far"].value + values["auroc", "near"].value) / 2)
    assert overall.ci_low < (norm.cdf(2 / math.sqrt(2)) + norm.cdf(0.5 / math.sqrt(2))) / 2 < overall.ci_high
    assert overall.n == 11_000
    assert ("mean_log_density", "normal") not in values


def test_the_true_density_is_below_the_bayes_ratio_and_has_mean_log_densities():
    density, bayes = (
        values_of(evaluate(fitted(method, SEEN))) for method in (OracleDensity(), OracleBayes())
    )
    assert density["auroc", ""].value < bayes["auroc", ""].value - 0.05
    entropy = 1 + math.log(2 * math.pi)
    seen = density["mean_log_density", "normal"]
    assert seen.ci_low < -entropy < seen.ci_high
    assert density["mean_log_density", "far"].value == pytest.approx(-entropy - 2.0, abs=0.15)


def test_random_scores_are_at_chance():
    values = values_of(evaluate(Random()))
    for part in ("", "far", "near"):
        assert values["auroc", part].ci_low < 0.5 < values["auroc", part].ci_high
    assert values["fpr_at_95_tpr", ""].value == pytest.approx(0.95, abs=0.02)


def test_scores_reproduce_the_value_and_its_variance():
    measurement = evaluate(fitted(OracleDensity(), SEEN))
    overall = values_of(measurement)["auroc", ""]
    groups = measurement.scores
    assert list(groups) == ["in", "out:far", "out:near"]
    assert [len(group) for group in groups.values()] == [4000, 4000, 3000]
    assert groups["in"].mean() == pytest.approx(overall.value, abs=1e-12)
    assert groups["out:far"].mean() + groups["out:near"].mean() == pytest.approx(overall.value, abs=1e-12)
    variance = sum(np.var(group, ddof=1) / len(group) for group in groups.values())
    width = (overall.ci_high - overall.ci_low) / 2 / 1.96
    assert math.sqrt(variance) == pytest.approx(width, rel=0.02)


def test_the_overall_interval_has_the_spread_of_repeated_experiments():
    values, widths = [], []
    for seed in range(60):
        seen = Normal(count=300, seed=seed)
        others = [
            Normal(shift=1.0, count=300, name="a", seed=seed),
            Normal(shift=1.5, count=300, name="b", seed=seed),
        ]
        overall = values_of(evaluate(fitted(OracleDensity(), seen), others, seen))["auroc", ""]
        values.append(overall.value)
        widths.append((overall.ci_high - overall.ci_low) / 2 / 1.96)
    assert np.mean(widths) == pytest.approx(np.std(values), rel=0.3)


def test_one_set_gives_the_same_interval_overall():
    values = values_of(evaluate(fitted(OracleDensity(), SEEN), [FAR]))
    part, overall = values["auroc", "far"], values["auroc", ""]
    assert (overall.value, overall.ci_low, overall.ci_high) == pytest.approx(
        (part.value, part.ci_low, part.ci_high)
    )


def test_complete_separation_keeps_an_interval():
    away = [Normal(shift=50.0, name="a"), Normal(shift=60.0, name="b")]
    overall = values_of(evaluate(fitted(OracleDensity(), SEEN), away))["auroc", ""]
    assert overall.value == overall.ci_high == 1.0
    assert 0.99 < overall.ci_low < 1.0


def test_ranking_scores_and_log_densities_are_kept_apart():
    values = values_of(evaluate(Scoring()))
    assert values["auroc", "far"].value == pytest.approx(norm.cdf(2 / math.sqrt(2)), abs=0.02)
    assert values["mean_log_density", "near"].value == -3.0


def test_infinite_scores_are_legal_and_nan_is_not():
    bounded = evaluate(Returning(lambda s: torch.where(s < -4, -math.inf, s)))
    assert 0.5 < values_of(bounded)["auroc", "far"].value < 1
    assert values_of(bounded)["mean_log_density", "normal"].value == -math.inf
    with pytest.raises(ContractError, match=r"Returning\.score returned NaN for 4000 of 4000 samples"):
        evaluate(Returning(lambda s: s * math.nan))
    with pytest.raises(ContractError, match=r"must return shape \(4000,\), not \(4000, 1\)"):
        evaluate(Returning(lambda s: s[:, None]))


def test_the_noise_of_a_set_depends_on_its_name_alone():
    alone, both = evaluate(Random(), [NEAR]), evaluate(Random(), [FAR, NEAR])
    assert np.array_equal(alone.arrays["score:out:near"], both.arrays["score:out:near"])
    assert np.array_equal(alone.arrays["score:in"], both.arrays["score:in"])
    assert not np.array_equal(alone.arrays["score:in"], evaluate(Random(), [NEAR], seed=1).arrays["score:in"])


def test_count_takes_the_first_samples():
    measurement = evaluate(fitted(OracleDensity(), SEEN), count=100)
    assert [len(group) for group in measurement.scores.values()] == [100, 100, 100]


def test_bad_requests_are_told():
    method = fitted(OracleDensity(), SEEN)
    with pytest.raises(UserError, match="against is empty"):
        evaluate(method, [])
    with pytest.raises(UserError, match="count is 1"):
        evaluate(method, count=1)
    with pytest.raises(Unsupported, match=r"solid has shape \(3,\), but normal has \(2,\)"):
        evaluate(method, [Normal(dim=3, name="solid")])


def test_sets_of_one_name_are_told_apart_by_their_parameters():
    twins = [Normal(shift=shift, name="twin") for shift in (1.0, 2.0)]
    for twin in twins:
        twin.parameters = {"shift": twin.shift}
    values = values_of(evaluate(fitted(OracleDensity(), SEEN), twins))
    assert ("auroc", "twin(shift=1.0)") in values
    assert ("auroc", "twin(shift=2.0)") in values


def test_the_timing_pass_scores_a_thousand_samples_and_returns():
    clock = TimingClock()
    measurement = evaluate(fitted(OracleBayes(), SEEN), clock=clock, count=300)
    assert clock.result.shape == (1000,)
    assert not measurement.values


class Spreading(DiffusionLikelihood, OracleDensity):
    def log_weights(self, x, *, rounds, rng):
        return torch.randn(rounds, len(x), generator=rng)


class WithoutRounds(DiffusionLikelihood, OracleDensity):
    """As the likelihood of the probability flow: no rounds, and so no spread."""


def test_spread_is_kept_of_methods_with_rounds_alone():
    measurement = evaluate(fitted(WithoutRounds(), SEEN), spread_rounds=4)
    assert "score:in" in measurement.arrays
    assert not any(name.startswith("spread") for name in measurement.arrays)


def test_figures_of_points():
    methods = {"oracle_bayes": OracleBayes(), "oracle_density": OracleDensity(), "spreading": Spreading()}
    measurements = [evaluate(fitted(method, SEEN), spread_rounds=4) for method in methods.values()]
    records = [
        record_of(measurement, label, method.role)
        for measurement, (label, method) in zip(measurements, methods.items())
    ]
    figures = OODAuroc().draw(records, [measurement.arrays for measurement in measurements])
    assert set(figures) == {"scores", "roc", "points", "spread"}
    assert [ax.get_title() for ax in figures["roc"].axes] == ["against far", "against near"]
    titles = [ax.get_title() for ax in figures["points"].axes if ax.get_title()]
    assert titles == ["normal (seen)", "far", "near"]
    assert len(measurements[0].arrays["score:in:far"]) == 2000
    assert len(measurements[2].arrays["spread:in"]) == 500
    assert OODAuroc().draw([], []) == {}


class Noise(Dataset):
    """Images of noise, brighter or darker."""

    shape = (1, 4, 4)

    def __init__(self, level, name, *, seed=0):
        super().__init__(seed=seed)
        self.level, self.name = level, name

    def make_split(self, split):
        return Split(self.level + 0.1 * torch.rand(200, *self.shape, generator=seeded(self.seed)))


class Brightness(Likelihood):
    bound = "score"

    def score(self, x, *, rng=None):
        return -x.flatten(1).mean(1)


def test_images_have_scores_and_curves_but_no_points():
    dark, bright = Noise(0.1, "dark"), Noise(0.5, "bright")
    measurement = evaluate(Brightness(), [bright], dark)
    assert values_of(measurement)["auroc", "bright"].value == 1.0
    figures = OODAuroc().draw([record_of(measurement, "brightness", data="dark")], [measurement.arrays])
    assert set(figures) == {"scores", "roc"}
