"""What of a plan is left to do: cells without a result, times not taken yet, and the fits that these need."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mfbench.artifacts import verified_hash
from mfbench.engine.records import FINAL
from mfbench.identity import canonical
from mfbench.plan import Cell, Fit, Plan
from mfbench.plan.choices import choice_identity
from mfbench.store import Store

_USUAL_FIT_S, _USUAL_CELL_S = 30.0, 1.0


@dataclass(frozen=True)
class Agenda:
    """cells: to be computed. timings: to be timed, if they are ok then. fits: to be done, in order.

    fitted: keys of the fits whose artifacts are good. lost: records of fits that failed before and are not
    tried again. statuses: cache_key -> status, of the plan's cells that have a result.
    """

    cells: list[Cell]
    timings: list[Cell]
    fits: list[Fit]
    fitted: set[str]
    lost: dict[str, dict[str, Any]]
    statuses: dict[str, str]


def make_agenda(
    plan: Plan, store: Store, cache: Path, *, retry: bool, retime: bool, machine: str | None
) -> Agenda:
    """See `Agenda`. `retry` does again what failed, `retime` takes all times again.

    `machine` is where times are taken (None: nowhere).
    """
    unique = {cell.cache_key: cell for cell in plan.cells}
    statuses = store.statuses(unique)
    cells = [cell for key, cell in unique.items() if not _settled(statuses.get(key), retry)]
    settled = (lambda _: False) if retime else partial(_timing_settled, retry=retry)
    timable = [cell for key, cell in unique.items() if retry or statuses.get(key, "ok") == "ok"]
    timings = [] if machine is None else _untimed(timable, store, machine, settled)
    needed = _needed(plan, [*cells, *timings])
    fitted = {fit.key for fit in needed if verified_hash(cache, fit.key) is not None}
    missing = [fit for fit in needed if fit.key not in fitted]
    lost = {} if retry else _lost(store, missing)
    fits = [fit for fit in missing if fit.key not in lost]
    return Agenda(cells, timings, fits, fitted, lost, statuses)


def expected_seconds(agenda: Agenda, store: Store) -> dict[str, float]:
    """Expected seconds of every fit (by key) and cell (by cache key), from what the store remembers.

    What was never done before is taken to be like the others of its sort that were.
    """
    medians = store.medians()
    fits = {fit.key: ("fit", f"{fit.choice['kind']}/{fit.choice['name']}") for fit in agenda.fits}
    cells = {cell.cache_key: (cell.protocol["name"], cell.method["name"]) for cell in agenda.cells}
    return _with_means(fits, medians, _USUAL_FIT_S) | _with_means(cells, medians, _USUAL_CELL_S)


def _with_means(
    names: Mapping[str, tuple[str, str]], medians: Mapping[tuple[str, str], float], usual: float
) -> dict[str, float]:
    known = [medians[name] for name in names.values() if name in medians]
    other = sum(known) / len(known) if known else usual
    return {key: medians.get(name, other) for key, name in names.items()}


def _settled(status: str | None, retry: bool) -> bool:
    return status is not None and (not retry or status in FINAL)


def _untimed(
    cells: Iterable[Cell], store: Store, machine: str, settled: Callable[[Mapping[str, Any]], bool]
) -> list[Cell]:
    """The first cell of each configuration that has no settled timing on this machine."""
    first: dict[str, Cell] = {}
    for cell in cells:
        first.setdefault(_configuration(cell), cell)
    timed = {
        timing["cache_key"]
        for timing in store.timings(cache_keys=[cell.cache_key for cell in first.values()])
        if timing["machine"] == machine and settled(timing)
    }
    return [cell for cell in first.values() if cell.cache_key not in timed]


def _timing_settled(timing: Mapping[str, Any], retry: bool) -> bool:
    if timing["status"] == "ok":
        return bool(timing["valid"])
    return _settled(timing["status"], retry)


def _configuration(cell: Cell) -> str:
    """All that is asked but the seed."""
    asked = [cell.protocol, cell.method, cell.data, cell.dtype, cell.threads, cell.device]
    return canonical(choice_identity(asked))


def _needed(plan: Plan, cells: Collection[Cell]) -> list[Fit]:
    """The fits that cells need, directly or not, in the plan's order."""
    wanted = {key for cell in cells for key in cell.needs.values()}
    for fit in reversed(plan.fits):
        if fit.key in wanted:
            wanted |= set(fit.needs.values())
    return [fit for fit in plan.fits if fit.key in wanted]


def _lost(store: Store, missing: Collection[Fit]) -> dict[str, dict[str, Any]]:
    past = store.fits(fit.key for fit in missing)
    return {key: record for key, record in past.items() if record["status"] != "ok"}
