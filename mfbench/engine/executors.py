"""Who does the tasks: threads of this process, this process itself, or any other executor."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from types import FrameType
from typing import TYPE_CHECKING, Any

from mfbench.engine.children import run_cell
from mfbench.engine.crew import Crew, Slots
from mfbench.errors import UserError

if TYPE_CHECKING:
    from mfbench.engine.work import Worker
    from mfbench.plan import Plan

RunTask = Callable[[str], str]

GROUP = "mfbench.executors"
"""The entry point group of executors with a name: functions `(Order) -> (Executor, Crew)`."""

OWN = ("local", "inline")


@dataclass(frozen=True)
class Order:
    """What an executor with a name is opened for. workers, device: as `mfbench run` was told."""

    plan: Plan
    workers: int
    device: str


def open_executor(name: str, order: Order) -> tuple[Executor, RunTask, Crew]:
    """The executor of this name, what to submit to it, and who can be given tasks.

    "local": a thread a worker, each task in a supervised child. "inline": in this process, one after another,
    without limits, for debugging. A name that an installed package gives (an entry point of the group
    `mfbench.executors`): what that says. "module:factory": what `factory(workers)` returns; its workers share
    MFBENCH_CACHE and have the same plugins installed.
    """
    workers = order.workers
    if name in OWN or ":" in name:
        crew = Slots(_devices(name, order.device, workers))
        if name == "local":
            return ThreadPoolExecutor(workers, "mfbench-slot"), run_cell, crew
        if name == "inline":
            return InlineExecutor(), run_inline, crew
        return _made_by(find_factory(name), name, workers), run_cell, crew
    pool, named = find_factory(name)(order)
    return pool, run_cell, named


def find_factory(name: str) -> Callable[..., Any]:
    """What opens the executor of a name that is not the engine's own; UserError where nothing does."""
    try:
        found = _by_name(name) if ":" not in name else _by_path(name)
    except UserError:
        raise
    except Exception as error:  # whatever is wrong in a module of the user's
        raise _broken(name, error) from error
    if not callable(found):
        raise UserError(f"--executor {name}: is a {type(found).__name__}, not a function of the workers")
    return found  # type: ignore[no-any-return]


def _by_name(name: str) -> Any:
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        known = ", ".join(map(repr, [*OWN, *sorted(points)]))
        raise UserError(f"--executor {name}: it is {known} or 'module:factory'")
    return points[name].load()


def _by_path(name: str) -> Any:
    module, _, factory = name.partition(":")
    if not module or not factory:
        raise UserError(f"--executor {name}: it is 'local', 'inline' or 'module:factory'")
    return getattr(import_module(module), factory)


def _broken(name: str, error: Exception) -> UserError:
    return UserError(f"--executor {name}: {type(error).__name__}: {' '.join(str(error).split())}")


def _devices(name: str, device: str, workers: int) -> list[str]:
    """The device of each slot: "cuda" is spread over all there are, "cuda:1" and "cpu" are what they say."""
    if device != "cuda":
        return [device] * workers
    count = cuda_count() if name in OWN else 1
    return [f"cuda:{slot % count}" for slot in range(workers)]


class InlineExecutor(Executor):
    """Does each task when it is submitted."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


_inline_workers: dict[tuple[str, ...], Worker] = {}


def run_inline(payload: str) -> str:
    """Do a task in this process; returns its record as JSON. No limit holds here."""
    from mfbench.engine.work import Worker

    task = {**json.loads(payload), "memory_limit": None}
    plugins = tuple(task["plugins"])
    if plugins not in _inline_workers:
        _inline_workers[plugins] = Worker(plugins)
    with _ctrl_c_ends_the_run():
        record = _inline_workers[plugins].execute(task, lambda message: None)
    return json.dumps(record, allow_nan=False)


@contextmanager
def _ctrl_c_ends_the_run() -> Iterator[None]:
    """KeyboardInterrupt after a Ctrl-C, whatever became of the one it raised: the cell may have caught it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are another thread's
        return
    pressed = False
    usual = signal.getsignal(signal.SIGINT)

    def press(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        if callable(usual):
            usual(number, frame)

    signal.signal(signal.SIGINT, press)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if pressed:
        raise KeyboardInterrupt


def _made_by(factory: Callable[..., Any], name: str, workers: int) -> Executor:
    try:
        made = factory(workers)
    except Exception as error:  # whatever is wrong in a factory of the user's
        raise _broken(name, error) from error
    if not isinstance(made, Executor):
        kind = type(made).__name__
        raise UserError(f"--executor {name}: gave a {kind}, not a concurrent.futures.Executor")
    return made


def cuda_count() -> int:
    """CUDA devices that torch can use here; UserError where there is none."""
    import torch

    count = torch.cuda.device_count()
    if not count:
        raise UserError("--device cuda: this machine has no CUDA device that torch can use; use --device cpu")
    return count
