"""Expands the run entries of a suite: methods x grid, each combination with its choices resolved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from mfbench.errors import UserError
from mfbench.plan.choices import Choice, Placed, Resolver
from mfbench.spelling import did_you_mean
from mfbench.suite import RUN_KEYS, Entry, RunEntry, Suite
from mfbench.wording import Where, show

Grid = Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True, eq=False)
class Combination:
    """One protocol on one data set with one method, all parameters decided: a cell for each seed.

    seeds: those of its run that no earlier run asks for.
    """

    run: RunEntry
    protocol: Choice
    data: Choice
    method: Choice
    seeds: tuple[int, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        """The same for combinations that are equal but for their seeds."""
        return self.protocol.key, self.data.key, self.method.key

    @property
    def text(self) -> str:
        """What `--select` looks at: "protocol data method(label)"."""
        return f"{self.protocol.name} {self.data.name} {self.method.label}"


def expand(suite: Suite, resolver: Resolver) -> list[Combination]:
    """All combinations of a suite, each once, in the order written. UserError for whatever is wrong."""
    resolver.foresee(_first_names(suite.runs))
    resolver.foresee([name for run in suite.runs for name in _later_names(run, resolver)])
    asked: dict[tuple[tuple[str, str, str], int], int] = {}  # the run that asks first
    combinations: list[Combination] = []
    for run in suite.runs:
        made = _expand_run(run, resolver)
        new = [replace(one, seeds=tuple(s for s in run.seeds if (one.key, s) not in asked)) for one in made]
        if not any(one.seeds for one in new):
            earlier = sorted({asked[one.key, seed] for one in made for seed in run.seeds})
            names = ", ".join(f"run[{index}]" for index in earlier)
            raise run.where.error(f"asks for nothing new: all its cells stand in {names}")
        combinations += [one for one in new if one.seeds]
        asked.update({(one.key, seed): run.index for one in new for seed in one.seeds})
    _check_bare(suite, resolver)
    return combinations


def _first_names(runs: Sequence[RunEntry]) -> Iterable[tuple[str, Any]]:
    for run in runs:
        yield "protocol", run.protocol.raw
        yield "dataset", run.data.raw


def _later_names(run: RunEntry, resolver: Resolver) -> Iterable[tuple[str, Any]]:
    """Methods, whose kind only the protocol knows, and what the grid refers to."""
    protocol = resolver.catalog.known("protocol", run.protocol.name)
    if protocol is None:
        return
    for method in run.methods:
        yield protocol.measures, method.raw
    for parameter in protocol.parameters:
        if parameter.type == "ref":
            for raw in run.grid.get(parameter.name, ()):
                for item in raw if isinstance(raw, list) else [raw]:
                    yield parameter.kind, item


def _expand_run(run: RunEntry, resolver: Resolver) -> list[Combination]:
    signature = resolver.catalog.signature("protocol", run.protocol.name, run.where.key("protocol"))
    data = resolver.resolve("dataset", run.data)
    own, others = _split_grid(run, resolver, signature.measures)
    protocols = _variants(resolver, "protocol", run.protocol, own, run.where, RUN_KEYS)
    methods: dict[str, Choice] = {}
    for entry in run.methods:
        names = resolver.parameter_names(signature.measures, entry)
        grid = {name: values for name, values in others.items() if name in names}
        for method in _variants(resolver, signature.measures, entry, grid, run.where):
            if method.key in methods:
                raise entry.where.error(f"{method.label} stands there twice")
            methods[method.key] = method
    return [
        Combination(run, protocol, data, method, run.seeds)
        for method in methods.values()
        for protocol in protocols
    ]


def _split_grid(run: RunEntry, resolver: Resolver, kind: str) -> tuple[Grid, Grid]:
    """The grid of the protocol and that of the methods; a name that nobody has, or both, is a mistake."""
    protocol = resolver.parameter_names("protocol", run.protocol)
    methods = {name: entry for entry in run.methods for name in resolver.parameter_names(kind, entry)}
    for name in run.grid:
        where = run.where.key("grid").key(name)
        if name not in protocol and name not in methods:
            hint = did_you_mean(name, [*protocol, *methods])
            raise where.error(f"neither the protocol nor a method of this run has such a parameter{hint}")
        if name in protocol and name in methods:
            whose = f"of protocol {show(run.protocol.name)} and of {kind} {show(methods[name].name)}"
            raise where.error(f"is a parameter {whose}: a grid cannot say which; write it out in two runs")
        if name in resolver.bare:
            key = f"run.{run.index}.grid.{name}"
            raise where.error(f"stands in a grid and cannot be set for all: use --set {key}=[...]")
    own = {name: values for name, values in run.grid.items() if name in protocol}
    return own, {name: values for name, values in run.grid.items() if name not in protocol}


def _variants(
    resolver: Resolver, kind: str, entry: Entry, grid: Grid, run: Where, also_known: Sequence[str] = ()
) -> list[Choice]:
    """The choices that an entry makes with every combination of the grid's values."""
    made: dict[str, dict[str, Placed]] = {}
    choices: list[Choice] = []
    for name in grid:
        if name in entry.parameters:
            raise entry.where.key(name).error("stands in the grid as well: give it in one place")
    spots = [[(run.key("grid").key(name).item(i), raw) for i, raw in enumerate(grid[name])] for name in grid]
    for values in product(*spots):
        placed = dict(zip(grid, values))
        choice = resolver.resolve(kind, entry, placed, also_known)
        if choice.key in made:
            twice = [where for name, (where, _) in placed.items() if made[choice.key][name][0] != where]
            raise twice[-1].error("the value stands there twice")
        made[choice.key] = placed
        choices.append(choice)
    return choices


def _check_bare(suite: Suite, resolver: Resolver) -> None:
    for name in suite.bare:
        if name not in resolver.used:
            hint = did_you_mean(name, resolver.catalog.parameter_names())
            raise UserError(f"--set {name}: nothing in this suite has such a parameter{hint}")
