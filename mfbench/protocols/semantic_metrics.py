"""What the metrics of the semantic protocols share: shares in [0, 1], and the labels that a method used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from mfbench.contracts import Disentangler, Metric, Value
from mfbench.errors import ContractError

LABELS = Metric(
    "labels_used",
    better=None,
    description="share of the training labels that guided the fit",
    lowest=0,
    highest=1,
    separates=True,
)
"""Methods are ranked among those that used as many labels."""


def share(
    name: str,
    description: str,
    better: Literal["higher", "lower"] | None = "higher",
    primary: bool = False,
) -> Metric:
    """A metric from 0 to 1."""
    return Metric(name, "", better, primary, description, lowest=0, highest=1)


def labels_used(method: Disentangler) -> Value:
    """What the method says of itself; the conformance kit checks whoever says that it uses none."""
    used = float(method.labels_used)
    if not 0 <= used <= 1:
        raise ContractError(f"{type(method).__name__}.labels_used is {used}: a share of the labels, 0 to 1")
    return Value("labels_used", "", used)


def bounded(values: Sequence[Value], metrics: Sequence[Metric]) -> list[Value]:
    """The same values, with intervals that keep within what their metrics can be.

    Student's interval about a share near 1 would end above it.
    """
    by_name = {metric.name: metric for metric in metrics}
    return [_within(value, by_name[value.metric]) for value in values]


def _within(value: Value, metric: Metric) -> Value:
    low, high = value.ci_low, value.ci_high
    if low is not None and metric.lowest is not None:
        low = max(low, metric.lowest)
    if high is not None and metric.highest is not None:
        high = min(high, metric.highest)
    return replace(value, ci_low=low, ci_high=high)
