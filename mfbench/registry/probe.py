"""Asks a child process what only importing a plugin's code can tell: it may crash, hang or call `os._exit`.

The child takes one JSON list of questions and answers each with one JSON line, in order. When it dies, the
first question without an answer is the guilty one, and another child takes the questions after it.

Questions and answers travel in files, not in pipes, which a process that a plugin started could hold open.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from mfbench.processes import MARK, end_all, new_mark

TIME_LIMIT = 120.0
"""Seconds for one child: importing torch from a cold disk is slow, but does not take minutes."""

_LAST_WORDS = 4096


def ask(questions: Sequence[dict[str, Any]], time_limit: float = TIME_LIMIT) -> list[dict[str, Any]]:
    """One answer a question: what the child said, or `{"error": why it could not}`."""
    answers: list[dict[str, Any]] = []
    while len(answers) < len(questions):
        lines, fate = _run_child(questions[len(answers) :], time_limit)
        answers += lines
        if len(answers) < len(questions):
            answers.append({"error": fate})
    return answers


def _run_child(questions: Sequence[dict[str, Any]], time_limit: float) -> tuple[list[dict[str, Any]], str]:
    """The answers of one child, and, in words, how it ended."""
    with (
        tempfile.TemporaryFile() as asked,
        tempfile.TemporaryFile() as said,
        tempfile.TemporaryFile() as errors,
    ):
        asked.write(json.dumps(list(questions)).encode())
        asked.seek(0)
        returncode = _wait(asked, said, errors, time_limit)
        said.seek(0)
        answers = [json.loads(line) for line in said if line.endswith(b"\n")]
        if returncode is None:
            return answers, f"was still importing after {time_limit:g} s"
        return answers, _fate(returncode, _end_of(errors))


def _wait(asked: IO[bytes], said: IO[bytes], errors: IO[bytes], time_limit: float) -> int | None:
    """How the child ended, and None where it had to be ended; nothing it started is left."""
    mark = new_mark()
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "mfbench.registry.probe_child"],
        stdin=asked,
        stdout=said,
        stderr=errors,
        env={**child_environment(), MARK: mark},
        start_new_session=True,
    )
    try:
        return child.wait(time_limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        end_all(child.pid, mark)
        child.wait()


def _end_of(file: IO[bytes]) -> bytes:
    file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_WORDS))
    return file.read()


def child_environment() -> dict[str, str]:
    """This process's environment, and its `sys.path`: a child can import what this process can."""
    path = os.pathsep.join(str(Path(entry or ".").absolute()) for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path}


def _fate(returncode: int, errors: bytes) -> str:
    if returncode < 0:
        return f"crashed with {signal.Signals(-returncode).name} while importing"
    said = errors.decode(errors="replace").strip().splitlines()
    return f"ended its process with code {returncode} while importing" + (f" ({said[-1]})" if said else "")
