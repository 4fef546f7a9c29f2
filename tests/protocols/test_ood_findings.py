"""Whose mean log-density is highest, and what larger steps cost, as the board says it."""

from __future__ import annotations

import numpy as np

from mfbench.contracts import Record, Value
from mfbench.protocols.ood_auroc import OODAuroc


def record(label, densities=(), auroc=0.8, *, step=None, seed=0, count=None, **parameters):
    names = ("roll", "circles", "moons")
    return Record(
        method=label.partition("(")[0],
        parameters=parameters | ({} if step is None else {"step": step}),
        protocol_parameters={"against": ["circles", "moons"], "count": count},
        data="roll",
        seed=seed,
        role="method",
        values=[
            Value("auroc", "", auroc),
            *(Value("mean_log_density", n, x, 100, x - 0.2, x + 0.2) for n, x in zip(names, densities)),
        ],
        label=label,
    )


def test_where_the_seen_set_is_highest_is_told_by_method_over_the_seeds():
    records = [
        record("gaussian", (-3, -2.9, -4)),
        record("kde", (-1, -5, -6)),
        record("flip", (-1, -2, -3), seed=0),
        record("flip", (-9, -2, -3), seed=1),
        record("low", (-9, -2, -9.05)),
        record("cut", (-np.inf, -np.inf, -3)),
        record("lof"),
    ]
    assert OODAuroc().findings(records) == [
        "Mean log-density of roll, the seen set, over the seeds: higher than of every unseen set by kde; "
        "not told apart from circles by gaussian; lower than of circles and moons by flip; "
        "lower than of circles by low; not finite by cut."
    ]


def test_from_five_seeds_on_their_spread_decides():
    def family(label, gaps):
        return [record(label, (-2 + gap, -2, -9), seed=seed) for seed, gap in enumerate(gaps)]

    records = [*family("steady", (1.0, 1.1, 0.9, 1.0, 1.0)), *family("wild", (3.0, -1.0, 2.0, -0.5, 1.5))]
    (said,) = OODAuroc().findings(records)
    assert "every unseen set by steady; not told apart from circles by wild" in said


def test_the_loss_over_steps_is_told_for_each_family():
    records = [
        *(record("markov", auroc=0.80 + 0.02 * s, step=1.0, seed=s, rounds=10) for s in (0, 1)),
        record("markov(step=5)", auroc=0.7, step=5, rounds=10),
        record("markov(rounds=1)", auroc=0.6, step=1.0, rounds=1),  # alone in its family
        record("odd", auroc=0.6, step="auto"),
        record("odd(step=1)", auroc=0.6, step=1),
    ]
    assert OODAuroc().findings(records) == [
        "Mean AUROC of markov at h = 1: 0.810; with larger steps 0.700 (-0.110) at 5."
    ]


def test_settings_are_not_mixed_and_nothing_is_said_of_nothing():
    records = [record("a", (-1, -2, -3)), record("a", (-2, -1, -3), count=5)]
    said = OODAuroc().findings(records)
    assert [sentence.partition("seeds: ")[2] for sentence in said] == [
        "higher than of every unseen set by a.",
        "lower than of circles by a.",
    ]
    assert OODAuroc().findings([]) == OODAuroc().findings([record("lof")]) == []
