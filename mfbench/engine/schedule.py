"""The order of work: fits before what needs them, everything else as the plan has it. Pure bookkeeping."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence

from mfbench.plan import Cell, Fit

Job = Fit | Cell


class Schedule:
    """What can be done now, and what waits for which fit."""

    def __init__(self, fits: Sequence[Fit], cells: Sequence[Cell], done: Collection[str]) -> None:
        """`fits` and `cells` are to be done; what they need is among `fits` or in `done` (fit keys)."""
        self._fits: deque[Fit] = deque()
        self._cells: deque[Cell] = deque()
        self._missing: dict[int, set[str]] = {}
        self._waiting: dict[str, list[Job]] = {}
        jobs: list[Job] = [*fits, *cells]
        for job in jobs:
            self._add(job, set(job.needs.values()).difference(done))

    def next(self) -> Job | None:
        """A job whose fits are done, fits first; None where there is none now."""
        if self._fits:
            return self._fits.popleft()
        return self._cells.popleft() if self._cells else None

    def done(self, fit_key: str) -> None:
        """A fit is done: what waited for it alone can be done."""
        for job in self._waiting.pop(fit_key, ()):
            missing = self._missing.get(id(job))
            if missing is None:  # another of its fits has failed
                continue
            missing.discard(fit_key)
            if not missing:
                del self._missing[id(job)]
                self._release(job)

    def failed(self, fit_key: str) -> Iterable[Job]:
        """A fit has failed: gives what waited for it, directly or not, each once; none of it will be done."""
        lost = deque([fit_key])
        while lost:
            for job in self._waiting.pop(lost.popleft(), ()):
                if self._missing.pop(id(job), None) is None:
                    continue
                if isinstance(job, Fit):
                    lost.append(job.key)
                yield job

    def _add(self, job: Job, missing: set[str]) -> None:
        if not missing:
            self._release(job)
            return
        self._missing[id(job)] = missing
        for key in missing:
            self._waiting.setdefault(key, []).append(job)

    def _release(self, job: Job) -> None:
        if isinstance(job, Fit):
            self._fits.append(job)
        else:
            self._cells.append(job)
