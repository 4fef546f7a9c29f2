"""Who is told how a run goes. The coordinator calls these; `mfbench.engine.progress` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mfbench.engine.schedule import Job


@dataclass(frozen=True)
class Totals:
    """How much there is: cells in the plan, those that have a result already, fits to be done."""

    run_id: str
    suite: str
    cells: int
    cached: int
    fits: int
    weights: Mapping[str, float] = field(default_factory=dict)
    """Expected seconds of what is to be done, by cache key or fit key."""


@dataclass(frozen=True)
class Summary:
    """How a run went: `statuses` counts the plan's cells that have a result, cached ones included."""

    run_id: str
    suite: str
    statuses: Mapping[str, int]
    computed: int
    cached: int
    fits: Mapping[str, int]
    timed: int
    wall_s: float
    interrupted: bool

    @property
    def all_good(self) -> bool:
        """Whether every cell is ok or unsupported."""
        return not self.interrupted and set(self.statuses) <= {"ok", "unsupported"}

    def to_json(self) -> dict[str, Any]:
        """What the hook `mfbench_run_finished` is given."""
        return asdict(self)


class Listener:
    """Hears everything and does nothing. `progress` is called from the slots' threads, the rest from one."""

    def started(self, totals: Totals) -> None:
        """A run begins."""

    def begun(self, job: Job) -> None:
        """A fit or cell was given to a worker."""

    def progress(self, task: Mapping[str, Any], done: int, total: int) -> None:
        """A fit says how far it is; `task` is its payload."""

    def finished(self, job: Job, record: Mapping[str, Any]) -> None:
        """A fit or cell has its record, which is stored."""

    def timing(self, count: int) -> None:
        """The timing pass begins."""

    def timed(self, job: Job, record: Mapping[str, Any]) -> None:
        """A cell's time is stored."""

    def ended(self, summary: Summary) -> None:
        """The run is over, or interrupted."""
