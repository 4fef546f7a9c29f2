"""Tables: who is ranked and how, what stands where, and what is not mixed."""

import json

import board_fakes as fakes
import numpy as np
import pytest

from mfbench.boards import columns
from mfbench.boards.collect import collect
from mfbench.boards.notes import notes
from mfbench.boards.tables import build
from mfbench.errors import UserError
from mfbench.registry import Registry
from mfbench.store import Store, encode_array


@pytest.fixture(scope="module")
def registry():
    return Registry()  # nothing is registered: reading signatures would take a child process


@pytest.fixture
def tables_of(tmp_path, registry):
    """Tables, by protocol, of a store filled with records."""

    def make(records, timings=(), **more):
        path = fakes.fill(tmp_path / "store.sqlite", records, timings, **more)
        with Store(path) as store:
            return {table.protocol: table for table in build(collect(store, "quick", registry))}

    return make


def by_label(table, *columns):
    rows = table.rows.set_index("label")
    return {label: tuple(rows.loc[label, list(columns)]) for label in rows.index}


def simple(name, value, seed, role="method", low=None, high=None, scores=None, protocol=None, **more):
    asked = fakes.cell(protocol or fakes.ood(), fakes.choice("likelihood", name), seed, role=role)
    packed = {group: encode_array(array) for group, array in (scores or {}).items()}
    return fakes.result(asked, [("auroc", "", value, 100, low, high)], scores=packed, **more)


def test_from_top_to_bottom_ceiling_reference_ranks_failures_controls(tables_of):
    table = tables_of(*fakes.ood_records())["ood_auroc"]
    standings = list(zip(table.rows["label"], table.rows["standing"]))
    assert standings[:5] == [
        ("oracle_bayes", "ceiling"),
        ("oracle_density", "reference"),
        ("kde", "ranked"),
        ("gmm", "ranked"),
        ("diffusion_markov", "ranked"),
    ]
    assert {standing for _, standing in standings[5:8]} == {"unranked"}
    assert standings[8] == ("untrained", "control")


def test_methods_that_cannot_be_told_apart_share_a_rank_interval(tables_of):
    ranks = by_label(tables_of(*fakes.ood_records())["ood_auroc"], "rank_low", "rank_high")
    assert ranks["kde"] == ranks["gmm"] == (1, 2)
    assert ranks["diffusion_markov"] == (3, 3)
    assert np.isnan(ranks["oracle_bayes"]).all()


def test_a_failed_row_stays_with_its_coverage_and_reason(tables_of):
    rows = by_label(tables_of(*fakes.ood_records())["ood_auroc"], "failures", "reason", "ok", "asked")
    assert rows["hanging|\n<b>x</b>"][0] == "timeout 2/3"
    assert "no answer" in rows["hanging|\n<b>x</b>"][1]
    assert rows["shapeless"] == (
        "failed 3/3",
        "ContractError: log_prob must return shape (2000,), not (1,)",
        0,
        3,
    )
    assert rows["images_only"][0] == "unsupported 3/3"


def test_a_method_with_a_failed_seed_is_not_ranked_however_good_its_others_are(tables_of):
    table = tables_of(*fakes.ood_records())["ood_auroc"]
    standing, value = by_label(table, "standing", "primary")["hanging|\n<b>x</b>"]
    assert (standing, value) == ("unranked", 0.99)


def test_ranks_are_within_equal_parameters_of_the_protocol(tables_of):
    table = tables_of(*fakes.step_records())["step_consistency"]
    assert table.varying == ("step",)
    assert list(table.rows["parameter:step"].unique()) == ["1", "2", "5", "10", "20"]
    first = table.rows[table.rows["rank_low"] == 1]
    assert list(first[first["parameter:step"] == "5"]["label"]) == ["rk4"]
    equal = first[first["parameter:step"] == "20"]
    assert dict(zip(equal["label"], equal["rank_high"])) == {"rk4": 2, "ddim": 2}


def test_a_row_without_a_primary_value_is_unranked_and_says_why(tables_of):
    table = tables_of(*fakes.step_records())["step_consistency"]
    assert set(table.rows.loc[table.rows["label"] == "ddpm", "standing"]) == {"unranked"}
    assert "ddpm: stochastic: no pathwise distance" in notes(table)


def test_two_versions_of_the_data_are_refused(tables_of):
    records = [simple("kde", 0.8, 0), simple("gmm", 0.7, 0) | {"data_digest": "d1"}]
    with pytest.raises(UserError, match=r"swiss_roll.*2 versions.*mfbench run"):
        tables_of(records)


def test_another_protocol_version_is_another_table(tmp_path, registry):
    new = fakes.cell(fakes.ood(), fakes.choice("likelihood", "kde"), 0, version=2)
    records = [simple("kde", 0.8, 0), fakes.result(new, [("auroc", "", 0.9, 100, None, None)])]
    with Store(fakes.fill(tmp_path / "store.sqlite", records)) as store:
        store.add_protocol("ood_auroc", 2, fakes.OOD)
        tables = build(collect(store, "quick", registry))
    assert sorted(table.version for table in tables) == [1, 2]
    assert len({table.slug for table in tables}) == 2


def test_cells_that_were_never_run_are_shown(tables_of):
    waiting = fakes.cell(fakes.ood(), fakes.choice("likelihood", "later"), 0)
    table = tables_of([simple("kde", 0.8, 0)], unanswered=[waiting])["ood_auroc"]
    assert by_label(table, "failures", "standing")["later"] == ("not run 1/1", "unranked")


def test_a_diverged_method_is_not_ranked_with_the_sound_ones(tables_of):
    records = [simple("kde", 0.8, 0), simple("gone", float("-inf"), 0)]
    table = tables_of(records)["ood_auroc"]
    assert by_label(table, "standing")["gone"] == ("unranked",)
    assert "gone is not ranked: its auroc is not finite (−inf)." in notes(table)


def test_a_value_that_is_no_number_says_why_it_is_not_ranked(tables_of):
    records = [simple(name, v, seed) for name, v in (("a", 0.8), ("b", float("nan"))) for seed in range(5)]
    assert "b is not ranked: its auroc is not finite (nan)." in notes(tables_of(records)["ood_auroc"])


def test_what_is_not_finite_in_five_shared_seeds_is_not_said_to_lack_seeds(tables_of):
    values = {"a": 0.8, "b": 0.7, "gone": float("inf")}
    records = [simple(n, v + 0.01 * s * len(n), s) for n, v in values.items() for s in range(5)]
    table = tables_of(records)["ood_auroc"]
    assert table.rules["none: values are not finite"] == 2
    assert not any("fewer than two" in rule for rule in table.rules)
    assert any("Not compared: 2 pairs, values are not finite." in note for note in notes(table))


def test_a_method_that_does_not_beat_a_control_is_named(tables_of):
    records = []
    for seed in range(3):
        for name, role, auroc in (
            ("good", "method", 0.9),
            ("idle", "method", 0.501),
            ("coin", "control", 0.5),
        ):
            scores = fakes.placements(auroc, seed, name)
            records.append(simple(name, auroc, seed, role=role, scores=scores))
    table = tables_of(records)["ood_auroc"]
    assert by_label(table, "controls")["idle"] == (("coin",),)
    assert by_label(table, "controls")["good"] == ((),)
    assert "idle is not shown to be better than the control coin." in notes(table)


def test_one_seed_without_scores_separates_nobody(tables_of):
    table = tables_of([simple("a", 0.9, 0), simple("b", 0.1, 0)])["ood_auroc"]
    assert by_label(table, "rank_low", "rank_high") == {"a": (1, 2), "b": (1, 2)}
    assert table.rules == {"none: fewer than two seeds in common": 1}


def test_without_scores_methods_are_compared_by_seeds(tables_of):
    records = [
        simple(name, value + 0.001 * (-1) ** (seed + len(name)), seed)
        for name, value in (("a", 0.9), ("bb", 0.5))
        for seed in range(5)
    ]
    table = tables_of(records)["ood_auroc"]
    assert by_label(table, "rank_low", "rank_high") == {"a": (1, 1), "bb": (2, 2)}
    assert table.rules == {"paired t over 5 seeds": 1}
    assert set(table.values["rule"]) == {"student over 5 seeds"}


def test_the_mean_over_three_seeds_has_the_interval_within_them(tables_of):
    records = [
        simple("a", 0.8 + 0.1 * seed, seed, low=0.7 + 0.1 * seed, high=0.9 + 0.1 * seed) for seed in range(3)
    ]
    [line] = tables_of(records)["ood_auroc"].values.to_dict("records")
    assert line["rule"] == "within 3 seeds"
    assert line["value"] == pytest.approx(0.9)
    assert line["ci_high"] - line["value"] == pytest.approx(0.1 / np.sqrt(3))
    assert line["n"] == 300


def test_a_single_seed_keeps_its_own_asymmetric_interval(tables_of):
    [line] = tables_of([simple("a", 0.98, 0, low=0.93, high=0.99)])["ood_auroc"].values.to_dict("records")
    assert (line["ci_low"], line["ci_high"]) == (0.93, 0.99)


def test_timings_of_several_machines_are_told_apart(tables_of):
    records = [simple(name, 0.8, 0) for name in ("a", "b", "c")]
    timings = [
        fakes.timing(records[0], 1.0, "fast"),
        fakes.timing(records[0], 9.0, "slow"),
        fakes.timing(records[1], 8.0, "slow"),
        fakes.timing(records[2], 2.0, "fast"),
        fakes.timing(records[2], 7.0, "slow", valid=False),
    ]
    table = tables_of(records, timings)["ood_auroc"]
    assert by_label(table, "machine", "device_ms") == {
        "a": ("slow", 9.0),
        "b": ("slow", 8.0),
        "c": ("slow", 7.0),
    }
    said = " ".join(notes(table))
    assert "on slow; † too noisy to believe" in said


def test_a_row_timed_elsewhere_says_so(tables_of):
    records = [simple(name, 0.8, 0) for name in ("a", "b", "c")]
    timings = [fakes.timing(r, 1.0, m) for r, m in zip(records, ("slow", "slow", "fast"))]
    table = tables_of(records, timings)["ood_auroc"]
    assert by_label(table, "machine")["c"] == ("fast",)
    assert any("several machines, which do not compare: A = fast; B = slow" in note for note in notes(table))


def test_holm_is_over_the_whole_board(tmp_path, registry):
    records = [*fakes.ood_records()[0], *fakes.step_records()[0]]
    with Store(fakes.fill(tmp_path / "store.sqlite", records)) as store:
        lines = collect(store, "quick", registry).comparisons
    tested = sorted((line["p"], line["p_holm"]) for line in lines if line["p"] is not None)
    assert len(tested) == 6 + 5
    assert tested[0][1] == pytest.approx(min(1.0, 11 * tested[0][0]))
    assert all(adjusted >= p for p, adjusted in tested)
    assert {(line["a"], line["b"]) for line in lines} >= {("kde", "untrained"), ("gmm", "untrained")}


def test_a_board_of_many_methods_is_compared_at_once(tables_of):
    rng = np.random.default_rng(0)
    records = [
        simple(f"m{place:02}", 0.5 + 0.01 * place + 0.001 * rng.standard_normal(), seed)
        for place in range(45)
        for seed in range(5)
    ]
    table = tables_of(records)["ood_auroc"]
    assert table.rules == {"paired t over 5 seeds": 45 * 44 // 2}
    ranks = by_label(table, "rank_low", "rank_high")
    assert ranks["m44"][0] == 1
    assert ranks["m00"][1] == 45
    assert list(table.rows["label"])[:2] == ["m44", "m43"]


def test_records_are_strict_json_in_the_suites_order(tmp_path, registry):
    records = [simple("b", float("nan"), 0), simple("a", float("inf"), 0)]
    with Store(fakes.fill(tmp_path / "store.sqlite", records)) as store:
        found = collect(store, "quick", registry)
    assert [record["label"] for record in found.records] == ["b", "a"]
    assert [record["values"][0]["value"] for record in found.records] == ["nan", "inf"]
    json.dumps(found.records, allow_nan=False)


def test_a_suite_that_was_never_run_is_an_error_that_names_the_others(tmp_path, registry):
    path = fakes.fill(tmp_path / "s.sqlite", [simple("a", 0.5, 0)])
    with Store(path) as store, pytest.raises(UserError, match=r"'slow' has not been.*there is: quick"):
        collect(store, "slow", registry)


def test_seconds_of_fits_and_of_measurements_are_means_over_the_seeds(tables_of):
    records = [
        simple("kde", 0.7, seed, wall_s=seconds, fit_s=2.0) for seed, seconds in ((0, 10.0), (1, 20.0))
    ]
    rows = tables_of(records)["ood_auroc"].rows.to_dict("records")
    shown = columns.costs(rows, {})
    assert (shown["fit (s)"], shown["measured (s)"]) == (["2.00"], ["15.0"])
