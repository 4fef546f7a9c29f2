"""Which pairs of a board are compared, by what, and which ranks that leaves: line by line."""

import math

import board_fakes as fakes
import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from mfbench.boards.cells import row_id
from mfbench.boards.publish import publish
from mfbench.boards.ranking import rank
from mfbench.boards.statistics import compare
from mfbench.contracts import Metric
from mfbench.registry import Registry
from mfbench.store import Store, encode_array

PRIMARIES = {("ood_auroc", 1): "auroc"}
BY_EXAMPLE = "paired bootstrap, its limit"


def record(name, seed, value, role="method", status="ok", protocol=None, more=()):
    """A record of a board; `more` are values before that of the primary metric."""
    asked = fakes.cell(protocol or fakes.ood(), fakes.choice("likelihood", name), seed, role=role)
    values = [*more, *([] if value is None else [("auroc", "", value, 100, None, None)])]
    return {**fakes.result(asked, values, status=status), "row": row_id(asked)}


def several(name, values, **more):
    """Records of a row: seeds 0, 1, ... and their values."""
    return [record(name, seed, value, **more) for seed, value in enumerate(values)]


def nothing(keys):
    return {}


def scores_of(records, draw):
    """Scores by cache key: `draw(rng)` about each record's value."""
    found = {}
    for each in records:
        noise = draw(np.random.default_rng([each["seed"], *each["label"].encode()]))
        found[each["cache_key"]] = {"in": each["values"][-1]["value"] + noise - noise.mean()}
    return found


def normal(rng):
    return rng.normal(0, 0.1, 50)


def lines_of(records, scores=None, known=None):
    """The comparisons, by the labels of their pairs."""
    asked = nothing if scores is None else lambda keys: {key: scores[key] for key in keys if key in scores}
    return {(line["a"], line["b"]): line for line in compare(records, PRIMARIES, asked, known or {})}


def test_methods_meet_each_other_and_the_controls_in_whatever_order_they_stand():
    records = [
        each
        for name, role in (("c1", "control"), ("m1", "method"), ("c2", "control"), ("m2", "method"))
        for each in several(name, [0.5 + len(name), 0.6, 0.7], role=role)
    ]
    assert set(lines_of(records)) == {("m1", "c1"), ("m2", "c1"), ("m1", "c2"), ("m2", "c2"), ("m1", "m2")}


def test_a_control_that_stands_first_is_b():
    records = [*several("control", [0.5, 0.5, 0.5], role="control"), *several("m", [0.9, 0.8, 0.7])]
    assert lines_of(records)["m", "control"]["difference"] == pytest.approx(0.3)


def test_ceilings_and_references_are_not_compared():
    records = [
        each for role in ("ceiling", "reference", "method") for each in several(role, [1.0, 2.0], role=role)
    ]
    assert lines_of(records) == {}


@pytest.mark.parametrize(
    "lost",
    [
        {"status": "failed", "value": 0.9},  # what came before it failed was kept
        {"status": "missing", "value": None},
        {"status": "ok", "value": math.nan},
        {"status": "ok", "value": None},
    ],
)
@pytest.mark.parametrize("role", ["method", "control"])
def test_a_row_that_lacks_one_seed_is_not_compared(lost, role):
    rest = [*several("a", [0.7, 0.8, 0.6]), *several("b", [0.5, 0.4, 0.6])]
    partial = [record("part", seed, 0.9 - 0.1 * seed, role=role) for seed in (0, 1)]
    records = [*partial, record("part", 2, role=role, **lost), *rest]
    assert set(lines_of(records)) == {("a", "b")}
    assert len(lines_of([*partial, record("part", 2, 0.9, role=role), *rest])) == 3


def test_the_primary_value_is_that_of_the_whole_not_of_a_part():
    parts = [("fpr_at_95_tpr", "", 0.3, 1, None, None), ("auroc", "moons", 0.1, 1, None, None)]
    records = [*several("a", [0.7, 0.8, 0.6], more=parts), *several("b", [0.5, 0.6, 0.4])]
    assert lines_of(records)["a", "b"]["difference"] == pytest.approx(0.2)
    only_parts = [*several("a", [None, None], more=parts), *several("b", [0.5, 0.6])]
    assert lines_of(only_parts) == {}


def test_by_example_the_seeds_that_both_have_are_compared():
    a = [record("a", seed, 0.9 - 0.1 * seed) for seed in (0, 1, 2)]
    b = [record("b", seed, 0.2 * seed) for seed in (1, 2, 3)]
    c = [record("c", seed, 0.5) for seed in (4, 5)]
    records = [*a, *b, *c]
    found = lines_of(records, scores_of(records, normal))
    assert (found["a", "b"]["rule"], found["a", "b"]["seeds"]) == (BY_EXAMPLE, 2)
    assert found["a", "b"]["difference"] == pytest.approx((0.8 - 0.2 + 0.7 - 0.4) / 2)
    assert (found["a", "c"]["rule"], found["a", "c"]["p"]) == ("none: fewer than two seeds in common", None)


def test_by_seeds_those_that_both_have_are_compared():
    records = [
        *(record("a", seed, value) for seed, value in enumerate([0.9, 0.6, 0.8, 0.7])),
        *(record("b", seed, value) for seed, value in enumerate([0.1, 0.5, 0.2, 0.3], 1)),
    ]
    line, expected = lines_of(records)["a", "b"], ttest_rel([0.6, 0.8, 0.7], [0.1, 0.5, 0.2])
    interval = expected.confidence_interval(0.95)
    assert (line["rule"], line["seeds"]) == ("paired t over 3 seeds", 3)
    assert line["p"] == pytest.approx(expected.pvalue)
    assert (line["ci_low"], line["ci_high"]) == pytest.approx((interval.low, interval.high))


def test_a_seed_without_scores_leaves_the_pair_to_its_seeds():
    records = [*several("a", [0.9, 0.7]), *several("b", [0.5, 0.6])]
    scores = scores_of(records, normal)
    assert lines_of(records, scores)["a", "b"]["rule"] == BY_EXAMPLE
    del scores[records[1]["cache_key"]]
    assert lines_of(records, scores)["a", "b"]["rule"] == "paired t over 2 seeds"


@pytest.mark.parametrize(("size", "rule"), [(5, BY_EXAMPLE), (60, BY_EXAMPLE), (61, "paired t over 2 seeds")])
def test_up_to_sixty_entrants_are_compared_by_example(size, rule):
    records = [each for i in range(size) for each in several(f"m{i}", [0.01 * i, 0.02 * i + 0.1])]
    found = lines_of(records, scores_of(records, normal))
    assert len(found) == size * (size - 1) // 2
    assert {line["rule"] for line in found.values()} == {rule}


def test_holm_is_over_all_blocks_of_the_board():
    one = [*several("a", [0.9, 0.81, 0.7]), *several("b", [0.5, 0.4, 0.31])]
    other = fakes.choice("protocol", "ood_auroc", spread_rounds=3)
    two = [*several("a", [0.9, 0.8, 0.7], protocol=other), *several("b", [0.5, 0.6, 0.31], protocol=other)]
    first, second = compare([*one, *two], PRIMARIES, nothing, {})
    assert first["p"] < second["p"]
    assert (first["p_holm"], second["p_holm"]) == pytest.approx(
        (2 * first["p"], max(2 * first["p"], second["p"]))
    )


def imported(line, difference):
    return {**line, "difference": difference, "p": 0.001, "ci_low": 0.1, "ci_high": 0.3, "rule": "elsewhere"}


def test_an_imported_comparison_is_believed_only_where_it_is_of_these_values():
    records = [*several("a", [0.9, 0.7, 0.6]), *several("b", [0.5, 0.6, 0.5])]
    line = lines_of(records)["a", "b"]
    own, keys = line["difference"], (line["a_key"], line["b_key"])
    assert own == pytest.approx(0.2)
    same = lines_of(records, known={keys: imported(line, own)})["a", "b"]
    assert (same["rule"], same["p"], same["ci_high"], same["difference"]) == ("elsewhere", 0.001, 0.3, own)
    for wrong in (own + 1e-6, -own, None):
        assert lines_of(records, known={keys: imported(line, wrong)})["a", "b"] == line
    assert lines_of(records, known={keys[::-1]: imported(line, own)})["a", "b"] == line


def test_own_scores_come_before_an_imported_comparison():
    records = [*several("a", [0.9, 0.7, 0.6]), *several("b", [0.5, 0.6, 0.5])]
    line = lines_of(records)["a", "b"]
    known = {(line["a_key"], line["b_key"]): imported(line, line["difference"])}
    assert lines_of(records, scores_of(records, normal), known)["a", "b"]["rule"] == BY_EXAMPLE


def skewed(rng):
    return 0.05 * np.exp(2 * rng.standard_normal(20))


def test_what_is_drawn_is_the_same_every_time_and_in_any_company():
    records = [each for name in "abcd" for each in several(name, [0.02 * ord(name), 0.02 * ord(name) + 0.01])]
    scores = scores_of(records, skewed)
    found = lines_of(records, scores)
    assert {line["rule"] for line in found.values()} == {"paired bootstrap, drawn"}
    assert lines_of(records, scores) == found
    alone = lines_of([each for each in records if each["label"] in "cd"], scores)["c", "d"]
    assert {**alone, "p_holm": None} == {**found["c", "d"], "p_holm": None}


def test_a_board_with_drawn_pairs_is_published_in_the_same_bytes(tmp_path):
    records = [each for name in "abc" for each in several(name, [0.1 * ord(name), 0.1 * ord(name) + 0.02])]
    for each in records:
        values = skewed(np.random.default_rng([each["seed"], *each["label"].encode()]))
        each["scores"] = {"in": encode_array(each["values"][0]["value"] + values - values.mean())}
    path = fakes.fill(tmp_path / "store.sqlite", records)
    boards = []
    for name in ("one", "two"):
        with Store(path) as store:
            publish(store, Registry(), tmp_path / name)
        out = tmp_path / name
        boards.append({str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()})
    assert boards[0]["quick/comparisons.jsonl"].count(b"paired bootstrap, drawn") == 3
    assert boards[0] == boards[1]


AUROC = Metric("auroc", better="higher", primary=True)


def ranked(entrants, comparisons, metric=AUROC):
    """label -> (rank_low, rank_high, controls) of entrants (label, role, value, ok of 3) in one block."""
    labels, roles, numbers, ok = zip(*entrants)
    blank = {"table": "t", "block": "t", "asked": 3}
    rows = pd.DataFrame(
        {"role": roles, "label": labels, "ok": ok, **blank}, index=[f"row {x}" for x in labels]
    )
    lines = [
        (row, "auroc", part, value + gap)
        for row, value in zip(rows.index, numbers)
        for part, gap in (("moons", -5.0), ("", 0.0), ("circles", 5.0))
    ]
    values = pd.DataFrame(lines, columns=["row", "metric", "part", "value"])
    compared = [
        {"a_row": f"row {a}", "b_row": f"row {b}", "difference": gap, "p_holm": p}
        for a, b, gap, p in comparisons
    ]
    found = rank(rows, values, {"t": metric}, compared)
    np.testing.assert_array_equal(found["primary"], numbers)
    told = zip(found["rank_low"], found["rank_high"], found["controls"])
    return dict(zip(labels, told))


@pytest.mark.parametrize(
    ("p", "apart"), [(0.01, True), (0.0499, True), (0.05, False), (0.06, False), (0.15, False)]
)
def test_methods_are_told_apart_and_controls_beaten_below_five_percent(p, apart):
    entrants = [("a", "method", 0.9, 3), ("b", "method", 0.7, 3), ("coin", "control", 0.5, 3)]
    found = ranked(entrants, [("a", "b", 0.2, p), ("a", "coin", 0.4, p), ("b", "coin", 0.2, p)])
    unbeaten = () if apart else ("coin",)
    assert found["a"] == (1, 1 if apart else 2, unbeaten)
    assert found["b"] == (2 if apart else 1, 2, unbeaten)


def test_lower_may_be_better():
    entrants = [("a", "method", 0.9, 3), ("b", "method", 0.7, 3), ("coin", "control", 0.8, 3)]
    compared = [("a", "b", 0.2, 0.01), ("a", "coin", 0.1, 0.01), ("b", "coin", -0.1, 0.01)]
    found = ranked(entrants, compared, Metric("auroc", better="lower", primary=True))
    assert (found["a"], found["b"]) == ((2, 2, ("coin",)), (1, 1, ()))


def test_a_control_with_a_result_that_was_never_compared_is_not_beaten():
    entrants = [("a", "method", 0.9, 3), ("some", "control", 0.5, 1), ("none", "control", math.nan, 0)]
    assert ranked(entrants, [("a", "some", 0.4, None)])["a"] == (1, 1, ("some",))


def test_a_method_that_lacks_a_seed_has_no_rank_and_takes_none():
    entrants = [("a", "method", 0.9, 3), ("part", "method", 0.99, 2), ("b", "method", 0.7, 3)]
    found = ranked(entrants, [("a", "b", 0.2, 0.01), ("part", "a", 0.09, 0.01), ("part", "b", 0.29, 0.01)])
    assert (found["a"], found["b"]) == ((1, 1, ()), (2, 2, ()))
    assert np.isnan(found["part"][:2]).all()
