"""What a run would do: how much of a plan is there already, and how long the rest took before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mfbench.cli._tables import heading, print_table
from mfbench.engine.agenda import make_agenda
from mfbench.engine.executors import OWN, find_factory
from mfbench.engine.progress import duration
from mfbench.engine.records import FINAL
from mfbench.plan.labels import plain_label

if TYPE_CHECKING:
    from mfbench.plan import Plan
    from mfbench.store import Store

STATES = ("cached", "failed", "stale", "new")
"""Of a cell: an answer is there; the answer is a failure, computed again only with --retry; an answer to the
same question is there, given by other code or data; nothing is there."""


@dataclass
class Forecast:
    """Cells by (protocol, data) and state; fits and times to be taken; seconds of work, where past runs tell.

    `foreseen` counts the jobs of which past runs tell, `unknown` the others by method.
    """

    cells: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    fits_new: int = 0
    fits_cached: int = 0
    timings: int = 0
    seconds: float = 0.0
    foreseen: int = 0
    unknown: Counter[str] = field(default_factory=Counter)

    def add(self, seconds: float | None, name: str) -> None:
        """One more job, and how long its like took (None: nobody knows)."""
        self.seconds += seconds or 0.0
        self.foreseen += seconds is not None
        self.unknown[name] += seconds is None


def forecast(
    plan: Plan, store: Store, cache: Path, *, retry: bool, retime: bool, machine: str | None
) -> Forecast:
    """What running the plan would compute; `machine` is where times are taken (None: they are not)."""
    agenda = make_agenda(plan, store, cache, retry=retry, retime=retime, machine=machine)
    medians = store.medians()
    found = Forecast(
        cells=_count_cells(plan, _states(plan, store, agenda.statuses)),
        fits_new=len(agenda.fits),
        fits_cached=len(agenda.fitted),
        timings=len(agenda.timings),
        seconds=len(agenda.timings) * plan.timing_budget,
    )
    for cell in agenda.cells:
        name = cell.method["name"]
        found.add(medians.get((cell.protocol["name"], name)), name)
    for fit in agenda.fits:
        name = fit.choice["name"]
        found.add(medians.get(("fit", f"{fit.choice['kind']}/{name}")), f"the fit of {name}")
    return found


def check_executor(name: str) -> None:
    """UserError where `--executor` names nothing that could be called; no worker is started."""
    if name not in OWN:
        find_factory(name)


def _count_cells(plan: Plan, states: Mapping[str, str]) -> dict[tuple[str, str], Counter[str]]:
    """Cells by (protocol, data) and state; parameters of the data are shown where two share a name."""
    labels: dict[str, set[str]] = {}
    for cell in plan.cells:
        labels.setdefault(cell.data["name"], set()).add(plain_label(cell.data))
    counts: dict[tuple[str, str], Counter[str]] = {}
    for cell in plan.cells:
        name = cell.data["name"]
        data = plain_label(cell.data) if len(labels[name]) > 1 else name
        counts.setdefault((cell.protocol["name"], data), Counter())[states[cell.cell_id]] += 1
    return counts


def _states(plan: Plan, store: Store, statuses: Mapping[str, str]) -> dict[str, str]:
    """cell_id -> one of STATES."""
    known = store.known_cells(cell.cell_id for cell in plan.cells)

    def state(cell_id: str, status: str | None) -> str:
        if status is not None:
            return "cached" if status in FINAL else "failed"
        return "stale" if cell_id in known else "new"

    return {cell.cell_id: state(cell.cell_id, statuses.get(cell.cache_key)) for cell in plan.cells}


def print_forecast(plan: Plan, found: Forecast, workers: int, retry: bool) -> None:
    """The table, the fits and the estimate."""
    print(
        heading(f"{plan.suite}: {len(plan.cells)} cells" + (" (a part of the suite)" if plan.partial else ""))
    )
    total = Counter[str]()
    rows = [["protocol", "data", "cells", *STATES]]
    for (protocol, data), counts in found.cells.items():
        rows.append([protocol, data, *_counts(counts)])
        total += counts
    print_table([*rows, ["total", "", *_counts(total)]])
    print(f"fits: {found.fits_new} to do, {found.fits_cached} cached; times: {found.timings} to take")
    if total["failed"]:
        print("failed cells run again" if retry else "failed cells run again with --retry only")
    print(f"time: {_estimate(found, workers)}")


def _counts(counts: Mapping[str, int]) -> list[str]:
    return [str(sum(counts.values())), *(str(counts.get(state, 0)) for state in STATES)]


def _estimate(found: Forecast, workers: int) -> str:
    missing = ", ".join(f"{name} ({count})" for name, count in found.unknown.items() if count)
    if missing and not found.foreseen:
        return f"unknown: no past run tells of {missing}"
    if not found.seconds and not missing:
        return "nothing to compute"
    text = f"about {duration(found.seconds / workers)}" + (f" with {workers} workers" if workers > 1 else "")
    return f"{text}, and unknown: {missing}" if missing else text
