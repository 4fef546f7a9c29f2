"""The Python interface: `mfbench.names`, `get`, `run` and `results`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfbench.errors import UserError
from mfbench.registry import Registry, load_registry

if TYPE_CHECKING:
    from pandas import DataFrame

    from mfbench.engine import Summary


@cache
def _installed() -> Registry:
    """The registry of installed plugins, read once a process."""
    return load_registry()


def names(kind: str) -> list[str]:
    """The registered names of a kind, sorted.

    A kind is "generator", "sampler", "likelihood", "disentangler", "defense", "dataset", "attack" or
    "protocol".
    """
    return _installed().names(kind)


def get(kind: str, name: str, **parameters: Any) -> Any:
    """An instance of what is registered as (kind, name); keyword arguments are its hyper-parameters.

    References may be given as names, as tables `{"name": ..., ...}` or as instances. A data set also takes
    `seed`, a whole number from 0 on. UserError says what is wrong with a name or a value.
    """
    if kind == "dataset" and "seed" in parameters:
        _check_whole(f"dataset {name!r}, parameter 'seed'", parameters["seed"], 0)
    return _installed().create(kind, name, **parameters)


def run(
    suite: str | Path,
    *,
    store: str | Path = "results.sqlite",
    workers: int = 1,
    executor: str = "local",
    device: str = "auto",
    plugins: Sequence[str] = (),
    select: str | None = None,
    methods: Sequence[str] | None = None,
    retry: bool = False,
    retime: bool = False,
) -> Summary:
    """Run a suite: compute what it asks for and the store lacks, as `mfbench run` does.

    plugins: files or modules besides the suite's own. select, methods: a part of the matrix. retry: failed
    cells again. retime: all times again. UserError says what is wrong with the suite or an argument, before
    anything is computed or written.
    """
    from mfbench.engine import Order, make_listener, open_workforce, run_plan
    from mfbench.engine.devices import choose_device, device_type
    from mfbench.plan.planning import make_plan
    from mfbench.store import Store
    from mfbench.suite import read_suite

    _check_whole("workers", workers, 1)
    if not Path(store).parent.is_dir():
        raise UserError(f"{store}: there is no folder {str(Path(store).parent)!r} for the store")
    asked = read_suite(suite)
    registry = load_registry([*asked.plugins, *plugins])
    registry.require_sources()
    where = choose_device(device, executor)
    plan = make_plan(
        asked, registry, device=device_type(where), select=select or "", methods=tuple(methods or ())
    )
    order = Order(plan, workers, where)
    with open_workforce(executor, order) as workforce, Store(store) as opened:
        return run_plan(
            plan,
            opened,
            executor=workforce,
            workers=workers,
            device=where,
            retry=retry,
            retime=retime,
            listener=make_listener(),
            hook=registry.hook,
            folder=Path(suite).absolute().parent,
        )


def _check_whole(what: str, value: object, low: int) -> None:
    """UserError where `value` is not a whole number from `low` on; one of NumPy's is."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < low:
        raise UserError(f"{what}: expected a whole number from {low} on, got {value!r}")


def results(store: str | Path = "results.sqlite") -> DataFrame:
    """The store's results as a pandas frame: one row a (cell, metric, part).

    A cell without a metric has one row with `metric` empty. UserError where there is no such store.
    """
    from mfbench.store import Store

    with Store(store, create=False) as opened:
        return opened.frame()
