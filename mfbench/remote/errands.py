"""What Dask runs on a worker: the functions behind `Client.submit` and `Client.run`, and the worker's plugin.

Their arguments are plain values, and they are found by name: a worker without this package says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker
from tornado.ioloop import PeriodicCallback

from mfbench.remote import greeting, parcels, tasks

_STOPPED = frozenset({"cancelled", "resumed", "released", "forgotten"})
_IDLE_S = 120.0
"""How long a child waits for another task where nobody said that the run is over."""


def do_tasks(
    texts: Sequence[str], plugins: Mapping[str, str], device: str, name: str, topic: str
) -> dict[str, Any]:
    """See `tasks.perform_all`; progress is told on the topic."""
    worker = get_worker()

    def report(key: str, done: int, total: int) -> None:
        worker.loop.add_callback(worker.log_event, topic, {"key": key, "done": done, "total": total})

    return tasks.perform_all(texts, plugins, device, name, report)


async def introduce(question: greeting.Question, dask_worker: Worker) -> dict[str, Any]:
    """See `greeting.introduce`; from now on the worker stops what nobody waits for.

    Not by way of the scheduler, which would make every worker load the bench, those of others as well.
    """
    if Watch.name not in dask_worker.plugins:
        await dask_worker.plugin_add(Watch(), Watch.name)
    return await asyncio.to_thread(greeting.introduce, question)


async def receive(parcel: parcels.Parcel, ticket: str, name: str, offset: int, data: bytes) -> None:
    """See `parcels.write_chunk`."""
    await asyncio.to_thread(parcels.write_chunk, parcel, ticket, name, offset, data)


async def received(parcel: parcels.Parcel, ticket: str) -> None:
    """See `parcels.put_in_place`."""
    await asyncio.to_thread(parcels.put_in_place, parcel, ticket)


async def hand_out(key: str, name: str, offset: int) -> tuple[bytes, bool]:
    """See `parcels.read_fit_chunk`."""
    return await asyncio.to_thread(parcels.read_fit_chunk, key, name, offset)


def made_here(key: str) -> list[str]:
    """See `parcels.made_here`."""
    return parcels.made_here(key)


def are_here() -> None:
    """Nothing: that this can be called is the answer."""


def run_is_over() -> None:
    """End the children that wait: nobody will give them more."""
    tasks.rest()


class Watch(WorkerPlugin):  # type: ignore[misc]
    """Ends the child of a task that nobody waits for: its run was stopped, or the coordinator died."""

    name = "mfbench"

    def setup(self, worker: Worker) -> None:
        self._rest = PeriodicCallback(lambda: tasks.rest(_IDLE_S), _IDLE_S * 1e3)
        self._rest.start()

    def transition(self, key: Any, start: str, finish: str, **more: Any) -> None:
        if finish in _STOPPED:
            tasks.stop(str(key))
