"""The one place where an exception becomes a status and an error that a person can read."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from types import TracebackType

from mfbench.engine.records import error_of
from mfbench.errors import Unsupported

_ENGINE = str(Path(__file__).parent)
_LONGEST_MESSAGE = 2_000
_MOST_LINES = 40
_NOISE = re.compile(rf'  File "({re.escape(_ENGINE)}|<frozen runpy>)|Extension modules: ')
_EXHAUSTED = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")


def status_of(error: BaseException) -> str:
    """`unsupported`, `oom` or `failed`."""
    if isinstance(error, Unsupported):
        return "unsupported"
    if isinstance(error, MemoryError):
        return "oom"
    text = str(error).lower()
    torch_says_so = isinstance(error, RuntimeError) and any(sign in text for sign in _EXHAUSTED)
    return "oom" if torch_says_so else "failed"


def describe(error: BaseException) -> dict[str, str]:
    """Type, message and the last lines of the traceback, without the engine's own frames."""
    message = str(error)
    if len(message) > _LONGEST_MESSAGE:
        message = f"{message[:_LONGEST_MESSAGE]} ... ({len(message)} characters)"
    lines = traceback.format_exception(type(error), error, _outside_engine(error.__traceback__))
    text = "".join(lines).rstrip().splitlines()
    return error_of(type(error).__name__, message, "\n".join(text[-_MOST_LINES:]))


def last_words(printed: str) -> str:
    """The lines that tell why, of what a process printed before it ended.

    A stack that faulthandler wrote has its most recent call first: it is cut at the other end, and without
    the engine's own frames.
    """
    lines = [line for line in printed.rstrip().splitlines() if not _NOISE.match(line)]
    stack = next((i for i, line in enumerate(lines) if "most recent call first" in line), None)
    if stack is None:
        return "\n".join(lines[-_MOST_LINES:])
    start = max(0, stack - _MOST_LINES // 2)
    return "\n".join(lines[start : stack + _MOST_LINES])


def _outside_engine(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame on that is not the engine's; all of it where every frame is."""
    frame = trace
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(_ENGINE):
        frame = frame.tb_next
    return frame or trace
