"""Gives each task to one worker, and to another where that one dies; in the Dask client's event loop."""

from __future__ import annotations

import asyncio
import json
import platform
import uuid
import warnings
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from typing import Any

import distributed
from distributed import KilledWorker
from distributed.comm import CommClosedError

from mfbench.artifacts import CorruptArtifactError
from mfbench.engine.executors import Order
from mfbench.engine.records import ended, error_of, now
from mfbench.errors import UserError
from mfbench.remote import errands
from mfbench.remote.clusters import Connection
from mfbench.remote.greeting import disagreement
from mfbench.remote.hands import Hand, Hands, WorkerLostError
from mfbench.remote.parcels import DamagedParcelError
from mfbench.remote.post import Post, files_in
from mfbench.remote.settings import Settings

_LOOK_EVERY_S = 5.0
"""How often the scheduler is asked who is there, besides what it tells by itself."""

_MOST_DELIVERIES = 3
_WRONG_THERE = (OSError, DamagedParcelError, CorruptArtifactError)
"""What a worker may raise when it is sent something: its disk is full, or what came is not what was sent."""

_FAREWELL_S = 5.0


class DaskExecutor(Executor):
    """The workers of a scheduler as a `concurrent.futures.Executor`.

    question, here: what every worker is asked, and what the coordinator itself answers.
    """

    def __init__(
        self,
        connection: Connection,
        order: Order,
        settings: Settings,
        question: Mapping[str, Any],
        here: Mapping[str, Any],
    ) -> None:
        self.client = client = connection.client
        self._connection = connection
        self.cuda = order.device.startswith("cuda")
        self.threads = order.plan.cells[0].threads
        self.settings = settings
        self.question, self.here = dict(question), here
        self.hands = Hands(order.device, settings.wait, client.scheduler.address)
        self._post = Post(client)
        self._files = {sha256: path for path, sha256 in question["plugins"].items() if sha256}
        self._run = uuid.uuid4().hex[:12]
        self._count = 0
        self._closing = False
        self._greeting: set[str] = set()
        self._refused: dict[str, str] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._news = asyncio.Event()

    # -- concurrent.futures -----------------------------------------------------------------------------

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
        return asyncio.run_coroutine_threadsafe(work, self.client.loop.asyncio_loop)

    async def _farewell(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.client.run(errands.run_is_over, workers=sorted(self.hands.addresses), on_error="ignore")

    # -- who is there -----------------------------------------------------------------------------------

    def open(self) -> None:
        """Greet the workers that are there; UserError where one of them cannot do the work, or none has what
        it takes.
        """
        self._in_loop(self._open()).result()

    async def _open(self) -> None:
        _require_same_dask(await self.client.scheduler.versions(), self.client.scheduler.address)
        try:
            await self.client.run_on_scheduler(errands.are_here)
        except ImportError as error:
            lacking = f"the scheduler at {self.client.scheduler.address} has no {error.name or 'mfbench'}"
            raise UserError(f"--executor dask: {lacking}: install the coordinator's there") from None
        await self.client.register_plugin(errands.Watch())
        self.client.subscribe_topic("all", self._heard)
        self.client.subscribe_topic(self._topic, self._progressed)
        await asyncio.gather(*await self._look())
        for reason in self._refused.values():
            raise UserError(reason)
        if self.cuda and not len(self.hands):
            address = self.client.scheduler.address
            raise UserError(
                f"--device cuda: no worker at {address} offers a GPU; start one for each GPU with: "
                f"CUDA_VISIBLE_DEVICES=0 dask worker {address} --nthreads 1 --resources GPU=1"
            )
        self._start(self._keep_looking())

    @property
    def _topic(self) -> str:
        return f"mfbench-{self._run}"

    async def _look(self) -> list[Coroutine[Any, Any, None]]:
        """Bring who is here in line with who the scheduler says is here; gives the greetings that are due."""
        there = (await self.client.scheduler.identity(n_workers=-1))["workers"]
        for address in self.hands.addresses - there.keys():
            self.hands.leave(address)
        return [self._greet(address, about) for address, about in there.items() if not self._known(address)]

    def _known(self, address: str) -> bool:
        return address in self.hands or address in self._greeting

    async def _keep_looking(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), _LOOK_EVERY_S)
            self._news.clear()
            self._connection.grow(len(self.hands))
            with suppress(OSError):  # whoever waits for a task is told
                for greeting in await self._look():
                    self._start(greeting)
            for address in [*self._refused]:
                warnings.warn(self._refused.pop(address), RuntimeWarning, stacklevel=1)

    def _heard(self, event: tuple[float, Mapping[str, Any]]) -> None:
        """The scheduler says that a worker came or went."""
        message = event[1]
        if message.get("action") == "remove-worker":
            self.hands.leave(message["worker"])
        elif message.get("action") == "add-worker":
            self._news.set()

    def _progressed(self, event: tuple[float, Mapping[str, Any]]) -> None:
        said = event[1]
        self.hands.progress({"job": {"key": said["key"]}}, said["done"], said["total"])

    async def _greet(self, address: str, about: Mapping[str, Any]) -> None:
        """Let a worker in, once, unless it cannot do the work: then `_refused` says why."""
        slots = self._slots(about)
        if self._known(address) or not slots:
            return
        self._greeting.add(address)  # and for good, where it is refused
        try:
            answer = await self._introduced(address)
            if answer is None:
                self._greeting.discard(address)
                return
            reason = disagreement(self.here, answer)
            if self.cuda and answer["gpus"] < len(slots):
                reason = f"it offers {len(slots)} GPU, but torch can use {answer['gpus']} CUDA devices there"
            if reason:
                self._refused[address] = f"--executor dask: worker {address}: {reason}"
                return
            self.hands.join(Hand(address, slots, answer))
            self._greeting.discard(address)
        except ImportError as error:
            reason = f"it has no {error.name or 'mfbench'}: install the coordinator's mfbench[dask] there"
            self._refused[address] = f"--executor dask: worker {address}: {reason}"

    async def _introduced(self, address: str) -> dict[str, Any] | None:
        """A worker's answer to the question; None where it went meanwhile."""
        try:
            answer = await self._ask_one(address)
            for parcel in answer.get("missing", ()):
                await self._post.deliver(parcel, address, self._files)
            return await self._ask_one(address) if "missing" in answer else answer
        except OSError:
            return None

    async def _ask_one(self, address: str) -> dict[str, Any]:
        answers = await self.client.run(errands.introduce, self.question, workers=[address])
        found: dict[str, Any] = answers[address]
        return found

    def _slots(self, about: Mapping[str, Any]) -> list[str]:
        """One for each GPU that the worker offers; on the CPU one for as many threads as the suite says."""
        if self.cuda:
            return [f"cuda:{index}" for index in range(int(about["resources"].get("GPU", 0)))]
        return ["cpu"] * max(1, about["nthreads"] // self.threads)

    # -- a task -----------------------------------------------------------------------------------------

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _perform(self, text: str) -> str:
        """The record of a task: of the worker that did it, or of how none could."""
        current = asyncio.current_task()
        assert current is not None
        self._tasks.add(current)
        current.add_done_callback(self._tasks.discard)
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
                if lost > self.settings.retries:
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
        future = self.client.submit(
            errands.do_task,
            *(text, self.question["plugins"], device, key, self._topic),
            key=key,
            workers=[hand.address],
            allow_other_workers=False,
            pure=False,
            resources={"GPU": 1} if self.cuda else None,
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
            if self.client.status == "running" and isinstance(error, OSError):
                raise WorkerLostError from error
            raise UserError(
                f"--executor dask: the scheduler at {self.client.scheduler.address} is gone; "
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


def _require_same_dask(versions: Mapping[str, Any], address: str) -> None:
    """UserError where the scheduler's Dask or Python is another one: tasks would not arrive."""
    theirs = versions["packages"]["distributed"], versions["host"]["python"].rsplit(".", 3)[0]
    mine = distributed.__version__, platform.python_version().rsplit(".", 1)[0]
    for name, there, here in zip(("distributed", "Python"), theirs, mine, strict=True):
        if there != here:
            raise UserError(
                f"--executor dask: the scheduler at {address} has {name} {there} and the coordinator {here}: "
                "install the same there (pip install -c constraints.txt)"
            )


def _worker_lost(lost: int, hand: Hand) -> dict[str, str]:
    who = "the worker" if lost == 1 else f"{lost} workers, one after another,"
    message = f"{who} went while this was computed, the last was {hand.address}; see [executor.dask] retries"
    return error_of("WorkerLost", message)
