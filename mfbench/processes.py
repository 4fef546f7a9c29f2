"""Ends a child process with everything it started, also what moved to a session or a parent of its own.

A child is marked in its environment, which whatever it starts inherits; the mark is looked for in /proc.
Where there is no /proc (macOS), the process group is all that is ended.
"""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

MARK = "MFBENCH_CHILD"
"""The environment variable whose value is one child's and its descendants'."""

_PATIENCE_S = 5.0
_LOOK_EVERY_S = 0.01
_PROC = Path("/proc")


def new_mark() -> str:
    """A value for `MARK` that no other child has."""
    return uuid.uuid4().hex


def end_all(pid: int, mark: str) -> None:
    """Kill a child, its process group, its descendants and every process that bears its mark.

    Looks again until none is left, for a process may start another while it is looked for; what the system
    cannot end (a process in an uninterruptible call) is given up after some seconds.
    """
    known = set(descendants(pid))  # before their parent ends: they may have an environment of their own
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    end_marked(mark, known)


def end_marked(mark: str, others: Iterable[int] = ()) -> None:
    """Kill every process that bears a mark, this one aside, and the `others`."""
    _kill(others)
    end = time.monotonic() + _PATIENCE_S
    while (left := set(_marked(mark))) and time.monotonic() < end:
        _kill(left)
        time.sleep(_LOOK_EVERY_S)


def descendants(pid: int) -> Iterator[int]:
    """The children of a process, theirs, and so on; those whose parent ended are not among them."""
    waiting, seen = [pid], {pid}
    while waiting:
        for child in _children(waiting.pop()):
            if child not in seen:
                seen.add(child)
                waiting.append(child)
                yield child


def _children(pid: int) -> Iterator[int]:
    for thread in _PROC.glob(f"{pid}/task/[0-9]*/children"):
        with suppress(OSError):
            yield from map(int, thread.read_text().split())


def _marked(mark: str) -> Iterator[int]:
    """Living processes that bear a mark; one that ended and was not waited for has no environment."""
    wanted = f"{MARK}={mark}".encode()
    for folder in _PROC.glob("[0-9]*"):
        if int(folder.name) != os.getpid():
            with suppress(OSError):  # another user's, or gone
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    yield int(folder.name)


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
