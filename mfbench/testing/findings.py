"""What a check found, in one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mfbench.errors import Unsupported
from mfbench.registry.loading import describe


@dataclass(frozen=True)
class Finding:
    """One check of one registered name. `ok` is True for a check that holds and for one that was `skipped`;
    `message` says what is wrong, why it was skipped, or what was measured.
    """

    kind: str
    name: str
    check: str
    ok: bool
    message: str = ""
    skipped: bool = False

    def __str__(self) -> str:
        verdict = "skipped" if self.skipped else "ok" if self.ok else "FAILED"
        line = f"{verdict:<7} {self.kind} {self.name}: {self.check}"
        return f"{line}: {self.message}" if self.message else line


class CheckFailed(Exception):  # noqa: N818 - what it says is the message of a finding
    """A check does not hold: the message says why."""


class NotApplicable(Exception):  # noqa: N818
    """A check that cannot be made here, or says nothing of this method: the message says why."""


def require(holds: bool, message: str) -> None:
    """CheckFailed with the message unless it holds."""
    if not holds:
        raise CheckFailed(message)


def find(kind: str, name: str, check: Callable[[], str | None]) -> Finding:
    """Run one check; what it raises becomes a finding, but for Unsupported, which passes through."""
    label = check.__name__.replace("_", " ")
    try:
        return Finding(kind, name, label, True, check() or "")
    except CheckFailed as failure:
        return Finding(kind, name, label, False, str(failure))
    except NotApplicable as reason:
        return Finding(kind, name, label, True, str(reason), skipped=True)
    except Unsupported:
        raise
    except Exception as error:
        return Finding(kind, name, label, False, describe(error))
