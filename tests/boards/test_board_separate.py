"""Methods that a metric separates are ranked and compared apart; what is no method stands beside all."""

import board_fakes as fakes
import numpy as np
import pytest

from mfbench.boards.collect import collect
from mfbench.boards.columns import value_texts
from mfbench.boards.display import main_table
from mfbench.boards.notes import notes
from mfbench.boards.tables import build
from mfbench.registry import Registry
from mfbench.store import Store, encode_array

LABELS = {"name": "labels_used", "unit": "", "better": None, "primary": False, "separates": True}


@pytest.fixture
def board(tmp_path, monkeypatch):
    """(table, comparisons) of methods given as (name, role, labels used, value)."""
    monkeypatch.setattr(fakes, "OOD", {**fakes.OOD, "metrics": [*fakes.OOD["metrics"], LABELS]})

    def make(*methods):
        records = [record(*method, seed) for method in methods for seed in range(3)]
        path = fakes.fill(tmp_path / "store.sqlite", records)
        with Store(path) as store:
            bundle = collect(store, "quick", Registry())
        (table,) = build(bundle)
        return table, bundle.comparisons

    return make


def record(name, role, labels, value, seed):
    noise = 0.01 * np.random.default_rng([seed, len(name)]).standard_normal(400)
    scores = value + noise - noise.mean()
    asked = fakes.cell(fakes.ood(), fakes.choice("likelihood", name), seed, role=role)
    values = [("auroc", "", value, 400, None, None)]
    values += [] if labels is None else [("labels_used", "", labels, None, None, None)]
    return fakes.result(asked, values, scores={"test": encode_array(scores)})


METHODS = (
    ("oracle", "ceiling", 1.0, 1.0),
    ("guided", "method", 1.0, 0.9),
    ("guided_worse", "method", 1.0, 0.8),
    ("free", "method", 0.0, 0.7),
    ("free_worse", "method", 0.0, 0.6),
    ("a_hundredth", "method", 0.01, 0.75),
    ("untrained", "control", 0.0, 0.65),
)


def test_ranks_begin_anew_in_each_group(board):
    table, _ = board(*METHODS)
    ranks = dict(zip(table.rows["label"], zip(table.rows["rank_low"], table.rows["rank_high"])))
    assert ranks["guided"] == ranks["free"] == ranks["a_hundredth"] == (1, 1)
    assert ranks["guided_worse"] == ranks["free_worse"] == (2, 2)
    assert np.isnan([*ranks["oracle"], *ranks["untrained"]]).all()
    assert table.separator.name == "labels_used"


def test_groups_stand_together_those_with_the_fewest_labels_first(board):
    table, _ = board(*METHODS)
    assert list(table.rows["label"]) == [
        *("oracle", "free", "free_worse", "a_hundredth"),
        *("guided", "guided_worse", "untrained"),
    ]


def test_only_equals_are_compared_and_every_method_with_the_controls(board):
    table, comparisons = board(*METHODS)
    pairs = {frozenset((line["a"], line["b"])) for line in comparisons}
    assert pairs == {
        frozenset(("guided", "guided_worse")),
        frozenset(("free", "free_worse")),
        *(frozenset((name, "untrained")) for name, role, *_ in METHODS if role == "method"),
    }
    controls = dict(zip(table.rows["label"], table.rows["controls"]))
    assert controls["free_worse"] == ("untrained",)
    assert controls["free"] == controls["guided_worse"] == ()


def test_methods_that_do_not_say_are_a_group_of_their_own(board):
    table, comparisons = board(("old", "method", None, 0.9), *METHODS[1:])
    ranks = dict(zip(table.rows["label"], table.rows["rank_low"]))
    assert ranks["old"] == ranks["guided"] == 1
    assert not any({"old", "guided"} == {line["a"], line["b"]} for line in comparisons)


def test_without_a_separating_metric_all_are_ranked_together(tmp_path):
    records = [record(*method, seed) for method in METHODS for seed in range(3)]
    for each in records:
        each["values"] = each["values"][:1]
    with Store(fakes.fill(tmp_path / "store.sqlite", records)) as store:
        (table,) = build(collect(store, "quick", Registry()))
    ranks = dict(zip(table.rows["label"], table.rows["rank_low"]))
    assert table.separator is None
    assert [ranks[name] for name in ("guided", "guided_worse", "a_hundredth", "free")] == [1, 2, 3, 4]


def test_the_board_says_so(board):
    table, _ = board(*METHODS)
    texts = value_texts(table.values)
    shown, right = main_table(table, texts, {})
    assert list(shown.columns)[1:3] == ["method", "labels_used"]
    assert list(shown["labels_used"]) == ["1", "0", "0", "0.01", "1", "1", "0"]
    assert "labels_used" in right
    assert any("within equal labels_used: methods not told apart" in note for note in notes(table))
