"""Owns one warm child: hands it tasks, holds it to its limits, and ends it with everything it started."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mfbench.engine.failures import last_words
from mfbench.engine.limits import held_memory, readable
from mfbench.engine.records import Task, ended, error_of, now
from mfbench.engine.threads import environment
from mfbench.processes import MARK, end_all, new_mark
from mfbench.registry.probe import child_environment

STARTUP_LIMIT_S = 300.0
"""For importing torch and the plugins, from a cold disk; it does not count against the cell."""

POLL_S = 0.05
"""How often a computing child's memory is looked at."""

_LAST_WORDS_S = 0.2
_LAST_READS = 16
_KEPT_STDERR = 64 << 10
"""Bytes: what a child printed last is kept for the report, the rest is read and dropped."""

_CHUNK = 1 << 20

Starter = Callable[..., subprocess.Popen[bytes]]
Relay = Callable[[Task, int, int], None]
"""Told of a task's progress: done, total."""


@dataclass(frozen=True)
class ChildKind:
    """What a child is started for; tasks of another kind need another child.

    domain: the foreign plugins whose code runs in it. What one of them does to a library (a patched
    `numpy.log`) lasts as long as the process: cells of other domains must not meet it.
    """

    plugins: tuple[str, ...]
    domain: tuple[str, ...]
    device: str
    threads: int

    @staticmethod
    def of(task: Task) -> ChildKind:
        return ChildKind(
            tuple(task["plugins"]), tuple(task["domain"]), task["device"], task["job"]["threads"]
        )


class ChildGoneError(Exception):
    """The child ended, or was ended, before it gave a record: status and error of the record it owes."""

    def __init__(self, status: str, error: Mapping[str, str], begun: bool = True) -> None:
        super().__init__(error["message"])
        self.status, self.error, self.begun = status, error, begun


class Supervisor:
    """One child, started when the first task comes and again after it was lost."""

    def __init__(self, kind: ChildKind, start: Starter = subprocess.Popen) -> None:
        self.kind = kind
        self._start = start
        self._process: subprocess.Popen[bytes] | None = None
        self._mark = ""
        self._stderr = bytearray()
        self._answers = bytearray()
        self._searched = 0
        self._looked = 0.0
        self._known: dict[str, Any] = {}
        self._cancelled = False
        self._poll = select.poll()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called: such a supervisor takes no task any more."""
        return self._cancelled

    @property
    def pid(self) -> int | None:
        """The child's process id; None where there is none."""
        return None if self._process is None else self._process.pid

    def run(self, task: Task, text: str, relay: Relay) -> dict[str, Any]:
        """The task's record: the child's, or one that says how it failed to give one."""
        started = now()
        self._known = {}
        try:
            record = self._attempt(task, text, relay)
        except ChildGoneError as gone:
            self.close()
            return ended(task, gone.status, gone.error, started) | self._known
        except BaseException:
            self.close()
            raise
        if _may_be_damaged(record, self.kind):
            self.close()
        return record

    def cancel(self) -> None:
        """From another thread and for good: the task under way ends as crashed, and its child with it."""
        self._cancelled = True

    def close(self) -> None:
        """End the child and all it started."""
        process, self._process = self._process, None
        if process is None:
            return
        end_all(process.pid, self._mark)
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _attempt(self, task: Task, text: str, relay: Relay) -> dict[str, Any]:
        """A child that was lost while it was idle is replaced; one lost with the task is the task's fault."""
        try:
            return self._ask(task, text, relay)
        except ChildGoneError as gone:
            if gone.begun:
                raise
            self.close()
            return self._ask(task, text, relay)

    def _ask(self, task: Task, text: str, relay: Relay) -> dict[str, Any]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._launch()
        self._stderr.clear()
        self._write(text)
        deadline = time.monotonic() + task["time_limit"]
        begun = False
        while True:
            message = self._message(deadline, task, begun)
            if "record" in message:
                record: dict[str, Any] = message["record"]
                return record
            begun = True
            self._known |= message.get("known", {})
            if "progress" in message:
                relay(task, *message["progress"])

    # -- the child's life -------------------------------------------------------------------------------

    def _launch(self) -> None:
        self._answers.clear()
        self._searched = 0
        self._mark = new_mark()
        self._process = self._start(
            [sys.executable, "-P", "-m", "mfbench.engine.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**child_environment(), **environment(self.kind.threads), MARK: self._mark},
            start_new_session=True,
            bufsize=0,
        )
        self._poll = select.poll()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            self._poll.register(pipe, select.POLLIN)
        hello = {
            "plugins": self.kind.plugins,
            "path": sys.path,
            "device": self.kind.device,
            "parent": os.getpid(),
        }
        self._write(json.dumps(hello))
        answer = self._message(time.monotonic() + STARTUP_LIMIT_S, None, True)
        if "failed" in answer:
            raise ChildGoneError("crashed", answer["failed"])

    def _write(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        data = memoryview(line.encode() + b"\n")
        with suppress(BrokenPipeError):  # whoever reads the answer sees that it is gone
            while data:
                data = data[self._process.stdin.write(data) or 0 :]

    def _message(self, deadline: float, task: Task | None, begun: bool) -> dict[str, Any]:
        """The next line of the child; ChildGoneError where it ends, or must be ended, first."""
        while (end := self._answers.find(b"\n", self._searched)) < 0:
            self._searched = len(self._answers)
            if self._cancelled:
                raise ChildGoneError("crashed", error_of("Cancelled", "the run was stopped"))
            self._read_some(min(POLL_S, max(0.0, deadline - time.monotonic())), begun)
            self._hold_to_limits(deadline, task)
        line = bytes(self._answers[:end])
        del self._answers[: end + 1]
        self._searched = 0
        try:
            message: dict[str, Any] = json.loads(line)
        except ValueError:
            raise ChildGoneError("crashed", self._error("Crashed", "its answer was damaged")) from None
        return message

    def _read_some(self, timeout: float, begun: bool) -> None:
        """Take what the child has said and printed; ChildGoneError where it has ended and said all."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        assert process.stderr is not None
        answers, prints = process.stdout.fileno(), process.stderr.fileno()
        ready = {descriptor for descriptor, _ in self._poll.poll(timeout * 1e3)}
        if prints in ready and not self._keep_stderr(os.read(prints, _CHUNK)):
            self._poll.unregister(prints)  # the method closed it
        said = os.read(answers, _CHUNK) if answers in ready else None
        if said:
            self._answers += said
        elif said == b"" or (not ready and process.poll() is not None):
            raise self._gone(process, begun)

    # -- limits -----------------------------------------------------------------------------------------

    def _hold_to_limits(self, deadline: float, task: Task | None) -> None:
        if self._answers.endswith(b"\n"):
            return
        if time.monotonic() >= deadline:
            self._ask_where_it_stands()
            raise ChildGoneError(*self._too_late(task))
        if task is not None and task["memory_limit"]:
            self._hold_to_memory(task["memory_limit"])

    def _hold_to_memory(self, limit: int) -> None:
        since = time.monotonic() - self._looked
        if self.pid is None or since < POLL_S:  # a child that prints without end is read far more often
            return
        size = held_memory(self.pid, limit)
        self._looked = time.monotonic()
        if size > limit:
            message = (
                f"the process and what it started held {readable(size)}; memory_limit is {readable(limit)}"
            )
            raise ChildGoneError("oom", self._error("MemoryLimit", message))

    def _too_late(self, task: Task | None) -> tuple[str, dict[str, str]]:
        if task is None:
            message = f"importing torch and the plugins took more than {STARTUP_LIMIT_S:g} s"
            return "crashed", self._error("StartUp", message)
        limit = "fit_time_limit" if task["type"] == "fit" else "time_limit"
        message = f"no result after {task['time_limit']:g} s ({limit})"
        return "timeout", self._error("Timeout", message)

    def _ask_where_it_stands(self) -> None:
        """Have a hung child print where its main thread is: faulthandler does so in a signal handler."""
        process = self._process
        if process is None or process.stderr is None:
            return
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGUSR1)
        end = time.monotonic() + _LAST_WORDS_S
        poll = select.poll()
        poll.register(process.stderr, select.POLLIN)
        while (left := end - time.monotonic()) > 0 and poll.poll(left * 1e3):
            if not self._keep_stderr(os.read(process.stderr.fileno(), _CHUNK)):
                return

    # -- last words -------------------------------------------------------------------------------------

    def _gone(self, process: subprocess.Popen[bytes], begun: bool) -> ChildGoneError:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5.0)
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        with suppress(BlockingIOError):
            for _ in range(_LAST_READS):  # what it started may print on and on
                if not self._keep_stderr(os.read(process.stderr.fileno(), _CHUNK)):
                    break
        if process.returncode == -signal.SIGABRT and b"bad_alloc" in self._stderr:
            message = "the process ended itself because memory ran out (std::bad_alloc)"
            return ChildGoneError("oom", self._error("MemoryError", message), begun)
        return ChildGoneError("crashed", self._error("Crashed", _fate(process.returncode)), begun)

    def _keep_stderr(self, data: bytes) -> bool:
        self._stderr += data
        del self._stderr[:-_KEPT_STDERR]
        return bool(data)

    def _error(self, kind: str, message: str) -> dict[str, str]:
        return error_of(kind, message, last_words(self._stderr.decode(errors="replace")))


def _fate(returncode: int | None) -> str:
    if returncode is None:
        return "the process closed its answers"
    if returncode >= 0:
        return f"the process ended with exit code {returncode} before it gave a result"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    hint = " (by the system where memory ran out, or by hand)" if returncode == -signal.SIGKILL else ""
    return f"the process was killed by {name}{hint}"


def _may_be_damaged(record: Mapping[str, Any], kind: ChildKind) -> bool:
    """After memory ran out, or an error on CUDA (which can stay in the context), a new child is due."""
    failed = record["status"] == "failed" and kind.device.startswith("cuda")
    return failed or record["status"] == "oom"
