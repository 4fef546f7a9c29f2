"""The process around a cell: whatever of it a cell changes is put back when the cell ends.

torch's own settings are `reset`'s. What cannot be put back (a library that was patched) is why a child that
ran one plugin's code never serves another's cells: see `ChildKind`.
"""

from __future__ import annotations

import gc
import locale
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np


@contextmanager
def surroundings_kept() -> Iterator[None]:
    """Within, these may change, and after they are what they were: import paths, environment, working
    directory, signal handlers and timer, warning filters, NumPy's error handling, recursion limit, locale,
    standard streams, whether garbage is collected.
    """
    modules = {name: getattr(sys, name) for name in ("path", "meta_path", "path_hooks")}
    contents = {name: list(value) for name, value in modules.items()}
    streams = {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}
    environment = dict(os.environ)
    folder = _folder()
    limit, collecting, spoken = sys.getrecursionlimit(), gc.isenabled(), locale.setlocale(locale.LC_ALL)
    handlers = _handlers()
    timed = signal.getitimer(signal.ITIMER_REAL)[0] > 0
    try:
        with warnings.catch_warnings(), np.errstate():
            yield
    finally:
        if not timed:
            signal.setitimer(signal.ITIMER_REAL, 0)
        _put_back_handlers(handlers)
        for name, value in modules.items():
            value[:] = contents[name]
            setattr(sys, name, value)
        vars(sys).update(streams)
        _put_back_environment(environment)
        if folder is not None and _folder() != folder:
            with suppress(OSError):  # the cell removed it: there is no way back
                os.chdir(folder)
        sys.setrecursionlimit(limit)
        (gc.enable if collecting else gc.disable)()
        locale.setlocale(locale.LC_ALL, spoken)


def _folder() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:  # somebody removed it
        return None


def _put_back_environment(environment: Mapping[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _handlers() -> dict[int, Any]:
    """The handlers that Python knows of."""
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _put_back_handlers(handlers: Mapping[int, Any]) -> None:
    if threading.current_thread() is not threading.main_thread():
        return  # nor could the cell set any
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)
