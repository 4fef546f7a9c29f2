"""What a run would do: how much of a plan is there already, and how long the rest took before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mfbench.artifacts import HEADER, artifact_folder
from mfbench.cli._tables import heading, print_table
from mfbench.labels import choice_label

if TYPE_CHECKING:
    from mfbench.plan import Cell, Fit, Plan
    from mfbench.store import Store

STATES = ("cached", "failed", "stale", "new")
"""Of a cell: an answer is there; the answer is a failure, computed again only with --retry; an answer to the
same question is there, given by other code or data; nothing is there."""

_SETTLED = ("ok", "unsupported")


@dataclass
class Forecast:
    """Cells by (protocol, data) and state; the fits still to be made; seconds of work, where past runs tell.

    `foreseen` counts the jobs of which past runs tell, `unknown` the others by method.
    """

    cells: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    fits_cached: int = 0
    fits_new: int = 0
    seconds: float = 0.0
    foreseen: int = 0
    unknown: Counter[str] = field(default_factory=Counter)


def forecast(plan: Plan, store: Store | None, cache: Path, retry: bool) -> Forecast:
    """What running the plan would compute, given a store (None: there is none) and the artifacts' folder."""
    states = cell_states(plan.cells, store)
    medians = store.medians() if store else {}
    found = Forecast()
    todo = [cell for cell in plan.cells if states[cell.cell_id] in ("new", "stale", *(["failed"] * retry))]
    for cell in plan.cells:
        place = cell.protocol["name"], choice_label(cell.data, lambda kind, name: {})
        found.cells.setdefault(place, Counter())[states[cell.cell_id]] += 1
    for cell in todo:
        _add(found, medians, (cell.protocol["name"], cell.method["name"]), cell.method["name"])
    for fit in needed_fits(plan.fits, todo):
        if (artifact_folder(cache, fit.key) / HEADER).is_file():
            found.fits_cached += 1
        else:
            found.fits_new += 1
            name = fit.choice["name"]
            _add(found, medians, ("fit", f"{fit.choice['kind']}/{name}"), f"the fit of {name}")
    return found


def cell_states(cells: Iterable[Cell], store: Store | None) -> dict[str, str]:
    """cell_id -> one of STATES."""
    if store is None:
        return {cell.cell_id: "new" for cell in cells}
    statuses = store.statuses(cell.cache_key for cell in cells)
    known = store.known_cells(cell.cell_id for cell in cells)

    def state(cell: Cell) -> str:
        if cell.cache_key in statuses:
            return "cached" if statuses[cell.cache_key] in _SETTLED else "failed"
        return "stale" if cell.cell_id in known else "new"

    return {cell.cell_id: state(cell) for cell in cells}


def needed_fits(fits: Iterable[Fit], cells: Iterable[Cell]) -> list[Fit]:
    """The fits that cells need, and those that these fits need."""
    by_key = {fit.key: fit for fit in fits}
    wanted = {key for cell in cells for key in cell.needs.values()}
    for key in reversed(by_key):  # a fit stands behind what it needs
        if key in wanted:
            wanted |= set(by_key[key].needs.values())
    return [fit for key, fit in by_key.items() if key in wanted]


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
    print(f"fits: {found.fits_new} to do, {found.fits_cached} cached")
    if total["failed"]:
        print("failed cells run again" if retry else "failed cells run again with --retry only")
    print(f"time: {_estimate(found, workers)}")


def _counts(counts: Mapping[str, int]) -> list[str]:
    return [str(sum(counts.values())), *(str(counts.get(state, 0)) for state in STATES)]


def _estimate(found: Forecast, workers: int) -> str:
    missing = ", ".join(f"{name} ({count})" for name, count in found.unknown.items())
    if not found.foreseen:
        return f"unknown: no past run tells of {missing}" if missing else "nothing to compute"
    text = f"about {duration(found.seconds / workers)}" + (f" with {workers} workers" if workers > 1 else "")
    return f"{text}, and unknown: {missing}" if missing else text


def duration(seconds: float) -> str:
    """Seconds as people say them: "45 s", "3 min 20 s", "2 h 5 min"."""
    whole = max(1, round(seconds))
    minutes, hours = whole // 60, whole // 3600
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def _add(found: Forecast, medians: Mapping[tuple[str, str], float], key: tuple[str, str], name: str) -> None:
    if key in medians:
        found.seconds += medians[key]
        found.foreseen += 1
    else:
        found.unknown[name] += 1
