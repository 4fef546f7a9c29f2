"""Evaluation protocols: the question, the measurement, and the metrics with unit and direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy import ndarray

    from mfbench.contracts.dataset import Dataset


@dataclass(frozen=True)
class Metric:
    """A column of the board. Exactly one metric of a protocol is `primary`: methods are ranked by it.

    `better` is None for a metric that describes and does not judge (a mean log-density). `lowest`, `highest`:
    what it can be at all; intervals over the seeds end there. `p_value`: over several seeds boards show
    min(1, 2 x mean) without an interval, which is a p-value again, however the seeds depend on each other
    (Rüschendorf 1982). `separates`: methods are ranked and compared only with those of the same value (the
    labels that they used); ceilings, references and controls stand beside all of them.
    """

    name: str
    unit: str = ""
    better: Literal["higher", "lower"] | None = "higher"
    primary: bool = False
    description: str = ""
    lowest: float | None = None
    highest: float | None = None
    p_value: bool = False
    separates: bool = False


@dataclass(frozen=True)
class Value:
    """One number: which metric, of what (`part`; "" when there is only one), over how many examples.

    The interval is at 95 %; None where the metric has none.
    """

    metric: str
    part: str
    value: float
    n: int | None = None
    ci_low: float | None = None
    ci_high: float | None = None


@dataclass(frozen=True)
class Measurement:
    """What `evaluate` gives back.

    scores: per-example contributions to the primary metric's value with part "", one array a group of
        exchangeable examples, in the examples' order. Var(value) = sum over groups of var(group) / size, and
        methods are compared by the differences of these arrays. For a plain mean over examples this is one
        group holding the per-example values; for an AUROC two groups, the placements of the in-distribution
        and of the other examples (DeLong).
    arrays: what figures need.
    nfe: rows sent through the noise predictor divided by samples asked for; None where there is no predictor.
    notes: short remarks for the board ("stochastic: no pathwise distance").
    """

    values: Sequence[Value] = ()
    scores: Mapping[str, ndarray] = field(default_factory=dict)
    arrays: Mapping[str, ndarray] = field(default_factory=dict)
    nfe: float | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Timing:
    """A measured time: median and inter-quartile range over `n` repeats, of one call of the workload.

    `valid` is False where the machine was too noisy to believe it (IQR above a quarter of the median).
    """

    device_ms: float
    device_ms_iqr: float
    n: int
    peak_memory_bytes: int | None
    valid: bool


class Clock(Protocol):
    """Measures the protocol's workload in the timing pass, and does nothing in the quality pass."""

    timing_only: bool
    """True in the timing pass: a protocol may return an empty Measurement once it has called `measure`."""

    def measure(self, fn: Callable[[], Any], budget_s: float = 2.0) -> Timing | None:
        """Warm up, then repeat `fn` until the budget is spent; None, without a call, in the quality pass."""
        ...


@dataclass(frozen=True)
class Record:
    """One cell's result, as `draw` is given it: what was asked, and what came of it."""

    method: str
    parameters: Mapping[str, Any]
    protocol_parameters: Mapping[str, Any]
    data: str
    seed: int
    role: str
    values: Sequence[Value]
    label: str
    nfe: float | None = None
    device_ms: float | None = None


class EvaluationProtocol:
    """Base of every protocol (kind "protocol").

    A subclass writes `evaluate(self, method, data, *, rng, clock, ...)`: what comes after `clock` are the
    protocol's parameters, with defaults and type hints as a method's; references among them are resolved
    the same way.
    """

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]]
    ability: ClassVar[type | None] = None
    """The mixin that a method needs to be measured; None where every method of the kind can be."""
    workload: ClassVar[str] = ""
    """What one timed call does: "scores 1,000 points"."""

    def evaluate(self, method: Any, data: Dataset, *args: Any, **keywords: Any) -> Measurement:
        """Measure a fitted method on `data.test`.

        Called with `rng` (a torch.Generator), `clock` (a Clock) and the protocol's parameters by keyword; the
        loose signature here only lets subclasses name theirs.
        """
        raise NotImplementedError

    def check_parameters(self, **parameters: Any) -> None:
        """UserError, naming the parameter, for values that mean nothing whatever the method and the data are.

        Called before anything runs, with the protocol's parameters as `evaluate` is given them.
        """

    def draw(self, records: Sequence[Record], arrays: Sequence[Mapping[str, ndarray]]) -> dict[str, Figure]:
        """Figures by file name (without ending), from one data set's records and, in step, their arrays."""
        return {}

    def findings(self, records: Sequence[Record]) -> list[str]:
        """What the records of one data set say together, a sentence each, for under the board's table.

        In plain text; called with the records of cells that ended well, of all seeds.
        """
        return []
