"""The one place where an exception becomes a status and an error that a person can read."""

from __future__ import annotations

import re
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from mfbench.engine.records import error_of
from mfbench.errors import Unsupported, UserError

_ENGINE = str(Path(__file__).parent)
_LONGEST_MESSAGE = 2_000
_MOST_LINES = 40
_LONGEST_LINE = 500
_NOISE = re.compile(rf'  File "({re.escape(_ENGINE)}|<frozen runpy>)|Extension modules: ')
_EXHAUSTED = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")


def status_of(error: BaseException) -> str:
    """`unsupported`, `oom` or `failed`."""
    if isinstance(error, Unsupported):
        return "unsupported"
    if isinstance(error, MemoryError):
        return "oom"
    text = _said(error).lower()
    torch_says_so = isinstance(error, RuntimeError) and any(sign in text for sign in _EXHAUSTED)
    return "oom" if torch_says_so else "failed"


def describe(error: BaseException) -> dict[str, str]:
    """Type, message and the last lines of the traceback, without the engine's own frames.

    What errors say that are made for people needs no traceback.
    """
    message = _said(error)
    if len(message) > _LONGEST_MESSAGE:
        message = f"{message[:_LONGEST_MESSAGE]} ... ({len(message)} characters)"
    told = isinstance(error, UserError | Unsupported)
    lines = [] if told else _formatted(error).rstrip().splitlines()
    return error_of(type(error).__name__, message, _last_lines(lines))


def _said(error: BaseException) -> str:
    """An exception's message; its own `__str__` may raise anything, or give no text."""
    try:
        return str(error)
    except BaseException as another:  # SystemExit and the like: the child must not end
        return f"(its message cannot be read: __str__ raises {type(another).__name__})"


def _formatted(error: BaseException) -> str:
    try:
        trace = _outside_engine(error.__traceback__)
        return "".join(traceback.format_exception(type(error), error, trace))
    except BaseException as another:  # causes, notes and sources are the method's, too
        return f"(the traceback cannot be told: {type(another).__name__})"


def _last_lines(lines: Sequence[str]) -> str:
    """The last lines, each cut where it is long: a message of megabytes stands in the traceback as well."""
    return "\n".join(_cut(line) for line in lines[-_MOST_LINES:])


def _cut(line: str) -> str:
    if len(line) <= _LONGEST_LINE:
        return line
    return f"{line[:_LONGEST_LINE]} ... ({len(line)} characters)"


def last_words(printed: str) -> str:
    """The lines that tell why, of what a process printed before it ended.

    A stack that faulthandler wrote has its most recent call first: it is cut at the other end, and without
    the engine's own frames.
    """
    lines = [line for line in printed.rstrip().splitlines() if not _NOISE.match(line)]
    stack = next((i for i, line in enumerate(lines) if "most recent call first" in line), None)
    if stack is None:
        return _last_lines(lines)
    start = max(0, stack - _MOST_LINES // 2)
    return "\n".join(map(_cut, lines[start : stack + _MOST_LINES]))


def _outside_engine(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame on that is not the engine's; all of it where every frame is."""
    frame = trace
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(_ENGINE):
        frame = frame.tb_next
    return frame or trace
