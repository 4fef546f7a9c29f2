"""disentanglement: codes get the scores that they have in closed form; assignments come from validation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mfbench_baselines.factor_oracle import OracleFactors
from mfbench_baselines.linear_codes import PrincipalComponents, RandomProjection
from protocol_fakes import QualityClock, TimingClock, fitted, record_of, seeded, values_of
from semantic_fakes import Flipped, Linear, Perfect, Tiles, duplicated, rotated

from mfbench import measures
from mfbench.contracts import Dataset, Split
from mfbench.errors import ContractError, Unsupported, UserError
from mfbench.protocols.clusters import by_cluster, jackknife, mean_value
from mfbench.protocols.disentanglement import Disentanglement
from mfbench.protocols.disentanglement_figures import best_axes, borders
from mfbench.protocols.disentanglement_measures import gap_contributions, information_table

DATA = Tiles()


def evaluate(method, data=DATA, clock=None, **parameters):
    given = {"groups": 2, "trees": 0, **parameters}
    return Disentanglement().evaluate(method, data, rng=seeded(), clock=clock or QualityClock(), **given)


@pytest.fixture(scope="module")
def perfect():
    return evaluate(Perfect(labels_used=0.5), trees=300)


def test_a_perfect_code_has_the_best_value_of_every_measure(perfect):
    values = values_of(perfect)
    ones = ("grid_accuracy", "cell_accuracy", "factor_accuracy", "dci_disentanglement")
    ones += ("dci_completeness", "dci_informativeness", "factor_vae", "topographic_similarity")
    for metric in ones:
        assert values[metric, ""].value == pytest.approx(1), metric
    for metric in ("mig", "modularity", "explicitness", "posdis", "infom", "infoc"):
        assert values[metric, ""].value > 0.97, metric  # noise in the estimated information of the others
    assert values["sap", ""].value == pytest.approx(0.5, abs=0.06)  # 1 less the accuracy of guessing
    assert values["reconstruction", ""].value == pytest.approx(0, abs=1e-10)
    assert values["active_dimensions", ""].value == 3
    assert values["labels_used", ""].value == 0.5
    assert not perfect.notes


def test_every_number_has_an_interval_around_it(perfect):
    for (metric, part), value in values_of(perfect).items():
        if metric != "labels_used":
            assert value.ci_low <= value.value <= value.ci_high, (metric, part)
    ranges = {metric.name: metric for metric in Disentanglement.metrics}
    for (name, _), value in values_of(perfect).items():
        assert ranges[name].highest is None or (value.ci_high or 0) <= ranges[name].highest, name
        assert ranges[name].lowest is None or (value.ci_low or 0) >= ranges[name].lowest, name
    low = values_of(perfect)["grid_accuracy", ""].ci_low
    assert low == pytest.approx(measures.wilson(1200, 1200).low)  # no certainty from agreement alone


def test_a_duplicated_code_has_no_gap():
    values = values_of(evaluate(duplicated(), trees=300, count=600))
    assert values["mig", ""].value == pytest.approx(0, abs=1e-12)
    assert values["dci_disentanglement", ""].value == pytest.approx(1, abs=1e-6)
    assert values["modularity", ""].value > 0.97
    assert values["grid_accuracy", ""].value == 1  # one of the two copies says it all


def test_a_rotated_code_tells_both_factors_and_neither():
    values = values_of(evaluate(rotated(), count=600))
    assert values["mig", ""].value == pytest.approx(1 / 3, abs=0.02)  # the third factor alone has a gap
    assert values["explicitness", ""].value == pytest.approx(1)
    assert values["grid_accuracy", ""].value < 0.8
    assert values["reconstruction", ""].value == pytest.approx(0, abs=1e-10)


def test_wrong_symbols_cost_what_they_should():
    share, data = 0.1, Tiles((2, 2))
    values = values_of(evaluate(Flipped(share), data))
    joint, each = values["grid_accuracy", ""], values["factor_accuracy", "tile 0"]
    assert joint.ci_low < (1 - share) ** 2 < joint.ci_high
    assert each.ci_low < 1 - share < each.ci_high
    assert each.ci_high - each.ci_low < 0.06
    entropy = -share * math.log2(share) - (1 - share) * math.log2(1 - share)
    assert values["mig", ""].ci_low < 1 - entropy < values["mig", ""].ci_high


def test_the_gap_is_that_of_the_measure_and_so_are_its_contributions():
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 3, (400, 2))
    codes = factors @ [[1.0, 0.3, 0.2], [0.2, 1.0, 0.4]] + 0.5 * rng.standard_normal((400, 3))
    expected = measures.mutual_information_gap(codes, factors)
    assert gap_contributions(codes, factors).mean() == pytest.approx(expected, abs=1e-12)


def test_the_interval_of_the_gap_covers():
    """Few 95 % intervals of 60 samples miss the gap at 40,000 images."""
    truth, covered = 0.0, 0
    for trial in range(61):
        rng = np.random.default_rng(trial)
        n = 40_000 if trial == 0 else 500
        factors = rng.integers(0, 2, (n, 2))
        wrong = rng.random((n, 2)) < [0.1, 0.2]
        codes = np.abs(factors - wrong).astype(float)
        value = mean_value("mig", "", gap_contributions(codes, factors), np.arange(n))
        if trial == 0:
            truth = value.value
        else:
            covered += value.ci_low <= truth <= value.ci_high
    assert covered >= 52  # P(fewer) is below 1 % at 95 % coverage


def test_people_and_not_images_are_the_examples():
    one = evaluate(Flipped(0.2, seed=1), Tiles((2, 2)))
    data = Tiles((2, 2), renderings=4, kept=(0, 1))
    several = evaluate(Perfect((2, 2)), data)
    assert len(one.scores["examples"]) == 1200
    assert len(several.scores["examples"]) == 300
    assert several.scores["examples"].mean() == pytest.approx(values_of(several)["mig", ""].value)


def test_clusters_keep_the_mean_and_give_its_error():
    rng = np.random.default_rng(0)
    person = rng.standard_normal(200)
    clusters = np.repeat(np.arange(200), rng.integers(1, 6, 200))
    contributions = person[clusters] + 0.1 * rng.standard_normal(len(clusters))
    spread = by_cluster(contributions, clusters)
    assert len(spread) == 200
    assert spread.mean() == pytest.approx(contributions.mean())
    weights = np.bincount(clusters)
    ratio = np.bincount(clusters, contributions)
    residual = ratio - contributions.mean() * weights
    error = np.sqrt(200 * residual.var(ddof=1)) / weights.sum()
    assert spread.std(ddof=1) / math.sqrt(200) == pytest.approx(error)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(400)
    (value,) = jackknife(lambda rows: {"m": x[rows].mean()}, np.arange(400), groups=400)
    half = 1.966 * x.std(ddof=1) / 20
    assert value.value == pytest.approx(x.mean())
    assert value.ci_high - value.value == pytest.approx(half, rel=1e-2)
    (coarse,) = jackknife(lambda rows: {"m": x[rows].mean()}, np.arange(400), groups=10)
    assert coarse.ci_high - coarse.value == pytest.approx(half, rel=0.6)


def test_assignments_are_made_on_validation_images():
    class Swapped(Perfect):
        """Says the opposite on test images, which are more than those of validation."""

        def symbols(self, x):
            return self.encode(x).round().long() if self.first else 1 - self.encode(x).round().long()

    method, data = Swapped((2, 2)), Tiles((2, 2))
    seen = []

    def first_is_validation(x):
        val = data.val.x
        method.first = any(torch.equal(x, val[start : start + 256]) for start in range(0, len(val), 256))
        seen.append(method.first)
        return type(method).symbols(method, x)

    method.symbols = first_is_validation
    values = values_of(evaluate(method, data))
    assert {True, False} == set(seen)
    assert values["grid_accuracy", ""].value == 0


def test_ceiling_baseline_and_control():
    data = Tiles((2, 5))
    ceiling = values_of(evaluate(fitted(OracleFactors(), data), data))
    assert ceiling["mig", ""].value > 0.99
    assert ceiling["grid_accuracy", ""].value == 1
    assert ceiling["labels_used", ""].value == 1
    assert ceiling["reconstruction", ""].value < 1e-3
    pca = values_of(evaluate(fitted(PrincipalComponents(), data), data))
    control = evaluate(fitted(RandomProjection(), data), data)
    assert pca["reconstruction", ""].value < 1e-9  # two components hold two tiles
    assert values_of(control)["mig", ""].value < 0.7
    assert "message read from the codes: at most 5 equally frequent parts a dimension" in control.notes


def test_fewer_dimensions_than_factors_have_no_axes():
    measurement = evaluate(Linear([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    assert ("grid_accuracy", "") not in values_of(measurement)
    assert ("cell_accuracy", "") in values_of(measurement)
    assert "2 dimensions have no axis for each of 3 factors" in measurement.notes


def test_what_does_not_vary_is_left_out_and_said():
    class Fixed(Tiles):
        def make_split(self, split):
            made = super().make_split(split)
            return Split(made.x, attributes=made.attributes * torch.tensor([1, 1, 0]), names=made.names)

    measurement = evaluate(Perfect(), Fixed())
    assert measurement.notes[0] == "left out, hardly varying: tile 2"
    assert {part for metric, part in values_of(measurement) if metric == "factor_accuracy"} == {
        *("", "tile 0", "tile 1")
    }


def test_one_factor_alone_has_no_measures_of_several():
    values = values_of(evaluate(Linear(torch.eye(2), (2, 2)), Tiles((2, 2)), factors=["tile 1"]))
    assert ("mig", "") in values
    assert not {"modularity", "posdis", "dci_completeness"} & {metric for metric, _ in values}


def test_what_cannot_be_measured():
    class Bare(Dataset):
        name, shape = "bare", (1, 4, 4)

        def make_split(self, split):
            return Split(torch.zeros(5, 1, 4, 4))

    with pytest.raises(Unsupported, match="data set 'bare' has no attributes"):
        evaluate(Perfect(), Bare())
    with pytest.raises(UserError, match="no attribute 'tile 9'; did you mean"):
        evaluate(Perfect(), factors=["tile 9"])
    with pytest.raises(UserError, match="count is 50; at least 100"):
        evaluate(Perfect(), count=50)
    with pytest.raises(Unsupported, match="single dimension"):
        evaluate(Linear([[1.0, 0.0, 0.0]]))
    with pytest.raises(ContractError, match="labels_used is 2"):
        evaluate(Perfect(labels_used=2.0))

    class Flat(Perfect):
        def encode(self, x):
            return super().encode(x)[:, 0]

    with pytest.raises(ContractError, match=r"encode must return \(n, d\), not \(600,\)|\(256,\)|\(1200,\)"):
        evaluate(Flat())


def test_the_timing_pass_encodes_a_hundred_images():
    clock = TimingClock()
    assert not evaluate(Perfect(), clock=clock).values
    assert clock.result.shape == (100, 3)


def test_borders_lie_between_neighbouring_symbols():
    codes = np.array([0.0, 0.4, 0.6, 1.0, 2.0])
    message = np.array([[0], [0], [1], [1], [2]])
    assert borders(codes, message, 0).tolist() == [0.5, 1.5]
    assert borders(codes, message, 3).size == 0


def test_the_axes_shown_are_those_of_two_factors():
    assert best_axes(np.array([[0.0, 0.9], [0.8, 0.1]])) == ([1, 0], [0, 1])
    table = np.array([[0.1, 0.9, 0.0], [0.8, 0.95, 0.0], [0.0, 0.0, 0.2]])
    assert best_axes(table) == ([1, 2], [1, 2])  # a second dimension for factor 1 would show nothing new
    codes = np.arange(8.0)[:, None]
    np.testing.assert_allclose(information_table(codes, (codes > 3).astype(int)), [[1.0]])


def test_figures(perfect):
    data = Tiles()
    free = evaluate(fitted(PrincipalComponents(), data), data)
    records = [record_of(perfect, "perfect"), record_of(free, "pca")]
    figures = Disentanglement().draw(records, [perfect.arrays, free.arrays])
    assert set(figures) == {"codes", "information", "traversals"}
    first = figures["codes"].axes[0]
    assert first.get_title(loc="left").strip() in {"tile 0", "tile 1", "tile 2"}
    assert "MIG 1.00" in "".join(text.get_text() for text in first.texts)
    assert perfect.arrays["traversal"].shape == (5, 8, 1, 4, 12)
    assert Disentanglement().draw([], []) == {}


class Copying(Perfect):
    """Takes the second attribute for the first, as it is wherever it was trained."""

    def encode(self, x):
        return super().encode(x)[:, [0, 0, 2]]


def test_combinations_that_nobody_has_seen_are_told_apart():
    values = values_of(evaluate(Copying(), Tiles(copied=1.0)))
    for metric in ("grid_accuracy", "factor_accuracy"):
        assert values[metric, "seen combinations"].value == 1
    assert values["grid_accuracy", "unseen combinations"].value == 0
    assert values["factor_accuracy", "unseen combinations"].value == pytest.approx(2 / 3)
    assert values["reconstruction", "seen combinations"].value == pytest.approx(0, abs=1e-10)
    assert values["reconstruction", "unseen combinations"].value > 0.1
    sorts = [values["grid_accuracy", f"{sort} combinations"].n for sort in ("seen", "unseen")]
    assert sum(sorts) == values["grid_accuracy", ""].n


def test_where_all_combinations_were_seen_nothing_is_told_apart(perfect):
    assert not [part for _, part in values_of(perfect) if "combinations" in part]


def test_cells_are_those_of_the_axes_that_tell_something():
    values = values_of(evaluate(Perfect(), factors=["tile 1"]))
    assert values["cell_accuracy", ""].value == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"count": 50}, "count is 50"),
        ({"groups": 1}, "groups = 1: 2 to"),
        ({"groups": 5000}, "groups = 5000: 2 to"),
        ({"trees": 3}, r"trees = 3: 0 \(no DCI\), or 30"),
        ({"factors": ["left", "left"]}, "factors names 'left' twice"),
    ],
)
def test_bad_numbers_are_told_before_anything_runs(given, told):
    defaults = {"count": None, "factors": None, "groups": 5, "trees": 1000}
    with pytest.raises(UserError, match=told):
        Disentanglement().check_parameters(**defaults | given)
