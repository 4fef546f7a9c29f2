"""Density terms: known terms, known AUROCs and changes, the claim told both ways, bad methods."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from protocol_fakes import Normal, QualityClock, seeded

from mfbench.contracts import HasDensityTerms, Likelihood, Record
from mfbench.errors import ContractError, Unsupported, UserError
from mfbench.measures import auroc, placements
from mfbench.protocols.density_terms import DensityTerms, change, mean_over, sums

PLACE, NOISE = "log p(z)", "log |det|"


class Terms(Likelihood, HasDensityTerms):
    """First coordinate times `sign`, and the second times `weight`: noise, the same on all sets."""

    def __init__(self, weight=0.0, sign=-1.0):
        self.weight, self.sign = weight, sign
        self.bound = "score"

    def log_prob(self, x, *, rng=None):
        raise NotImplementedError

    def density_terms(self, x):
        return {PLACE: self.sign * x[:, 0], NOISE: self.weight * x[:, 1]}


def measured(method, **changed):
    parameters = {"against": [Normal(1.5, name="far")], "near": [Normal(0.5, name="near")], "count": 1500}
    return DensityTerms().evaluate(
        method, Normal(), rng=seeded(), clock=QualityClock(), **{**parameters, **changed}
    )


def by_part(measurement, metric):
    return {v.part: v for v in measurement.values if v.metric == metric}


def test_aurocs_of_sums_and_of_terms():
    """Of x_0 alone: P(N(0, 1) < N(d, 1)) = Phi(d / sqrt 2); of the noise alone 1/2; noise of weight w in the
    sum makes it Phi(d / sqrt(2 (1 + w^2))).
    """
    found = measured(Terms(weight=2.0))
    whole, alone, change_of = (by_part(found, m) for m in ("auroc", "auroc_alone", "auroc_change"))
    phi = torch.distributions.Normal(0.0, 1.0).cdf
    for name, distance in (("near", 0.5), ("far", 1.5)):
        first = float(phi(torch.tensor(distance / math.sqrt(2))))
        both = float(phi(torch.tensor(distance / math.sqrt(10))))
        assert whole[f"{name}: {PLACE}"].value == pytest.approx(first, abs=0.025)
        assert whole[f"{name}: {NOISE}"].value == pytest.approx(both, abs=0.025)
        assert alone[f"{name}: {PLACE}"].value == whole[f"{name}: {PLACE}"].value
        assert alone[f"{name}: {NOISE}"].value == pytest.approx(0.5, abs=0.03)
        step = change_of[f"{name}: {NOISE}"]
        gained = whole[f"{name}: {NOISE}"].value - whole[f"{name}: {PLACE}"].value
        assert step.value == pytest.approx(gained, abs=1e-12)
        assert step.ci_low < both - first < step.ci_high < 0
        gap = by_part(found, "gap")[f"{name}: {PLACE}"]
        assert gap.value == pytest.approx(distance, abs=0.15)  # medians: 3 of their standard errors, 0.046
        assert gap.ci_low < gap.value < gap.ci_high
        assert gap.ci_high - gap.ci_low == pytest.approx(4 * 0.046, rel=0.25)
    mean = whole[""]
    assert mean.value == pytest.approx(np.mean([whole[f"{n}: {NOISE}"].value for n in ("near", "far")]))
    assert mean.ci_low < mean.value < mean.ci_high


def test_the_interval_of_a_change_covers():
    """300 samples each, 200 times: the true change lies in the interval in 95 % of them, give or take."""
    rng, inside = np.random.default_rng(0), 0
    truth = 0.6241 - 0.7602  # Phi(1 / sqrt 10), Phi(1 / sqrt 2)
    for _ in range(200):
        a, b = rng.normal(size=(300, 2)), rng.normal(size=(300, 2))
        a[:, 0] += 1
        before = placements(a[:, 0], b[:, 0])
        after = placements(a @ [1, 2], b @ [1, 2])
        value = change("part", before, after)
        inside += value.ci_low < truth < value.ci_high
    assert 180 <= inside <= 199


def test_the_mean_over_one_set_is_that_set_with_its_interval():
    for far in (1.5, 30.0):  # at 30 nothing overlaps, and the interval is not a point
        found = measured(Terms(), against=[Normal(far, name="far")], near=None, count=40)
        whole = by_part(found, "auroc")
        mean, own = whole[""], whole[f"far: {NOISE}"]
        assert (mean.value, mean.ci_low, mean.ci_high) == pytest.approx((own.value, own.ci_low, own.ci_high))
        assert mean.ci_low < mean.ci_high


def test_the_interval_of_the_mean_covers():
    """Of 20 samples each, 300 times; an interval that is normal in the AUROC itself holds its .96 in 246."""
    rng, inside = np.random.default_rng(0), 0
    truth = float(torch.distributions.Normal(0.0, 1.0).cdf(torch.tensor(2.5 / math.sqrt(2))))
    for _ in range(300):
        seen = {PLACE: rng.normal(size=20) + 2.5}
        value = mean_over({name: (seen, {PLACE: rng.normal(size=20)}) for name in ("a", "b")})
        inside += value.ci_low < truth < value.ci_high
    assert 275 <= inside <= 297


def test_only_the_first_samples_count():
    assert {v.n for v in measured(Terms(), count=100).values if v.part} == {200}


def test_infinite_terms_have_no_gap_and_do_not_cancel():
    class Infinite(Terms):
        def density_terms(self, x):
            return {PLACE: torch.where(x[:, 0] > 3, -torch.inf, -x[:, 0]), NOISE: x[:, 1]}

    found = measured(Infinite())
    assert sorted(by_part(found, "gap")) == [f"far: {NOISE}", f"near: {NOISE}"]
    assert f"far: {PLACE} is infinite for some samples: no gap" in found.notes

    class Cancelling(Infinite):
        def density_terms(self, x):
            terms = super().density_terms(x)
            return terms | {NOISE: -terms[PLACE]}

    with pytest.raises(ContractError, match="infinite with opposite signs"):
        measured(Cancelling())


def test_counts_without_an_interval_are_refused():
    with pytest.raises(UserError, match="density_terms: count = 1: at least 2"):
        DensityTerms().check_parameters(against=[], near=None, count=1)


def test_sums_are_in_order():
    terms = {"a": np.array([1.0, 2.0]), "b": np.array([10.0, 20.0])}
    assert {name: list(each) for name, each in sums(terms).items()} == {"a": [1, 2], "b": [11, 22]}


def as_records(measurement, label="flow", **setting):
    return [
        Record(
            method="flow",
            parameters={},
            protocol_parameters=setting,
            data="normal",
            seed=0,
            role="method",
            values=measurement.values,
            label=label,
        )
    ]


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (Terms(weight=0.1), ["log p(z) separates (AUROC", "changes little (below 0.05) holds here"]),
        (Terms(weight=5.0), ["log p(z) separates (AUROC", "changes little (below 0.05) does not hold"]),
        (Terms(weight=0.1, sign=1.0), ["separates with the sign reversed", "does not hold here"]),
    ],
)
def test_the_claim_is_told_as_it_comes_out(method, said):
    sentences = DensityTerms().findings(as_records(measured(method)))
    assert len(sentences) == 2
    for sentence in sentences:
        assert all(text in sentence for text in said), sentence


def test_settings_of_one_method_are_told_apart():
    """Two runs of a suite, each with a set of its own."""
    first = as_records(measured(Terms(weight=0.1), near=None), setting="a")
    second = as_records(measured(Terms(weight=0.1), against=[Normal(2.5, name="farther")]), setting="b")
    sentences = DensityTerms().findings([*first, *second])
    assert [sentence.split(":")[0] for sentence in sentences] == [
        "flow against far",
        "flow against near",
        "flow against farther",
    ]
    assert not any("nan" in sentence for sentence in sentences)


def test_it_draws_a_row_a_set_and_all_in_the_last():
    found = measured(Terms(weight=2.0))
    read_again = dict(sorted(found.arrays.items()))  # as archives give them
    figures = DensityTerms().draw(as_records(found), [read_again])
    assert list(figures) == ["terms_1"]
    axes = figures["terms_1"].axes
    assert len(axes) == 8
    drawn = [[patch.get_label() for patch in ax.patches] for ax in axes[::2]]
    assert drawn == [["seen"], ["far"], ["near"], ["seen", "far", "near"]]
    assert [axes[0].get_title(), axes[1].get_title()] == [PLACE, f"+ {NOISE}"]
    assert float(auroc(found.arrays["sum:0:in"], found.arrays["sum:0:far"])) > 0.8


def test_methods_without_terms_and_with_bad_ones_are_told():
    class Plain(Likelihood):
        def log_prob(self, x, *, rng=None):
            return x[:, 0]

    with pytest.raises(Unsupported, match="Plain has no terms"):
        measured(Plain())

    class Changing(Terms):
        def density_terms(self, x):
            return {f"term {float(x[0, 0])}": x[:, 0]}

    with pytest.raises(ContractError, match="other terms for other images"):
        measured(Changing())

    class Nothing(Terms):
        def density_terms(self, x):
            return {}

    with pytest.raises(ContractError, match="gave none"):
        measured(Nothing())
