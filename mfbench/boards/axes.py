"""The axis of a table's primary values: which rows are on it, whether it is logarithmic, and its ends."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mfbench.boards.tables import Table
from mfbench.contracts import Metric

_CLOSE_UP = ("ceiling", "reference", "ranked")
"""What the closer view is made to hold; a control far away would make it a distant one."""
_SPAN = 100.0
"""A positive metric whose largest value is so many times its smallest is shown on a logarithmic axis."""


def with_value(table: Table) -> pd.DataFrame:
    """The rows with a finite value: `block`, `standing`, `value`, and its interval from `low` to `high`."""
    if table.primary is None:
        return pd.DataFrame()
    primary = table.values[(table.values["metric"] == table.primary.name) & (table.values["part"] == "")]
    found = primary.set_index("row")[["value", "ci_low", "ci_high"]].reindex(table.rows.index)
    found = found[np.isfinite(found["value"].astype(float))]
    rows = table.rows.loc[found.index]
    return pd.DataFrame(
        {
            "block": rows["block"],
            "standing": rows["standing"],
            "value": found["value"],
            "low": found["ci_low"].fillna(found["value"]),
            "high": found["ci_high"].fillna(found["value"]),
        }
    )


def on_an_axis(shown: pd.DataFrame, metric: Metric) -> tuple[pd.DataFrame, bool]:
    """Whether a logarithmic axis is called for, and the rows it can show: an exact 0 is on none.

    What has a highest value, as a share has, is on a linear one: near it differences count, not ratios.
    """
    if metric.highest is not None:
        return shown, False
    positive = shown[shown["value"] > 0] if len(shown) else shown
    if positive.empty or (shown["value"] < 0).any():
        return shown, False
    logarithmic = bool(positive["value"].max() > _SPAN * positive["value"].min())
    return (positive, True) if logarithmic else (shown, False)


def close_up(shown: pd.DataFrame) -> tuple[float, float]:
    """Limits that hold the rows worth telling apart, with their intervals."""
    kept = shown[shown["standing"].isin(_CLOSE_UP)]
    kept = shown if kept.empty else kept
    ends = np.concatenate([kept["value"], kept["low"], kept["high"]])
    ends = ends[np.isfinite(ends)]
    low, high = float(ends.min()), float(ends.max())
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin
