"""`mfbench verify`: computes a random sample of a board's cells again, and says whether they reproduce.

The suite beside the board is planned with the code that is here, the sampled cells are run in a store of
their own, and their values are held against the recorded ones. Fitted models are taken from the cache where
it has them.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mfbench.boards import bundle as bundles
from mfbench.boards.bundle import Bundle
from mfbench.boards.cells import number, table_key
from mfbench.boards.imports import agree
from mfbench.errors import UserError
from mfbench.identity import canonical, derive_seed

if TYPE_CHECKING:
    from mfbench.engine import Listener
    from mfbench.plan import Plan

EXACT, LOOSE = 1e-6, 0.02
"""Relative differences allowed: on the machine and with the versions of the board, and elsewhere."""

_SAME_MACHINE = ("cpu", "python", "os")
_SAME_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn")
_SETTING = "# --set "
_COSTS = ("nfe", "parameter_count")
_FIELDS = ("value", "n", "ci_low", "ci_high")


@dataclass(frozen=True)
class Verdict:
    """What came of one cell: `worst` is the largest relative difference of its numbers, `problem` is "" where
    it reproduced, `tolerance` what was allowed; `parameters` are those of its protocol in which the board's
    cells differ."""

    record: Mapping[str, Any]
    values: int
    worst: float
    tolerance: float
    problem: str
    remark: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


def verify(
    folder: Path,
    *,
    sample: int = 5,
    seed: int | None = None,
    tolerance: float | None = None,
    plugins: Sequence[str] = (),
    suite_folder: Path | None = None,
    refit: bool = False,
    workers: int = 1,
    listener: Listener | None = None,
) -> list[Verdict]:
    """Verdicts on `sample` cells of the board in `folder`, drawn without replacement by `seed`.

    seed: None: drawn afresh.
    tolerance: the relative difference allowed; None: EXACT where machine and versions are those of the
    record, else LOOSE (then a value inside the recorded interval is good as well, and an end of an interval
    that moved by no more than half the narrower one's width). Compared are the values with their numbers of
    examples and intervals, the network evaluations and the parameter count. suite_folder: where the
    suite's relative paths start. refit: with an empty cache, so that everything is fitted again.
    """
    found = bundles.read(folder)
    start = suite_folder or folder
    here = _devices()
    candidates = [r for r in found.records if r["status"] == "ok" and r["values"] and r["device"] in here]
    if not candidates:
        raise UserError(f"{folder}: no cell of this board can be computed here (devices: {', '.join(here)})")
    chosen = draw(candidates, sample, fresh_seed() if seed is None else seed)
    varying = varying_parameters(found.records)
    again: dict[str, Mapping[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="mfbench-verify-") as scratch, _cache(Path(scratch), refit):
        for device in sorted({record["device"] for record in chosen}):
            wanted = {record["cell_id"] for record in chosen if record["device"] == device}
            plan = _plan(found, wanted, device, plugins, start)
            again |= _run_again(plan, device, Path(scratch), start, workers, listener)
    verdicts = [_judge(record, again.get(record["cell_id"]), found, tolerance) for record in chosen]
    return [replace(each, parameters=varying[each.record["cell_id"]]) for each in verdicts]


def fresh_seed() -> int:
    """A seed that nobody can know beforehand: a board cannot be right in the cells it draws alone."""
    return secrets.randbelow(10**9)


def varying_parameters(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """cell_id -> the protocol's parameters in which the cells of its table differ."""
    tables: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        tables.setdefault(table_key(record), []).append(record)
    found = {}
    for cells in tables.values():
        given = [record["protocol"]["parameters"] for record in cells]
        names = sorted({name for each in given for name in each})
        varying = [name for name in names if len({canonical(each.get(name)) for each in given}) > 1]
        for record, each in zip(cells, given):
            found[record["cell_id"]] = {name: each[name] for name in varying if name in each}
    return found


def draw(records: Sequence[Mapping[str, Any]], sample: int, seed: int) -> list[Mapping[str, Any]]:
    """`sample` of the records (all, where there are fewer), in order; the same seed draws the same ones."""
    rng = np.random.default_rng(derive_seed("verify", seed))
    places = rng.choice(len(records), size=min(sample, len(records)), replace=False)
    return [records[place] for place in sorted(places.tolist())]


def _devices() -> tuple[str, ...]:
    from mfbench.engine.devices import choose_device, device_type

    return tuple(dict.fromkeys(["cpu", device_type(choose_device("auto"))]))


@contextmanager
def _cache(scratch: Path, refit: bool) -> Iterator[None]:
    """The cache of this command: the usual one or, to fit everything again, an empty one."""
    before = os.environ.get("MFBENCH_CACHE")
    if refit:
        os.environ["MFBENCH_CACHE"] = str(scratch / "cache")
    try:
        yield
    finally:
        if refit and before is None:
            del os.environ["MFBENCH_CACHE"]
        elif before is not None:
            os.environ["MFBENCH_CACHE"] = before


def _plan(found: Bundle, wanted: set[str], device: str, plugins: Sequence[str], folder: Path) -> Plan:
    """The wanted cells, as far as the suite (planned here and now) still asks for them; nothing is timed."""
    from mfbench.plan.planning import make_plan
    from mfbench.registry import load_registry
    from mfbench.suite import parse_suite
    from mfbench.wording import Where

    where = Where(str(folder / bundles.SUITE))
    suite = parse_suite(found.suite_text, folder, where, settings_of(found.suite_text))
    registry = load_registry([*suite.plugins, *plugins])
    registry.require_sources()
    plan = make_plan(suite, registry, device=device)
    cells = tuple(cell for cell in plan.cells if cell.cell_id in wanted)
    return replace(plan, cells=cells, timing_budget=0.0, partial=True)


def _run_again(
    plan: Plan, device: str, scratch: Path, folder: Path, workers: int, listener: Listener | None
) -> dict[str, dict[str, Any]]:
    """cell_id -> new record."""
    from mfbench.engine import run_plan
    from mfbench.engine.devices import choose_device
    from mfbench.store import Store

    if not plan.cells:
        return {}
    where = "cpu" if device == "cpu" else choose_device("auto")
    with Store(scratch / f"{device}.sqlite") as store:
        summary = run_plan(plan, store, workers=workers, device=where, listener=listener, folder=folder)
        if summary.interrupted:
            raise KeyboardInterrupt
        return store.results([cell.cell_id for cell in plan.cells])


def settings_of(suite_text: str) -> list[str]:
    """The `--set` settings under which a suite was run: comments at the end of its text."""
    settings: list[str] = []
    for line in reversed(suite_text.splitlines()):
        if not line.startswith(_SETTING):
            break
        settings.insert(0, line.removeprefix(_SETTING))
    return settings


def _judge(
    record: Mapping[str, Any], new: Mapping[str, Any] | None, found: Bundle, tolerance: float | None
) -> Verdict:
    alike = same_setting(found.provenance["runs"].get(record["run_id"], {}).get("provenance", {}))
    allowed = tolerance if tolerance is not None else (EXACT if alike else LOOSE)
    by_interval = tolerance is None and not alike
    if new is None:
        gone = "the suite, planned with the code that is here, no longer asks for it"
        return Verdict(record, 0, float("nan"), allowed, gone)
    remark = "" if new["cache_key"] == record["cache_key"] else "code or data changed since"
    if new["status"] != "ok":
        error = new["error"] or {}
        return Verdict(
            record, 0, float("nan"), allowed, f"{new['status']}: {error.get('message', '')}", remark
        )
    worst, problem = _compare(record["values"], new["values"], allowed, by_interval)
    for name in _COSTS:
        gap, complaint = _held(name, record[name], new[name], allowed)
        worst, problem = max(worst, gap), problem or complaint
    return Verdict(record, len(record["values"]), worst, allowed, problem, remark)


def same_setting(then: Mapping[str, Any]) -> bool:
    """Whether this machine and these versions are those of a run."""
    from mfbench.engine.provenance import provenance

    now = provenance(Path.cwd())
    packages = [
        {str(name).lower(): version for name, version in where.get("packages", {}).items()}
        for where in (then, now)
    ]
    return all(then.get(name) == now.get(name) for name in _SAME_MACHINE) and all(
        packages[0].get(name) == packages[1].get(name) for name in _SAME_PACKAGES
    )


def _compare(
    old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], allowed: float, by_interval: bool
) -> tuple[float, str]:
    """Largest relative difference, and the first value that does not reproduce."""
    before, after = ({(v["metric"], v["part"]): v for v in values} for values in (old, new))
    worst, problem = 0.0, ""
    for key in [*before, *(key for key in after if key not in before)]:
        name = " ".join(part for part in key if part)
        if key not in before or key not in after:
            problem = problem or f"{name}: only {'recorded' if key in before else 'computed now'}"
            continue
        for each in _FIELDS:
            label = name if each == "value" else f"{name}, {each}"
            a, b = before[key][each], after[key][each]
            gap, complaint = _held(label, a, b, allowed)
            worst = max(worst, gap)
            if not (by_interval and _near(each, before[key], after[key])):
                problem = problem or complaint
    return worst, problem


def _held(name: str, then: Any, now: Any, allowed: float) -> tuple[float, str]:
    """Relative difference of two numbers (None: there is none), and what to say where it is too large."""
    a, b = number(then), number(now)
    good = (then is None) == (now is None) and agree(a, b, allowed)
    shown = ["none" if given is None else f"{number(given):.6g}" for given in (then, now)]
    return relative_difference(a, b), "" if good else f"{name}: {shown[0]} recorded, {shown[1]} now"


def _near(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """The rule between machines: the value lies in the recorded interval, or an end of it moved no further
    than half the width of the narrower interval."""
    if name == "value":
        return _inside(number(new["value"]), old)
    if name == "n":
        return False
    half = min(number(each["ci_high"]) - number(each["ci_low"]) for each in (old, new)) / 2
    return abs(number(old[name]) - number(new[name])) <= half


def relative_difference(a: float, b: float) -> float:
    """|a - b| over the larger size: 0 where both are the same, NaN included; inf where one is not finite."""
    if a == b or (np.isnan(a) and np.isnan(b)):
        return 0.0
    if not (np.isfinite(a) and np.isfinite(b)):
        return float("inf")
    return abs(a - b) / max(abs(a), abs(b))


def _inside(number: float, value: Mapping[str, Any]) -> bool:
    low, high = value["ci_low"], value["ci_high"]
    return low is not None and high is not None and float(low) <= number <= float(high)
