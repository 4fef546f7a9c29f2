"""The runs behind a board: `mfbench.boards.history`."""

from __future__ import annotations

from types import SimpleNamespace

from mfbench.boards import history


def test_runs_stand_in_the_order_in_which_they_began():
    """A store gives them as it likes, and `provenance.json` by their names: the pages must not differ."""
    late, early = {"started": "2026-11-26T09:00"}, {"started": "2026-11-26T08:00"}
    for runs in ({"a": late, "b": early}, {"b": early, "a": late}):
        assert list(history.runs_in_order(SimpleNamespace(provenance={"runs": runs}))) == ["b", "a"]
