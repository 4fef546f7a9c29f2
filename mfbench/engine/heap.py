"""How the C library keeps freed memory, for processes that compute."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_TRIM, _MMAP = 256 << 20, 32 << 20  # bytes; the second is the most that glibc allows


def keep_freed_memory() -> None:
    """Have glibc keep up to 256 MiB of freed memory for the next tensor; elsewhere nothing is done.

    By default it gives large blocks back to the system and has them zeroed and faulted in again at the next
    allocation, which costs a batch of 2,048 points up to a third of a small network's time, and not the same
    from call to call.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MMAP)
        mallopt(_M_TRIM_THRESHOLD, _TRIM)
