"""Shows how a run goes: a live display in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from mfbench.engine.listening import Listener, Summary, Totals
from mfbench.plan import Cell, Fit

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from mfbench.engine.schedule import Job

_PLAIN_EVERY_S = 10.0


def make_listener(stream: TextIO | None = None, quiet: bool = False) -> Listener:
    """The display that suits `stream` (default: standard error)."""
    stream = stream or sys.stderr
    if quiet:
        return Listener()
    return LiveListener(stream) if stream.isatty() else PlainListener(stream)


class Tally:
    """Counts what is done and tells how long the rest will take."""

    def __init__(self, totals: Totals) -> None:
        self.totals = totals
        self.begun = time.monotonic()
        self.left = totals.cells - totals.cached
        self.statuses: Counter[str] = Counter()
        self._todo = dict(totals.weights)
        self._weight = sum(self._todo.values())
        self._done = 0.0

    def add(self, job: Job, record: Mapping[str, Any]) -> None:
        """A job has its record."""
        key = job.key if isinstance(job, Fit) else job.cache_key
        weight = self._todo.pop(key, 0.0)
        self._weight -= weight
        self._done += weight
        if isinstance(job, Cell):
            self.left -= 1
            self.statuses[record["status"]] += 1

    @property
    def failed(self) -> int:
        """Cells that neither succeeded nor were unsupported."""
        return sum(count for status, count in self.statuses.items() if status not in ("ok", "unsupported"))

    def time_left(self) -> float | None:
        """Seconds, at the rate seen so far; None until something is done."""
        if self._done <= 0:
            return None
        return max(0.0, self._weight) * (time.monotonic() - self.begun) / self._done

    def line(self) -> str:
        """ "12 done, 1 failed, 30 left, about 2 min left"."""
        text = f"{sum(self.statuses.values())} done, {self.failed} failed, {self.left} left"
        seconds = self.time_left()
        return text if seconds is None or not self.left else f"{text}, about {duration(seconds)} to go"


class PlainListener(Listener):
    """Lines: the start, each fit, each failure, now and then how far it is, and the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = time.monotonic()
        self._tally = Tally(Totals("", "", 0, 0, 0))

    def started(self, totals: Totals) -> None:
        self._tally = Tally(totals)
        self._say(_start_line(totals))

    def begun(self, job: Job) -> None:
        if isinstance(job, Fit):
            self._say(f"fitting {_name(job)}")

    def finished(self, job: Job, record: Mapping[str, Any]) -> None:
        self._tally.add(job, record)
        if record["status"] != "ok":
            self._say(_failure_line(job, record))
        elif isinstance(job, Fit):
            self._say(f"fitted {_name(job)} in {duration(record['wall_s'])}")
        elif time.monotonic() - self._last > _PLAIN_EVERY_S:
            self._say(self._tally.line())

    def timing(self, count: int) -> None:
        self._say(f"timing {count} configurations, one after another")

    def ended(self, summary: Summary) -> None:
        self._say(_end_line(summary))

    def _say(self, text: str) -> None:
        self._last = time.monotonic()
        print(text, file=self._stream, flush=True)


class LiveListener(Listener):
    """Bars for the cells, for each fit under way and for the times; failures scroll by above them."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed:g}/{task.total:g}", markup=False),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            console=Console(file=stream),
        )
        self._tally = Tally(Totals("", "", 0, 0, 0))
        self._fits: dict[str, TaskID] = {}
        self._cells: TaskID | None = None
        self._times: TaskID | None = None

    def started(self, totals: Totals) -> None:
        self._tally = Tally(totals)
        self._progress.start()
        self._say(_start_line(totals))
        self._cells = self._progress.add_task("cells", total=totals.cells, completed=totals.cached, note="")

    def begun(self, job: Job) -> None:
        if isinstance(job, Fit):
            self._fits[job.key] = self._progress.add_task(f"  fit {_name(job)}", total=1, note="")

    def progress(self, task: Mapping[str, Any], done: int, total: int) -> None:
        bar = self._fits.get(task["job"].get("key", ""))
        if bar is not None:
            self._progress.update(bar, completed=done, total=total)

    def finished(self, job: Job, record: Mapping[str, Any]) -> None:
        self._tally.add(job, record)
        if record["status"] != "ok":
            self._say(_failure_line(job, record))
        if isinstance(job, Fit):
            bar = self._fits.pop(job.key, None)
            if bar is not None:
                self._progress.remove_task(bar)
        elif self._cells is not None:
            self._progress.update(self._cells, advance=1, note=self._tally.line())

    def timing(self, count: int) -> None:
        self._times = self._progress.add_task("times", total=count, note="one after another")

    def timed(self, job: Job, record: Mapping[str, Any]) -> None:
        if self._times is not None:
            self._progress.advance(self._times)

    def ended(self, summary: Summary) -> None:
        self._progress.stop()
        self._say(_end_line(summary))

    def _say(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False)


def duration(seconds: float) -> str:
    """ "0.4 s", "2 min 5 s", "3 h 20 min"."""
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _start_line(totals: Totals) -> str:
    return (
        f"{totals.suite}: {totals.cells} cells, {totals.cached} of them computed before; {totals.fits} fits"
    )


def _end_line(summary: Summary) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in summary.statuses.items()) or "no results"
    word = "interrupted (results are kept; run again to go on)" if summary.interrupted else "done"
    return f"{summary.suite}: {word} after {duration(summary.wall_s)}: {counts}"


def _failure_line(job: Job, record: Mapping[str, Any]) -> str:
    error = record["error"] or {"type": "", "message": ""}
    said = " ".join(f"{error['type']}: {error['message']}".split())
    return f"{record['status']}: {_name(job)}: {said[:300]}"


def _name(job: Job) -> str:
    if isinstance(job, Fit):
        return f"{job.choice['name']} on {job.data['name']}, seed {job.seed}"
    return f"{job.protocol['name']} of {job.label} on {job.data['name']}, seed {job.seed}"
