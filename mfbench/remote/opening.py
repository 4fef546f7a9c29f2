"""Opens the executor "dask": what its entry point names. Imports Dask only when it is asked for."""

from __future__ import annotations

from concurrent.futures import Executor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mfbench.engine.crew import Crew
from mfbench.engine.executors import Order
from mfbench.errors import UserError
from mfbench.plan.values import content_hash
from mfbench.remote.settings import LOCAL, Settings, read_settings

if TYPE_CHECKING:
    from mfbench.remote.clusters import Connection


def open_dask(order: Order) -> tuple[Executor, Crew]:
    """The workers that the suite's [executor.dask] names, greeted.

    UserError where there is no scheduler or worker, and where a worker cannot do the work.
    """
    settings = read_settings(order.plan)
    if find_spec("distributed") is None:
        raise UserError("--executor dask: Dask is not installed; pip install 'mfbench[dask]'")
    from mfbench.remote.clusters import connect
    from mfbench.remote.executor import DaskExecutor
    from mfbench.remote.greeting import introduce, make_question

    question = make_question(order.plan, _plugins(order), order.device.startswith("cuda"))
    here = introduce({**question, "cuda": False, "anew": False})
    if here["problem"]:
        raise UserError(here["problem"])
    connection = connect(settings, order)
    try:
        _wait_for_workers(connection, settings, order)
        executor = DaskExecutor(connection, order, settings, question, here)
        executor.open()
    except BaseException:
        connection.close()
        raise
    return executor, executor.hands


def _plugins(order: Order) -> dict[str, str]:
    """The plan's plugin sources: the SHA-256 of those that are files, "" of modules."""
    try:
        return {
            source: content_hash(Path(source)) if source.endswith(".py") else ""
            for source in order.plan.plugins
        }
    except OSError as error:
        raise UserError(f"plugin {error.filename}: cannot be read ({error.strerror})") from None


def _wait_for_workers(connection: Connection, settings: Settings, order: Order) -> None:
    """Until the first worker is there; of a cluster on this machine, until all are."""
    local = not settings.address and settings.cluster == LOCAL
    wanted = order.workers if local else 1
    try:
        connection.client.wait_for_workers(wanted, timeout=settings.wait)
    except TimeoutError:
        hint = f"start one with: dask worker {settings.address}" if settings.address else "see its log"
        raise UserError(
            f"--executor dask: no worker came to {connection.client.scheduler.address} within "
            f"{settings.wait:g} s ([executor.dask] wait); {hint}"
        ) from None
