"""The workers of a Dask cluster: who is there, who is free, and who is gone.

All of it runs in the client's event loop, but what the coordinator asks from its own thread (`Crew`).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from mfbench.engine.crew import Crew
from mfbench.errors import UserError
from mfbench.remote.batches import MOST_TOGETHER


class WorkerLostError(Exception):
    """The worker went, with what it had."""


class Hand:
    """One worker: `free` are the devices of its slots that are idle."""

    def __init__(self, address: str, devices: Iterable[str], about: Mapping[str, Any]) -> None:
        self.address = address
        self.about = about
        self.free = list(devices)
        self.slots = len(self.free)
        self.gone = False
        self._waiting: set[asyncio.Future[None]] = set()

    def loss(self) -> asyncio.Future[None]:
        """Done when the worker goes; hand it back to `forget`."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        return waiting

    def forget(self, waiting: asyncio.Future[None]) -> None:
        self._waiting.discard(waiting)

    def lose(self) -> None:
        """The worker is gone: whoever waits for it is told."""
        self.gone = True
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)


class Hands(Crew):
    """The workers that take tasks. wait: seconds that a task waits while there is nobody.

    deep: whether tasks may queue on this side, so that short ones can travel together.
    """

    def __init__(self, device: str, wait: float, cluster: str) -> None:
        super().__init__()
        self._device = device
        self._wait = wait
        self._cluster = cluster
        self._hands: dict[str, Hand] = {}
        self.deep = False
        self._out = 0
        self._waiters: set[asyncio.Future[None]] = set()

    # -- the coordinator's side -------------------------------------------------------------------------

    def take(self) -> str | None:
        slots = sum(hand.slots for hand in list(self._hands.values()))
        if self._out >= max(1, slots * (MOST_TOGETHER if self.deep else 1)):
            return None
        self._out += 1
        return self._device

    def give_back(self, device: str) -> None:
        self._out -= 1

    def machine(self) -> str:
        """The machine that most slots are on; of several, the first by name."""
        counts = Counter[str]()
        for hand in list(self._hands.values()):
            counts[hand.about["machine"]] += hand.slots
        return min(counts, key=lambda name: (-counts[name], name)) if counts else ""

    def about(self) -> dict[str, Any]:
        names = ("host", "machine", "cpus", "gpus")
        hands = [hand for _, hand in sorted(self._hands.items())]
        return {"workers": [{name: h.about[name] for name in names} | {"slots": h.slots} for h in hands]}

    # -- the loop's side --------------------------------------------------------------------------------

    def __contains__(self, address: str) -> bool:
        return address in self._hands

    def __len__(self) -> int:
        return len(self._hands)

    @property
    def addresses(self) -> set[str]:
        """Of those that are there."""
        return set(self._hands)

    def join(self, hand: Hand) -> None:
        """A worker came."""
        self._hands[hand.address] = hand
        self._changed()
        self.wake()

    def leave(self, address: str) -> None:
        """A worker went."""
        hand = self._hands.pop(address, None)
        if hand is not None:
            hand.lose()
            self._changed()

    async def hire(self, timing: bool) -> tuple[Hand, str]:
        """A free slot: of the least busy worker or, for times, of the first one on the timing machine.

        UserError where there has been no worker at all for `wait` seconds.
        """
        deserted = None
        while (hand := self._choose(timing)) is None:
            deserted = None if self._hands else deserted or time.monotonic()
            if deserted is not None and time.monotonic() - deserted > self._wait:
                raise UserError(
                    f"--executor dask: no worker has been left at {self._cluster} for {self._wait:g} s"
                )
            await self._next_change(1.0)
        return hand, hand.free.pop()

    def release(self, hand: Hand, device: str) -> None:
        """A slot is free again."""
        hand.free.append(device)
        self._changed()

    def _choose(self, timing: bool) -> Hand | None:
        free = [hand for hand in self._hands.values() if hand.free]
        if timing:
            machine = self.machine()
            there = [hand for hand in free if hand.about["machine"] == machine]
            return min(there, key=lambda hand: hand.address, default=None)
        return max(free, key=lambda hand: len(hand.free) / hand.slots, default=None)

    def _changed(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _next_change(self, seconds: float) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await asyncio.wait({waiter}, timeout=seconds)
        finally:
            self._waiters.discard(waiter)
