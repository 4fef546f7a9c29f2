"""Greets the workers of a scheduler, those that come while a run is on as well; in the Dask client's loop."""

from __future__ import annotations

import asyncio
import platform
import re
import warnings
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

import distributed

from mfbench.engine.executors import Order
from mfbench.errors import UserError
from mfbench.remote import errands
from mfbench.remote.clusters import Connection
from mfbench.remote.greeting import Question, disagreement
from mfbench.remote.hands import Hand, Hands
from mfbench.remote.parcels import Places
from mfbench.remote.post import Post

_LOOK_EVERY_S = 5.0
"""How often the scheduler is asked who is there, besides what it tells by itself."""

_NO_MODULE = re.compile(r"No module named \W*(\w+)")

Start = Callable[[Coroutine[Any, Any, Any]], None]
"""Starts something in the loop that ends with the run."""


class Reception:
    """Lets workers in, unless they cannot do the work.

    question, here: what every worker is asked, and what the coordinator itself answers. files: the plugin
    files that a worker may lack.
    """

    def __init__(
        self,
        connection: Connection,
        order: Order,
        hands: Hands,
        post: Post,
        question: Question,
        here: Mapping[str, Any],
        files: Places,
    ) -> None:
        self._connection, self._client = connection, connection.client
        self._cuda = order.device.startswith("cuda")
        self._threads = order.plan.cells[0].threads
        self._hands, self._post = hands, post
        self._question, self._here, self._files = question, here, files
        self._greeted: set[str] = set()
        self._refused: list[str] = []
        self._news = asyncio.Event()

    async def open(self) -> None:
        """Greet those who are there; UserError where one cannot do the work, or none has what it takes."""
        address = self._client.scheduler.address
        await self._require_scheduler(address)
        self._client.subscribe_topic("all", self._heard)
        await asyncio.gather(*await self._look())
        for reason in self._refused:
            raise UserError(reason)
        if self._cuda and not len(self._hands):
            raise UserError(
                f"--device cuda: no worker at {address} offers a GPU; start one for each GPU with: "
                f"CUDA_VISIBLE_DEVICES=0 dask worker {address} --nthreads 1 --resources GPU=1"
            )

    async def stay(self, start: Start) -> None:
        """Greet those who come, and ask for more where some went; one that cannot work is a warning."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), _LOOK_EVERY_S)
            self._news.clear()
            self._connection.grow(len(self._hands))
            with suppress(OSError):  # whoever waits for a task is told
                for greeting in await self._look():
                    start(greeting)
            while self._refused:
                warnings.warn(self._refused.pop(), RuntimeWarning, stacklevel=1)

    async def _require_scheduler(self, address: str) -> None:
        """UserError where the scheduler, which reads tasks, has another Dask or Python, or no bench."""
        versions = await self._client.scheduler.versions()
        theirs = versions["packages"]["distributed"], versions["host"]["python"].rsplit(".", 3)[0]
        mine = distributed.__version__, platform.python_version().rsplit(".", 1)[0]
        for name, there, here in zip(("distributed", "Python"), theirs, mine, strict=True):
            if there != here:
                raise UserError(
                    f"--executor dask: the scheduler at {address} has {name} {there}, this has {here}: "
                    "install the same there (pip install -c constraints.txt)"
                )
        try:
            await self._client.run_on_scheduler(errands.are_here)
        except OSError:
            raise  # it went
        except Exception as error:
            raise UserError(f"--executor dask: the scheduler at {address}: {_no_answer(error)}") from None

    def _heard(self, event: tuple[float, Mapping[str, Any]]) -> None:
        """The scheduler says that a worker came or went."""
        message = event[1]
        if message.get("action") == "remove-worker":
            self._left(message["worker"])
        elif message.get("action") == "add-worker":
            self._news.set()

    def _left(self, address: str) -> None:
        self._greeted.discard(address)
        self._hands.leave(address)

    async def _look(self) -> list[Coroutine[Any, Any, None]]:
        """Bring who is here in line with who the scheduler says is here; gives the greetings that are due."""
        there = (await self._client.scheduler.identity(n_workers=-1))["workers"]
        for address in self._greeted - there.keys():
            self._left(address)
        slots = {address: self._slots(about) for address, about in there.items()}
        new = [address for address in slots if slots[address] and address not in self._greeted]
        self._greeted.update(new)
        return [self._greet(address, slots[address]) for address in new]

    def _slots(self, about: Mapping[str, Any]) -> list[str]:
        """One for each GPU that the worker offers; on the CPU one for as many threads as the suite says."""
        if self._cuda:
            return [f"cuda:{index}" for index in range(int(about["resources"].get("GPU", 0)))]
        return ["cpu"] * max(1, about["nthreads"] // self._threads)

    async def _greet(self, address: str, slots: list[str]) -> None:
        """Let a worker in, unless it cannot do the work: then `_refused` says why."""
        try:
            answer = await self._introduced(address)
            reason = disagreement(self._here, answer)
            if not reason and self._cuda and answer["gpus"] < len(slots):
                reason = f"it offers {len(slots)} GPU, but torch can use {answer['gpus']} CUDA devices there"
        except OSError:  # it went meanwhile, or is asked again
            self._greeted.discard(address)
            return
        except Exception as error:
            reason = _no_answer(error)
        if reason:
            self._refused.append(f"--executor dask: worker {address}: {reason}")
        elif address in self._greeted:
            self._hands.join(Hand(address, slots, answer))

    async def _introduced(self, address: str) -> dict[str, Any]:
        """A worker's answer to the question. OSError where it goes, ImportError where it has no bench."""
        answer = await self._ask(address)
        for parcel in answer.get("missing", ()):
            await self._post.deliver(parcel, address, self._files)
        return await self._ask(address) if "missing" in answer else answer

    async def _ask(self, address: str) -> dict[str, Any]:
        answers = await self._client.run(errands.introduce, self._question, workers=[address])
        found: dict[str, Any] = answers[address]
        return found


def _no_answer(error: Exception) -> str:
    """Why there is none: no bench there, or another one, which does not know what it is asked.

    Of an exception that cannot travel Dask sends the text.
    """
    said = " ".join(str(error).split())
    lacking = _NO_MODULE.search(said)
    raised = f"{type(error).__name__}: {said}"
    cannot = f"it has no {lacking[1]}" if lacking else f"it cannot say what it has ({raised})"
    return f"{cannot}; install the coordinator's mfbench[dask] there"
