"""The supervised child: `python -m mfbench.engine.child`, started and ended by a supervisor.

Tasks come as lines of JSON on standard input and answers go as lines of JSON to standard output. Both are
moved to descriptors of their own before anything else is imported, so that a method may print and read as it
likes: what it prints goes to standard error, of which the supervisor keeps the last lines for crash reports.

    <- {"plugins": [...], "path": sys.path, "device", "parent": pid}
    -> {"ready": true}  or  {"failed": error}
    <- a task
    -> {"begun": true}, {"known": {...}}, {"progress": [done, total]} ..., {"record": {...}}

It never outlives its supervisor: a watcher process in its group sees the end of standard input, even while a
cell holds the interpreter, and kills all that the child started; on Linux the kernel also kills it with its
parent.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import select
import signal
import sys
from importlib import import_module
from typing import Any

_PR_SET_PDEATHSIG = 1
_LOOK_EVERY_MS = 1_000

_IMPORTED_EARLY = ("scipy.stats", "sklearn.ensemble", "sklearn.mixture", "sklearn.neighbors")
"""What measures and methods import when they are first called: a cell's time limit must not pay for it."""


def main() -> None:
    """Serve tasks until standard input ends."""
    tasks, answers, words = (os.dup(descriptor) for descriptor in range(3))
    _open_standard(words)
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)  # the watcher kills the group: it must be this process's own
    _watch(tasks, (answers, words))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with os.fdopen(tasks, "rb") as lines, os.fdopen(answers, "wb", buffering=0) as out:
        hello = json.loads(lines.readline() or b"null")
        if hello is None:
            return
        _die_with(hello["parent"])
        _speak_when_lost()
        worker = _prepare(hello, out)
        for line in lines:
            _send(out, {"begun": True})
            _open_standard(words)
            _speak_when_lost()
            record = worker.execute(json.loads(line), lambda message: _send(out, message))
            _send(out, {"record": record})


def _prepare(hello: dict[str, Any], out: Any) -> Any:
    """Import what is slow and load the plugins, before the first cell's clock starts."""
    sys.path[:] = hello["path"]
    try:
        from mfbench.engine.heap import keep_freed_memory
        from mfbench.engine.reset import settle_threads
        from mfbench.engine.work import Worker

        keep_freed_memory()
        settle_threads()
        for library in _IMPORTED_EARLY:
            import_module(library)
        worker = Worker(hello["plugins"])
        if hello["device"].startswith("cuda"):
            _start_cuda(hello["device"])
    except BaseException as error:
        from mfbench.engine.failures import describe

        _send(out, {"failed": describe(error)})
        raise
    _send(out, {"ready": True})
    return worker


def _speak_when_lost() -> None:
    """Print the stack on a fatal signal and, for SIGUSR1, when the supervisor asks where a hung cell stands.

    Set up before each cell: the last one may have set handlers of its own.
    """
    faulthandler.enable()
    faulthandler.unregister(signal.SIGUSR1)
    faulthandler.register(signal.SIGUSR1, all_threads=False)


def _start_cuda(device: str) -> None:
    import torch

    torch.cuda.set_device(device)
    torch.zeros(1, device=device)


def _open_standard(words: int) -> None:
    """Standard input is empty, output and errors are `words`, whatever the last cell did to them."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    if null != 0:
        os.close(null)
    os.dup2(words, 1)
    os.dup2(words, 2)


def _watch(tasks: int, others: tuple[int, ...]) -> None:
    """Fork the watcher, while this process is small and has one thread."""
    worker = os.getpid()
    if os.fork():
        return
    for inherited in (0, 1, 2, *others):  # or the end of the process itself would go unseen
        os.close(inherited)
    poll = select.poll()
    poll.register(tasks, 0)  # reports only that all writers are gone, and takes nothing from the pipe
    while os.getppid() == worker and not poll.poll(_LOOK_EVERY_MS):
        pass
    from mfbench.processes import MARK, end_marked

    if mark := os.environ.get(MARK):
        end_marked(mark)
    os.killpg(0, signal.SIGKILL)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        sys.exit("the supervisor is gone")


def _send(out: Any, message: dict[str, Any]) -> None:
    data = memoryview(json.dumps(message, allow_nan=False).encode() + b"\n")
    while data:
        data = data[out.write(data) :]


if __name__ == "__main__":
    main()
