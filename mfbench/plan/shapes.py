"""What a run consists of: fits, and the cells that need them. `planning.py` makes a plan of a suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from mfbench.wording import Where

ChoiceJson = Mapping[str, Any]
"""`{"kind", "name", "parameters"}`, every default filled in (`mfbench.plan.choices`)."""


class _Job:
    """A frozen dataclass whose fields are JSON already."""

    def to_json(self) -> dict[str, Any]:
        """The fields by name: what travels to a worker."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(**value)


@dataclass(frozen=True)
class Fit(_Job):
    """One training: `choice` on the training split of `data`, shared by all cells that name its `key`.

    `needs` maps `choice_key(reference)` of every stateful reference to the key of its own fit. Limits are in
    seconds and bytes; `device` is a type ("cpu", "cuda").
    """

    key: str
    choice: ChoiceJson
    data: ChoiceJson
    seed: int
    dtype: str
    threads: int
    device: str
    needs: Mapping[str, str]
    time_limit: float
    memory_limit: int | None


@dataclass(frozen=True)
class Cell(_Job):
    """One evaluation of `method` on `data` by `protocol` (a choice with its "version").

    `cell_id` says what is asked and `cache_key` also what answers it. `needs` maps `choice_key(choice)` of
    every stateful method that must be loaded to its fit. `role` and `label` are the method's, as boards show
    it; `run` counts the suite's [[run]] tables from 0. `data_digest` says which data the protocol measures
    on: a board refuses to mix two under one name. `unreadable` says why a method's class could not be read
    when the cell was planned: the cell then fails, and says how.
    """

    cell_id: str
    cache_key: str
    protocol: ChoiceJson
    method: ChoiceJson
    data: ChoiceJson
    seed: int
    dtype: str
    threads: int
    device: str
    needs: Mapping[str, str]
    role: str
    label: str
    time_limit: float
    memory_limit: int | None
    run: int
    data_digest: str = ""
    unreadable: str = ""


@dataclass(frozen=True)
class Plan:
    """A suite, expanded. `fits` are in topological order: what a fit needs stands before it.

    `suite` is its name, `plugins` are the sources that a worker loads, `timing_budget` the seconds for each
    timing (0: no timing pass), `partial` whether only some of the suite's cells were selected,
    `warnings` what whoever runs it should be told. `executors`: what the suite says to the executor of a
    name, and where it says so.
    """

    suite: str
    suite_text: str
    suite_hash: str
    fits: tuple[Fit, ...]
    cells: tuple[Cell, ...]
    plugins: tuple[str, ...]
    timing_budget: float
    partial: bool
    warnings: tuple[str, ...] = ()
    executors: Mapping[str, tuple[Where, Mapping[str, Any]]] = field(default_factory=dict)
