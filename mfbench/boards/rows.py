"""Cells of several seeds -> a board's rows: coverage, failures and costs (`summaries.py` has values)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from mfbench.boards.cells import MISSING, number

_FIRST = ("table", "block", "role", "label", "device", "dtype", "threads")
_MEANS = ("nfe", "wall_s", "fit_s")
TIMING_COLUMNS = ("device_ms", "device_ms_iqr", "timing_n", "timing_valid", "machine")


def row_frame(cells: pd.DataFrame, records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a row id, in order of first appearance, with these columns beside those of `cells.cell_frame`:

    cell: number of its first cell; parameters: the protocol's; asked, ok: cells; `failures` ("timeout 2/5"),
    `reason` of the first; `notes` of all; means of NFE and seconds; largest parameter count; the timing on
    one machine (`TIMING_COLUMNS`) and the memory of the timed call.
    """
    groups = cells.groupby("row", sort=False)
    ok = cells[cells["status"] == "ok"].groupby("row", sort=False)
    frame = groups[list(_FIRST)].first()
    first = cells.drop_duplicates("row")
    frame["cell"] = pd.Series(first.index, index=first["row"])
    frame["parameters"] = [records[cell]["protocol"]["parameters"] for cell in frame["cell"]]
    frame["method"] = [records[cell]["method"] for cell in frame["cell"]]
    frame["asked"] = groups.size()
    frame["ok"] = ok.size().reindex(frame.index, fill_value=0)
    frame = frame.join(ok[list(_MEANS)].mean()).join(ok["parameter_count"].max())
    frame = frame.join(_plugins(cells)).join(_failures(cells, frame["asked"])).join(_notes(cells))
    frame = frame.join(_timings(cells, frame["table"], records))
    return frame.fillna({"failures": "", "reason": "", "plugin": "", "plugin_version": "", "machine": ""})


def _plugins(cells: pd.DataFrame) -> pd.DataFrame:
    """Plugin and version; several, where the seeds of a row were answered by several."""
    known = cells.loc[cells["plugin"] != "", ["row", "plugin", "plugin_version"]].drop_duplicates()
    return known.groupby("row", sort=False).agg(", ".join)


def _failures(cells: pd.DataFrame, asked: pd.Series) -> pd.DataFrame:
    """`failures` and `reason` of the rows that have cells which did not end well."""
    broken = cells[cells["status"] != "ok"]
    lines = {}
    for row, part in broken.groupby("row", sort=False):
        counts = Counter(part["status"])
        text = ", ".join(f"{_word(status)} {n}/{asked[row]}" for status, n in counts.items())
        messages = dict.fromkeys(message for message in part["message"] if message)
        lines[row] = (text, next(iter(messages), ""))
    return pd.DataFrame.from_dict(lines, orient="index", columns=["failures", "reason"])


def _word(status: str) -> str:
    return "not run" if status == MISSING else status


def _notes(cells: pd.DataFrame) -> pd.Series:
    """The notes of all cells of a row, each once."""
    noted = cells[cells["notes"].map(len) > 0]
    notes = {
        row: tuple(dict.fromkeys(n for each in part for n in each))
        for row, part in noted.groupby("row")["notes"]
    }
    return pd.Series(
        [notes.get(row, ()) for row in cells["row"].unique()], cells["row"].unique(), name="notes"
    )


def _timings(cells: pd.DataFrame, table: pd.Series, records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One timing a row: on the machine that timed most rows of its table, or on another where it did not."""
    columns = ["row", *TIMING_COLUMNS, "peak_memory_bytes"]
    frame = pd.DataFrame(list(_timing_lines(cells, records)), columns=columns)
    frame["table"] = frame["row"].map(table)
    frame = frame.drop_duplicates(["row", "machine"], keep="last")
    timed = frame.groupby(["table", "machine"], as_index=False).size()
    frame = frame.merge(timed).sort_values(["size", "machine"], ascending=[False, True], kind="stable")
    return frame.drop_duplicates("row").set_index("row")[columns[1:]]


def _timing_lines(cells: pd.DataFrame, records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Any, ...]]:
    for row, record in zip(cells["row"], records):
        for timing in record["timings"]:
            if timing["status"] == "ok" and timing["device_ms"] is not None:
                yield (
                    row,
                    number(timing["device_ms"]),
                    number(timing["device_ms_iqr"]),
                    timing["timing_n"],
                    bool(timing["valid"]),
                    timing["machine"],
                    number(timing["peak_memory_bytes"]),
                )
