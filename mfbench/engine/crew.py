"""Who can be given tasks now: the coordinator asks before each one, which is a run's back-pressure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mfbench.engine.machine import machine_name

ProgressSink = Callable[[Mapping[str, Any], int, int], None]
"""Told of a fit's progress, from any thread: its task, done, total."""


class Crew:
    """The workers of an executor, as the coordinator sees them.

    wake: called, from any thread, when a slot got free that nobody gave back: a worker came.
    progress: told how far fits are, where the workers can say.
    """

    wake: Callable[[], None]
    progress: ProgressSink

    def __init__(self) -> None:
        self.wake = lambda: None
        self.progress = lambda task, done, total: None

    def take(self) -> str | None:
        """The device of a slot, which now is the caller's; None where none is free.

        Whoever holds none is always given one: what it submits may have to wait.
        """
        raise NotImplementedError

    def give_back(self, device: str) -> None:
        """A slot that was taken is free again."""
        raise NotImplementedError

    def machine(self) -> str:
        """The name of the machine that times are taken on."""
        raise NotImplementedError

    def about(self) -> dict[str, Any]:
        """What a run's provenance says of the workers."""
        return {}


class Slots(Crew):
    """So many tasks at once, each on a device of this machine."""

    def __init__(self, devices: Sequence[str]) -> None:
        super().__init__()
        self._free = list(reversed(devices))

    def take(self) -> str | None:
        return self._free.pop() if self._free else None

    def give_back(self, device: str) -> None:
        self._free.append(device)

    def machine(self) -> str:
        return machine_name(self._free[-1])
