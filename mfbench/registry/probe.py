"""Asks a child process what only importing a plugin's code can tell: it may crash, hang or call `os._exit`.

The child takes one JSON list of questions and answers each with one JSON line, in order. When it dies, the
first question without an answer is the guilty one, and another child takes the questions after it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TIME_LIMIT = 120.0
"""Seconds for one child: importing torch from a cold disk is slow, but does not take minutes."""


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
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "mfbench.registry.probe_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=child_environment(),
        start_new_session=True,
    )
    try:
        output, errors = child.communicate(json.dumps(list(questions)).encode(), timeout=time_limit)
        fate = _fate(child.returncode, errors)
    except subprocess.TimeoutExpired:
        _kill_group(child)
        output, _ = child.communicate()
        fate = f"was still importing after {time_limit:g} s"
    except BaseException:
        _kill_group(child)
        raise
    return [json.loads(line) for line in output.splitlines(keepends=True) if line.endswith(b"\n")], fate


def child_environment() -> dict[str, str]:
    """This process's environment, and its `sys.path`: a child can import what this process can."""
    path = os.pathsep.join(str(Path(entry or ".").absolute()) for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path}


def _fate(returncode: int, errors: bytes) -> str:
    if returncode < 0:
        return f"crashed with {signal.Signals(-returncode).name} while importing"
    said = errors.decode(errors="replace").strip().splitlines()
    return f"ended its process with code {returncode} while importing" + (f" ({said[-1]})" if said else "")


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
