"""Values over seeds: all groups together say what `over_seeds` says of each alone, to the last bit."""

import numpy as np
import pandas as pd
import pytest

from mfbench.boards.summaries import SUMMARY_COLUMNS, in_range, over_seeds
from mfbench.contracts import Metric
from mfbench.measures import intervals


def frame(groups):
    """Lines of groups (row -> values), seed by seed as a suite asks, not row by row; no own intervals."""
    longest = max(map(len, groups.values()), default=0)
    lines = [
        (row, seed, values[seed], 10.0 + seed)
        for seed in range(longest)
        for row, values in groups.items()
        if seed < len(values)
    ]
    found = pd.DataFrame(lines, columns=["row", "seed", "value", "n"])
    return found.assign(metric="auroc", part="", ci_low=np.nan, ci_high=np.nan)


@pytest.mark.parametrize("seeds", [2, 4, 5, 7, 10, 33])
def test_every_group_is_summarized_as_it_would_be_alone(seeds):
    rng = np.random.default_rng(seeds)
    groups = {f"row{place}": rng.standard_normal(seeds) * 10.0 ** rng.integers(-8, 9) for place in range(200)}
    groups |= {"shorter": rng.random(seeds - 1), "constant": np.ones(seeds), "one": np.ones(1)}
    groups["infinite"] = np.r_[np.inf, rng.random(seeds - 1)]
    lines = over_seeds(frame(groups)).set_index("row")
    assert list(lines.index) == list(groups)
    for row, values in groups.items():
        alone = intervals.over_seeds(list(values))
        line = lines.loc[row]
        np.testing.assert_allclose(  # boards keep twelve digits
            [line["value"], line["ci_low"], line["ci_high"]],
            np.array([alone.value, alone.low, alone.high], dtype=float),
            rtol=1e-11,
        )
        assert (line["rule"], line["seeds"]) == (alone.method, len(values))
        assert line["n"] == sum(10 + seed for seed in range(len(values)))


def test_a_group_with_a_value_that_is_no_number_has_none():
    line = over_seeds(frame({"row": [0.1, 0.2, np.nan, 0.3, 0.5]})).iloc[0]
    assert np.isnan([line["value"], line["ci_low"], line["ci_high"]]).all()
    assert line["rule"] == "none: not a number"


def test_nothing_makes_an_empty_frame():
    found = over_seeds(frame({}))
    assert found.empty
    assert tuple(found.columns) == SUMMARY_COLUMNS


def test_intervals_end_where_the_metric_does_and_p_values_stay_some():
    metrics = [Metric("share", lowest=0, highest=1), Metric("p", p_value=True), Metric("free")]
    lines = pd.DataFrame(
        [
            ("share", 0.9, 0.7, 1.1, 5),
            ("p", 0.3, -0.2, 0.8, 5),
            ("p", 0.8, 0.1, 1.5, 3),
            ("p", 0.3, 0.1, 0.5, 1),
            ("free", 0.9, 0.7, 1.1, 5),
            ("unknown", 0.9, -9.0, 9.0, 5),
        ],
        columns=["metric", "value", "ci_low", "ci_high", "seeds"],
    ).assign(rule="student")
    found = in_range(lines, metrics)
    nan = float("nan")
    np.testing.assert_array_equal(found["value"], [0.9, 0.6, 1.0, 0.3, 0.9, 0.9])
    np.testing.assert_array_equal(found["ci_low"], [0.7, nan, nan, 0.1, 0.7, -9.0])
    np.testing.assert_array_equal(found["ci_high"], [1.0, nan, nan, 0.5, 1.1, 9.0])
    assert [rule.startswith("twice") for rule in found["rule"]] == [False, True, True, False, False, False]
