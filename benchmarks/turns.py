"""Times that can be compared on a machine that others use as well."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def medians(*functions: Callable[[], object], repeats: int = 15) -> list[float]:
    """Seconds of CPU that a call of each function takes: medians of `repeats` calls, which take turns.

    Whatever slows the machine down for a while slows all of them down. The shortest call is no measure here:
    a processor that is faster for a moment is so for one of them.
    """
    seconds: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for function, taken in zip(functions, seconds):
            begun = time.process_time()
            function()
            taken.append(time.process_time() - begun)
    return [statistics.median(taken) for taken in seconds]
