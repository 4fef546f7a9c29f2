"""Gives each task to one worker, and to another where that one dies; in the Dask client's event loop."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from distributed import KilledWorker
from distributed.comm import CommClosedError

from mfbench.artifacts import CorruptArtifactError
from mfbench.engine.executors import Order
from mfbench.engine.records import error_of
from mfbench.errors import UserError
from mfbench.remote import errands
from mfbench.remote.batches import MOST_TOGETHER, Errand, Pace, Waiting
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
        self._errands: WeakSet[Errand] = WeakSet()  # those that wait or are under way
        self._waiting = Waiting()
        self._pace = Pace()

    # -- concurrent.futures -----------------------------------------------------------------------------

    def open(self) -> None:
        """Greet the workers that are there; UserError where one of them cannot do the work."""
        self._in_loop(self._open()).result()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A task's record, as JSON; `fn` is `run_cell`, which is what a worker does with it."""
        if self._closing:
            raise RuntimeError("it was shut down")
        (payload,) = args
        errand = Errand(payload)
        self._client.loop.asyncio_loop.call_soon_threadsafe(self._take_in, errand)
        return errand.future

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
        self._start(self._hand_out())

    def _take_in(self, errand: Errand) -> None:
        self._errands.add(errand)
        self._waiting.put_nowait(errand)

    async def _farewell(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        for errand in list(self._errands):
            errand.future.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.run(errands.run_is_over, workers=sorted(self.hands.addresses), on_error="ignore")

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def _topic(self) -> str:
        return f"mfbench-{self._run}"

    def _progressed(self, event: tuple[float, Mapping[str, Any]]) -> None:
        said = event[1]
        self.hands.progress({"job": {"key": said["key"]}}, said["done"], said["total"])

    # -- tasks ------------------------------------------------------------------------------------------

    async def _hand_out(self) -> None:
        """Give errands to free workers, in the order in which they came."""
        while True:
            first = await self._waiting.get()
            if first.done():
                continue
            try:
                hand, device = await self.hands.hire(first.task["type"] == "timing")
            except UserError as error:
                first.fail(error)
                continue
            batch = [first, *self._company(first)]
            self._start(self._do(batch, hand, device))

    def _company(self, first: Errand) -> Iterator[Errand]:
        """Short cells that go with a short one: what a task costs on its way is then paid once."""
        if not self._retries or not self._pace.is_short(first):
            return  # a worker that is lost costs all that went together one of their retries
        for _ in range(MOST_TOGETHER - 1):
            if self._waiting.empty() or not self._pace.is_short(self._waiting.next()):
                return
            yield self._waiting.get_nowait()

    async def _do(self, batch: list[Errand], hand: Hand, device: str) -> None:
        """Settle some errands: with the records of the worker that did them, or of how none could.

        What a worker leaves is taken up at once by the same one, or queues again where the worker went.
        """
        left = list(batch)
        try:
            await self._done_by(hand, device, left)
        except _WRONG_THERE as error:
            message = f"worker {hand.address}: {error}"
            for errand in left:
                errand.end("crashed", error_of(type(error).__name__, message))
        except WorkerLostError:
            for errand in left:
                errand.lost += 1
                if errand.lost > self._retries:
                    errand.end("crashed", _worker_lost(errand.lost, hand))
                else:
                    self._waiting.put_nowait(errand)
        except Exception as error:  # the scheduler is gone, or Dask does what nobody thought of
            for errand in left:
                errand.fail(error)
        finally:
            self.hands.release(hand, device)

    async def _done_by(self, hand: Hand, device: str, left: list[Errand]) -> None:
        """Take from `left`, and settle, what the worker has done."""
        deliveries = 0
        while left:
            answer = await self._call(hand, device, left)
            for record, seconds in answer["records"]:
                if left[0].task["type"] == "fit":
                    await self._guarded(self._post.collect(left[0].task["job"]["key"], hand.address), hand)
                self._pace.took(left[0], seconds)
                left.pop(0).settle(record)
            if not answer["missing"]:
                continue
            deliveries += 1
            if deliveries > _MOST_DELIVERIES * len(left):
                message = f"worker {hand.address} lacks {answer['missing']} however often sent"
                left.pop(0).end("crashed", error_of("Undelivered", message))
                continue
            files = self._files | files_in(left[0].task["job"])
            for parcel in answer["missing"]:
                await self._guarded(self._post.deliver(parcel, hand.address, files), hand)
        self.hands.deep = self._pace.has_short

    async def _call(self, hand: Hand, device: str, batch: list[Errand]) -> dict[str, Any]:
        """What the worker answers; WorkerLostError where it goes first."""
        self._count += 1
        key = f"mfbench_{batch[0].task['type']}-{self._run}-{self._count}"
        future = self._client.submit(
            errands.do_tasks,
            *([errand.text for errand in batch], self._plugins, device, key, self._topic),
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
