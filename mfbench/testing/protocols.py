"""What a protocol promises: values of its own metrics, repeatable, the same workload timed as is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from mfbench.contracts import Dataset, EvaluationProtocol, Measurement, Record, Timing, Value
from mfbench.engine.measurement import encode_measurement
from mfbench.errors import Unsupported
from mfbench.schema import Parameter
from mfbench.testing.data import Unlike
from mfbench.testing.findings import NotApplicable, require
from mfbench.testing.methods import Check
from mfbench.testing.workshop import Workshop


class _Clock:
    """Calls what it is given once where it times, and counts how often it was asked."""

    def __init__(self, timing_only: bool) -> None:
        self.timing_only = timing_only
        self.asked = 0

    def measure(self, fn: Callable[[], Any], budget_s: float = 2.0) -> Timing | None:
        self.asked += 1
        if not self.timing_only:
            return None
        fn()
        return Timing(1.0, 0.0, 1, None, True)


class ProtocolChecks:
    """The checks of one registered protocol, on the first method of its kind that works on the data."""

    kind = "protocol"

    def __init__(self, workshop: Workshop, name: str) -> None:
        self.workshop = workshop
        self.name = name

    def checks(self) -> list[Check]:
        return [self.evaluates, self.same_seed, self.timing, self.figures]

    @cached_property
    def protocol(self) -> EvaluationProtocol:
        protocol: EvaluationProtocol = self.workshop.registry.create("protocol", self.name)
        return protocol

    @cached_property
    def subject(self) -> tuple[str, Any]:
        """Name and instance of a fitted method to evaluate: simple ones (no references) first."""
        kind = self.protocol.kind
        return self._first_ready(kind, self.workshop.registry.names(kind))

    def _first_ready(self, kind: str, names: list[str]) -> tuple[str, Any]:
        signatures = [self.workshop.signature(kind, name) for name in names]
        ranked = [s for s in signatures if s.role == "method"]
        for signature in sorted(ranked, key=lambda s: any(p.type == "ref" for p in s.parameters)):
            try:
                return signature.name, self.workshop.reference(kind, signature.name)
            except Unsupported:
                continue
        raise NotApplicable(f"there is no {kind} that works on {self.workshop.data.name} to try it with")

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Its parameters: defaults with budgets cut, and something for the references that have none."""
        signature = self.workshop.signature("protocol", self.name)
        given = {p.name: self._something(p) for p in signature.parameters if p.required}
        return self.workshop.arguments(signature, given)

    def _something(self, parameter: Parameter) -> Any:
        if parameter.type != "ref":
            raise NotApplicable(f"parameter {parameter.name!r} has no default")
        one = self._other_data() if parameter.kind == "dataset" else self._any_of(parameter.kind)
        return [one] if parameter.many else one

    def _other_data(self) -> Dataset:
        other = Unlike(self.workshop.data)
        other.parameters = {}
        return other

    def _any_of(self, kind: str) -> Any:
        registry = self.workshop.registry
        diffusion = [name for name in registry.names(kind) if kind != "generator" or self._is_diffusion(name)]
        return self._first_ready(kind, diffusion)[1]

    def _is_diffusion(self, name: str) -> bool:
        from mfbench.contracts import DiffusionModel

        return issubclass(
            self.workshop.registry.load(self.workshop.registry.card("generator", name)), DiffusionModel
        )

    def measured(self, clock: _Clock | None = None) -> Measurement:
        """What `evaluate` gives back, with the same seed every time."""
        return self.protocol.evaluate(
            self.subject[1],
            self.workshop.data,
            rng=self.workshop.rng("evaluate"),
            clock=clock or _Clock(timing_only=False),
            **self.parameters,
        )

    def evaluates(self) -> str | None:
        """Values of its metrics, each once a part, the primary one with part "" (or a note that says why)."""
        measurement = self.measured()
        encode_measurement(measurement, self.protocol.metrics)
        primary = next(metric.name for metric in self.protocol.metrics if metric.primary)
        overall = [value for value in measurement.values if (value.metric, value.part) == (primary, "")]
        explained = bool(overall) or bool(measurement.notes)
        require(
            explained, f'no value of the primary metric {primary!r} with part "", and no note that says why'
        )
        return f"on {self.protocol.kind} {self.subject[0]}, data {self.workshop.data.name}"

    def same_seed(self) -> None:
        """The same generator gives the same numbers."""
        first, second = (encode_measurement(self.measured(), self.protocol.metrics) for _ in range(2))
        differ = [name for name in first if first[name] != second[name]]
        require(not differ, f"measured twice with the same seed, {' and '.join(differ)} differ")

    def timing(self) -> str | None:
        """Times one workload, in the timing pass and in the quality pass alike."""
        if not self.protocol.workload:
            raise NotApplicable("states no workload")
        for timing_only in (False, True):
            clock = _Clock(timing_only)
            self.measured(clock)
            of = "timing" if timing_only else "quality"
            require(
                clock.asked == 1, f"clock.measure is called {clock.asked} times in the {of} pass, not once"
            )
        return self.protocol.workload

    def figures(self) -> str | None:
        """`draw` makes figures from the record and the arrays of one cell."""
        from matplotlib import pyplot
        from matplotlib.figure import Figure

        measurement = self.measured()
        figures = self.protocol.draw([self._record(measurement.values)], [measurement.arrays])
        for name, figure in figures.items():
            require(
                isinstance(figure, Figure), f"draw()[{name!r}] is a {type(figure).__name__}, not a Figure"
            )
            pyplot.close(figure)
        if not figures:
            raise NotApplicable("draws nothing")
        return ", ".join(figures)

    def _record(self, values: Any) -> Record:
        shown: Mapping[str, Any] = {
            name: value
            for name, value in self.parameters.items()
            if isinstance(value, bool | int | float | str)
        }
        found: list[Value] = list(values)
        return Record(
            self.subject[0], {}, shown, self.workshop.data.name, 0, "method", found, self.subject[0]
        )
