"""What a protocol promises: values of its own metrics, repeatable, the same workload timed as is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from mfbench.contracts import Dataset, DiffusionModel, EvaluationProtocol, Measurement, Record, Timing, Value
from mfbench.engine.measurement import encode_measurement
from mfbench.errors import Unsupported
from mfbench.registry.schema import Parameter, Signature
from mfbench.registry.signatures import read_signatures
from mfbench.testing.data import Unlike
from mfbench.testing.findings import NotApplicable, require
from mfbench.testing.methods import Check
from mfbench.testing.workshop import BUDGETS, Workshop


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
        """Name and instance of a fitted method to evaluate."""
        return self._first_ready(self.protocol.kind, self.workshop.registry.names(self.protocol.kind))

    def _first_ready(self, kind: str, names: Sequence[str], ranked: bool = True) -> tuple[str, Any]:
        """The first of them that works on the data; those without training or references before others."""
        registry = self.workshop.registry
        signatures = read_signatures(registry, [(kind, name) for name in names], {}).values()
        for signature in sorted(signatures, key=_effort):
            if ranked and not self._can_be_ranked(signature):
                continue
            try:
                return signature.name, self.workshop.reference(kind, signature.name)
            except Unsupported:
                continue
        raise NotApplicable(f"there is no {kind} that works on {self.workshop.data.name} to try it with")

    def _can_be_ranked(self, signature: Signature) -> bool:
        """Whether it is a method with the ability that the protocol asks for."""
        registry, ability = self.workshop.registry, self.protocol.ability
        able = ability is None or issubclass(
            registry.load(registry.card(signature.kind, signature.name)), ability
        )
        return able and signature.role == "method"

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
        """A method to refer to: of generators a diffusion model, which serves every protocol."""
        registry = self.workshop.registry
        names = registry.names(kind)
        if kind == "generator":
            names = [n for n in names if issubclass(registry.load(registry.card(kind, n)), DiffusionModel)]
        return self._first_ready(kind, names, ranked=False)[1]

    def measured(self, clock: _Clock) -> Measurement:
        """What `evaluate` gives back, with the same seed every time."""
        rng = self.workshop.rng("evaluate")
        data, parameters = self.workshop.data, self.parameters
        return self.protocol.evaluate(self.subject[1], data, rng=rng, clock=clock, **parameters)

    @cached_property
    def first(self) -> tuple[Measurement, _Clock]:
        """The first measurement, as in the quality pass."""
        clock = _Clock(timing_only=False)
        return self.measured(clock), clock

    def evaluates(self) -> str | None:
        """Values of its metrics, each once a part, the primary one with part "" (or a note that says why)."""
        measurement, _ = self.first
        encode_measurement(measurement, self.protocol.metrics)
        primary = next(metric.name for metric in self.protocol.metrics if metric.primary)
        overall = any((value.metric, value.part) == (primary, "") for value in measurement.values)
        explained = overall or bool(measurement.notes)
        require(
            explained, f'no value of the primary metric {primary!r} with part "", and no note that says why'
        )
        return f"on {self.protocol.kind} {self.subject[0]}, data {self.workshop.data.name}"

    def same_seed(self) -> None:
        """The same generator gives the same numbers."""
        first = encode_measurement(self.first[0], self.protocol.metrics)
        second = encode_measurement(self.measured(_Clock(timing_only=False)), self.protocol.metrics)
        differ = [name for name in first if first[name] != second[name]]
        require(not differ, f"measured twice with the same seed, {' and '.join(differ)} differ")

    def timing(self) -> str | None:
        """Times one workload, in the timing pass and in the quality pass alike."""
        if not self.protocol.workload:
            raise NotApplicable("states no workload")
        timed = _Clock(timing_only=True)
        self.measured(timed)
        for of, clock in (("quality", self.first[1]), ("timing", timed)):
            require(
                clock.asked == 1, f"clock.measure is called {clock.asked} times in the {of} pass, not once"
            )
        return self.protocol.workload

    def figures(self) -> str | None:
        """`draw` makes figures from the record and the arrays of one cell."""
        from matplotlib import pyplot
        from matplotlib.figure import Figure

        measurement, _ = self.first
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


def _effort(signature: Signature) -> tuple[bool, bool]:
    """Sorts methods: those without a training budget first, then those without references."""
    budget = any(parameter.name in BUDGETS for parameter in signature.parameters)
    return budget, any(parameter.type == "ref" for parameter in signature.parameters)
