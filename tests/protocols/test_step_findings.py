"""Who needs the fewest evaluations for a given accuracy, as the board and its figure say it."""

from __future__ import annotations

import pytest

from mfbench.contracts import Record, Value
from mfbench.protocols.step_consistency import StepConsistency
from mfbench.protocols.step_figures import draw_accuracy
from mfbench.protocols.step_findings import costs_of, error_by_cost


def record(label, nfe, rms, role="method", generator="exact_diffusion", seed=0):
    values = [] if rms is None else [Value("rms_distance", "", rms)]
    return Record(
        method=label,
        parameters={},
        protocol_parameters={"generator": {"kind": "generator", "name": generator, "parameters": {}}},
        data="gaussian_mixture",
        seed=seed,
        role=role,
        values=values,
        label=label,
        nfe=nfe,
    )


RECORDS = [
    *(record("slow", nfe, 0.2 / nfe) for nfe in (10, 100, 200, 400)),  # 1e-3 at 200
    *(record("fast", nfe, 10 / nfe**3) for nfe in (10, 20, 25, 40)),  # 1e-3 above 21.5
    record("never", 50, 2e-3),
    record("stochastic", 5, None),
    record("oracle", 3, 0.0, role="ceiling"),
]


def test_the_cheapest_sampler_that_is_accurate_enough_comes_first():
    assert [(cost.label, cost.nfe) for cost in costs_of(RECORDS)] == [("fast", 25), ("slow", 200)]


def test_a_lucky_crossing_does_not_count():
    lucky = [record("lucky", nfe, rms) for nfe, rms in ((8, 1e-4), (16, 5e-3), (32, 9e-4), (64, 1e-4))]
    assert costs_of(lucky)[0].nfe == 32


def test_errors_of_seeds_are_pooled_as_squares():
    seeds = [record("a", 10, rms, seed=seed) for seed, rms in enumerate((3e-3, 4e-3))]
    assert error_by_cost(seeds) == [(10, pytest.approx((12.5e-6) ** 0.5))]


def test_the_board_says_so_for_each_generator():
    other = [record("slow", 7, 1e-5, generator="ddpm_mlp")]
    said = StepConsistency().findings([*RECORDS, *other])
    assert said == [
        "Fewest evaluations for an rms error of 0.001 on exact_diffusion, among the steps run: "
        "fast with 25 (rms 6.4e-04); then slow 200.",
        "Fewest evaluations for an rms error of 0.001 on ddpm_mlp, among the steps run: "
        "slow with 7 (rms 1.0e-05).",
    ]
    assert StepConsistency().findings([record("never", 50, 2e-3)]) == []


def test_the_figure_names_it():
    (ax,) = draw_accuracy(RECORDS).axes
    assert ax.get_title(loc="left") + ax.get_title() == "fast: 25 evaluations for 0.001"
    drawn = {line.get_label() for line in ax.lines if not line.get_label().startswith("_")}
    assert drawn == {"slow", "fast", "never"}
    (ax,) = draw_accuracy([record("never", 50, 2e-3)]).axes
    assert "none reaches 0.001" in ax.get_title(loc="left") + ax.get_title()
