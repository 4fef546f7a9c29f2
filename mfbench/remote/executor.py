"""Gives each task to one worker, and to another where that one dies; in the Dask client's event loop."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from typing import Any

from distributed import KilledWorker
from distributed.comm import CommClosedError

from mfbench.artifacts import CorruptArtifactError
from mfbench.engine.executors import Order
from mfbench.engine.records import ended, error_of, now
from mfbench.errors import UserError
from mfbench.remote import errands
from mfbench.remote.clusters import Connection
from mfbench.remote.greeting import Question
from mfbench.remote.hands import Hand, Hands, WorkerLostError
from mfbench.remote.parcels import DamagedParcelError, files_in
from mfbench.remote.post import Post
from mfbench.remote.reception import Reception
from mfbench.remote.settings import Settings

_MOST_DELIVERIES = 3
_WRONG_THERE = (OSError, DamagedParcelError, CorruptArtifactError)
"""What a worker may raise when it is sent something: its disk is full, or what came is not what was sent."""

_FAREWELL_S = 5.0


class DaskExecutor(Executor):
    """The workers of a scheduler as a `concurrent.futures.Executor`; `hands` is their `Crew`.

    question, here: what every worker is asked, and what the coordinator itself answers.
    """

    def __init__(
        self,
        connection: Connection,
        order: Order,
        settings: Settings,
        question: Question,
        here: Mapping[str, Any],
    ) -> None:
        self._connection, self._client = connection, connection.client
        self._resources = {"GPU": 1} if order.device.startswith("cuda") else None
        self._retries = settings.retries
        self._plugins: Mapping[str, str] = question["plugins"]
        self._files = {sha256: path for path, sha256 in self._plugins.items() if sha256}
        self._post = Post(self._client)
        self.hands = Hands(order.device, settings.wait, self._client.scheduler.address)
        self._reception = Reception(connection, order, self.hands, self._post, question, here, self._files)
        self._run = uuid.uuid4().hex[:12]
        self._count = 0
        self._closing = False
        self._tasks: set[asyncio.Task[Any]] = set()

    # -- concurrent.futures -----------------------------------------------------------------------------

    def open(self) -> None:
        """Greet the workers that are there; UserError where one of them cannot do the work."""
        self._in_loop(self._open()).result()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A task's record, as JSON; `fn` is `run_cell`, which is what a worker does with it."""
        if self._closing:
            raise RuntimeError("it was shut down")
        (payload,) = args
        return self._in_loop(self._perform(payload))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop what is under way, and let the workers go."""
        if not self._closing:
            self._closing = True
            with suppress(Exception):  # the scheduler may be gone
                self._in_loop(self._farewell()).result(_FAREWELL_S)
        if wait:
            self._connection.close()

    def _in_loop(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._client.loop.asyncio_loop)

    async def _open(self) -> None:
        await self._reception.open()
        self._client.subscribe_topic(self._topic, self._progressed)
        self._start(self._reception.stay(self._start))

    async def _farewell(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.run(errands.run_is_over, workers=sorted(self.hands.addresses), on_error="ignore")

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        self._ends_with_the_run(asyncio.ensure_future(work))

    def _ends_with_the_run(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def _topic(self) -> str:
        return f"mfbench-{self._run}"

    def _progressed(self, event: tuple[float, Mapping[str, Any]]) -> None:
        said = event[1]
        self.hands.progress({"job": {"key": said["key"]}}, said["done"], said["total"])

    # -- a task -----------------------------------------------------------------------------------------

    async def _perform(self, text: str) -> str:
        """The record of a task: of the worker that did it, or of how none could."""
        current = asyncio.current_task()
        assert current is not None
        self._ends_with_the_run(current)
        task = json.loads(text)
        started, lost = now(), 0
        while True:
            hand, device = await self.hands.hire(task["type"] == "timing")
            try:
                return await self._done_by(hand, device, text, task)
            except _WRONG_THERE as error:
                message = f"worker {hand.address}: {error}"
                return json.dumps(ended(task, "crashed", error_of(type(error).__name__, message), started))
            except WorkerLostError:
                lost += 1
                if lost > self._retries:
                    return json.dumps(ended(task, "crashed", _worker_lost(lost, hand), started))
            finally:
                self.hands.release(hand, device)

    async def _done_by(self, hand: Hand, device: str, text: str, task: Mapping[str, Any]) -> str:
        for _ in range(_MOST_DELIVERIES):
            answer = await self._call(hand, device, text, task)
            if "record" in answer:
                if task["type"] == "fit":
                    await self._guarded(self._post.collect(task["job"]["key"], hand.address), hand)
                return str(answer["record"])
            files = self._files | files_in(task["job"])
            for parcel in answer["missing"]:
                await self._guarded(self._post.deliver(parcel, hand.address, files), hand)
        error = error_of("Undelivered", f"worker {hand.address} lacks {answer['missing']} however often sent")
        return json.dumps(ended(task, "crashed", error, now()))

    async def _call(self, hand: Hand, device: str, text: str, task: Mapping[str, Any]) -> dict[str, Any]:
        """What the worker answers; WorkerLostError where it goes first."""
        self._count += 1
        key = f"mfbench_{task['type']}-{self._run}-{self._count}"
        future = self._client.submit(
            errands.do_task,
            *(text, self._plugins, device, key, self._topic),
            key=key,
            workers=[hand.address],
            allow_other_workers=False,
            pure=False,
            resources=self._resources,
        )
        try:
            answer: dict[str, Any] = await self._guarded(_result_of(future), hand)
            return answer
        finally:
            future.release()

    async def _guarded(self, work: Coroutine[Any, Any, Any], hand: Hand) -> Any:
        """The work's result; WorkerLostError when the worker goes, UserError where the scheduler does."""
        doing, loss = asyncio.ensure_future(work), hand.loss()
        try:
            await asyncio.wait({doing, loss}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done() or (hand.gone and doing.exception() is not None):
                raise WorkerLostError
            return doing.result()
        except (asyncio.CancelledError, _CancelledError, CommClosedError, TimeoutError) as error:
            if self._closing:
                raise
            if self._client.status == "running" and isinstance(error, OSError):
                raise WorkerLostError from error
            raise UserError(
                f"--executor dask: the scheduler at {self._client.scheduler.address} is gone; "
                "start one, and run again to go on"
            ) from None
        except KilledWorker:
            raise WorkerLostError from None
        finally:
            hand.forget(loss)
            doing.cancel()


class _CancelledError(Exception):
    """Dask gave a task up."""


async def _result_of(future: Any) -> Any:
    """A Dask future's result; `_CancelledError` where Dask cancelled it, and not this program."""
    try:
        return await future
    except (asyncio.CancelledError, CancelledError):
        if future.cancelled():
            raise _CancelledError from None
        raise


def _worker_lost(lost: int, hand: Hand) -> dict[str, str]:
    who = "the worker" if lost == 1 else f"{lost} workers, one after another,"
    message = f"{who} went while this was computed, the last was {hand.address}; see [executor.dask] retries"
    return error_of("WorkerLost", message)
