"""Who does the tasks: threads of this process, this process itself, or any other executor."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Any

from mfbench.engine.children import run_cell
from mfbench.errors import UserError

if TYPE_CHECKING:
    from mfbench.engine.work import Worker

RunTask = Callable[[str], str]


def open_executor(name: str, workers: int) -> tuple[Executor, RunTask]:
    """The executor of this name, and what to submit to it.

    "local": a thread a worker, each task in a supervised child. "inline": in this process, one after another,
    without limits, for debugging. "module:factory": what `factory(workers)` returns; its workers share
    MFBENCH_CACHE and have the same plugins installed.
    """
    if name == "local":
        return ThreadPoolExecutor(workers, "mfbench-slot"), run_cell
    if name == "inline":
        return InlineExecutor(), run_inline
    return _foreign(name, workers), run_cell


def devices(name: str, device: str, workers: int) -> list[str]:
    """The device of each slot: "cuda" is spread over all there are, "cuda:1" and "cpu" are what they say."""
    if device != "cuda":
        return [device] * workers
    count = _cuda_count() if name in ("local", "inline") else 1
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


def _foreign(name: str, workers: int) -> Executor:
    module, _, factory = name.partition(":")
    if not module or not factory:
        raise UserError(f"--executor {name}: it is 'local', 'inline' or 'module:factory'")
    try:
        made = getattr(import_module(module), factory)(workers)
    except Exception as error:  # whatever is wrong in a factory of the user's
        said = " ".join(str(error).split())
        raise UserError(f"--executor {name}: {type(error).__name__}: {said}") from error
    if not isinstance(made, Executor):
        kind = type(made).__name__
        raise UserError(f"--executor {name}: gave a {kind}, not a concurrent.futures.Executor")
    return made


def _cuda_count() -> int:
    import torch

    count = torch.cuda.device_count()
    if not count:
        raise UserError("--device cuda: this machine has no CUDA device that torch can use; use --device cpu")
    return count
