"""Finds the scheduler: one that runs, one for this machine, or one whose workers a batch system starts."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster
from distributed.comm.addressing import parse_address, parse_host_port
from distributed.comm.registry import get_backend
from distributed.core import connect as open_comm
from distributed.core import send_recv
from distributed.security import Security

from mfbench.engine.executors import Order, cuda_count
from mfbench.errors import UserError
from mfbench.remote.settings import LOCAL, Settings
from mfbench.spelling import did_you_mean
from mfbench.wording import show

CONNECT_S = 10.0
"""How long a scheduler may take to answer."""

SILENT = logging.CRITICAL + 1
"""The level of Dask's own messages: what matters is told by the run."""

_CLOSE_S = 10.0

_CONFIG = {
    "distributed.admin.low-level-log-length": 1_000,  # 100,000 transitions of tasks would be kept else
    "distributed.admin.tick.interval": "1s",  # each worker and nanny would look at its loop 50 times a second
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.scheduler.allowed-failures": 1_000,  # how often a task is begun again is decided by the run
    "distributed.worker.memory.terminate": False,  # memory limits are the supervisor's
    "distributed.worker.profile.enabled": False,  # it would look at waiting threads, a hundred times a second
    "distributed.comm.timeouts.connect": f"{CONNECT_S:g}s",
}


@dataclass(frozen=True)
class Connection:
    """A client; what starts workers again where fewer are there than asked for; and the end of it all."""

    client: Client
    grow: Callable[[int], None]
    close: Callable[[], None]


def connect(settings: Settings, order: Order) -> Connection:
    """The scheduler that the settings name, or one that is started. UserError where there is none."""
    dask.config.set(_CONFIG)
    _silence()
    if settings.address:
        return _running(settings)
    cluster = _local(order) if settings.cluster == LOCAL else _queued(settings, order)
    client = Client(cluster, set_as_default=False, timeout=CONNECT_S)

    def grow(present: int) -> None:
        if present < order.workers and settings.cluster != LOCAL:  # a job may have come to its end
            cluster.scale(order.workers)

    def close() -> None:
        with suppress(Exception):
            client.close(_CLOSE_S)
        with suppress(Exception):
            cluster.close(_CLOSE_S)

    return Connection(client, grow, close)


def _silence() -> None:
    for name in logging.root.manager.loggerDict:
        if name.partition(".")[0] == "distributed":  # some have a level of their own
            logging.getLogger(name).setLevel(SILENT)


def _running(settings: Settings) -> Connection:
    place = settings.where.key("address")
    try:
        scheme, location = parse_address(settings.address)
        get_backend(scheme)
        if scheme in ("tcp", "tls"):
            parse_host_port(location)
    except ValueError:  # a client would say so when it is collected, too
        raise place.error(
            f"{show(settings.address)} is no scheduler's address, which looks like tcp://head:8786"
        ) from None
    try:
        _require_scheduler(settings.address)
        client = Client(settings.address, set_as_default=False, timeout=CONNECT_S)
    except Exception as error:  # no such host, nobody listens, something else listens, a wrong scheme
        why = "" if isinstance(_root(error), asyncio.CancelledError) else f" ({_reason(error)})"
        raise place.error(
            f"no Dask scheduler answers at {show(settings.address)} within {CONNECT_S:g} s{why}; "
            "start one with: dask scheduler"
        ) from None

    def close() -> None:
        with suppress(Exception):
            client.close(_CLOSE_S)

    return Connection(client, lambda present: None, close)


def _require_scheduler(address: str) -> None:
    """An exception where none answers in time.

    Asked before there is a client: that waits without end for who listens and does not greet, and one that
    failed may fail again, aloud, when it is collected. In a thread: the caller's may have a loop that runs.
    """
    with ThreadPoolExecutor(1) as thread:
        kind = thread.submit(asyncio.run, _kind_at(address)).result()
    if kind != "Scheduler":
        raise ValueError(f"a {kind} answers there")


async def _kind_at(address: str) -> str:
    """What a Dask server says it is; of `CONNECT_S` a part is kept for its greeting."""
    security = Security().get_connection_args("client")
    async with asyncio.timeout(CONNECT_S):
        comm = await open_comm(address, timeout=0.8 * CONNECT_S, **security)
        try:
            return str((await send_recv(comm, op="identity"))["type"])
        finally:
            comm.abort()


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _reason(error: BaseException) -> str:
    error = _root(error)
    return " ".join(str(error).split()) or type(error).__name__


def _local(order: Order) -> SpecCluster:
    """A scheduler in this process, and worker processes: one a GPU, or each with the suite's threads."""
    options: dict[str, Any] = {
        "nthreads": order.plan.cells[0].threads,
        "memory_limit": 0,
        "host": "127.0.0.1",
        "dashboard": False,
        "silence_logs": SILENT,
    }
    each: list[dict[str, Any]] = [{} for _ in range(order.workers)]
    if order.device.startswith("cuda"):
        visible = [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in _gpus(order.workers)]
        each = [{"resources": {"GPU": 1}, "env": environment} for environment in visible]
    workers = {index: {"cls": Nanny, "options": options | own} for index, own in enumerate(each)}
    here = {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    return SpecCluster(workers, {"cls": Scheduler, "options": here}, silence_logs=SILENT, name="mfbench")


def _gpus(workers: int) -> list[str]:
    """What CUDA_VISIBLE_DEVICES says to each worker."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name for name in given.split(",") if name] or [str(index) for index in range(cuda_count())]
    if workers > len(names):
        raise UserError(
            f"--workers {workers}: this machine has {len(names)} CUDA devices, one for each worker"
        )
    return names[:workers]


def _queued(settings: Settings, order: Order) -> Any:
    """A cluster of a class of dask-jobqueue, asked for as many workers as `--workers` says."""
    place = settings.where.key("cluster")
    if find_spec("dask_jobqueue") is None:
        raise place.error(f"{show(settings.cluster)} is a class of dask-jobqueue: pip install dask-jobqueue")
    import dask_jobqueue

    names = [name for name in dir(dask_jobqueue) if name.endswith("Cluster") and name != "JobQueueCluster"]
    if settings.cluster not in names:
        raise place.error(
            f"it is {show(LOCAL)} or one of {', '.join(names)}{did_you_mean(settings.cluster, names)}"
        )
    options = dict(settings.options)
    if order.device.startswith("cuda"):
        options["worker_extra_args"] = [*options.get("worker_extra_args", []), "--resources", "GPU=1"]
    try:
        cluster = getattr(dask_jobqueue, settings.cluster)(**options)
        cluster.scale(order.workers)
    except Exception as error:  # whatever the batch system's class objects to
        raise settings.where.key("options").error(f"{settings.cluster}: {_reason(error)}") from None
    return cluster
