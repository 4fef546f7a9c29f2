"""What must be said under a table: how its numbers were made, and what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from mfbench.boards.columns import machine_letters
from mfbench.boards.markdown import code, escape
from mfbench.boards.numbers import plain
from mfbench.boards.ranking import ALPHA
from mfbench.boards.tables import Table

_MESSAGE_LENGTH = 240
_BY_EXAMPLE, _NONE = ("paired bootstrap", "McNemar"), "none: "


def notes(table: Table) -> list[str]:
    """One Markdown line a note."""
    return [
        *_legend(table),
        *_numbers(table),
        *_ranks(table),
        *_times(table),
        *_controls(table),
        *_unranked(table),
        *_failures(table),
        *_remarks(table),
    ]


def _legend(table: Table) -> Iterator[str]:
    if table.legend:
        yield f"In names, {legend(table.legend)}."


def legend(names: Mapping[str, str]) -> str:
    """What the numbers in names stand for, as Markdown."""
    return "; ".join(f"{escape(short)} is {escape(full)}" for short, full in names.items())


def _numbers(table: Table) -> Iterator[str]:
    """By which rule the intervals of the primary metric were made."""
    if table.primary is None:
        yield "Nobody is ranked: what this protocol's metrics are is not in the store."
        return
    primary = table.values[(table.values["metric"] == table.primary.name) & (table.values["part"] == "")]
    counts = Counter(map(str, primary["rule"]))
    for rule in sorted(counts):
        rows = "" if len(counts) == 1 else f" ({counts[rule]} of {len(primary)} rows)"
        level = "" if rule.startswith("range") else " at 95 %"
        yield f"Intervals of {escape(table.primary.name)}{level}{rows}: {_rule(rule)}."


def _rule(rule: str) -> str:
    if rule.startswith("within 1 seed"):
        return "within the only seed; the spread of training is not in them"
    if rule.startswith("within"):
        return f"{rule} (the seeds' standard errors combined; the spread of training is not in them)"
    if rule.startswith("range"):
        return f"{escape(rule)} (the smallest and the largest value; no confidence is claimed)"
    if rule.startswith("student"):
        return f"Student's t{rule.removeprefix('student')}"
    return escape(rule)


def _ranks(table: Table) -> Iterator[str]:
    if not (table.rows["standing"] == "ranked").any():
        return
    rules = sorted(table.rules.items())
    made = [_pairs(rule, count) for rule, count in rules if not rule.startswith(_NONE)]
    how = f" Compared by {'; '.join(made)}." if made else ""
    how += "".join(
        f" Not compared: {_count(count)}, {escape(rule.removeprefix(_NONE))}."
        for rule, count in rules
        if rule.startswith(_NONE)
    )
    how = how or " There was no pair to compare."
    if any(rule.startswith(_BY_EXAMPLE) for rule in table.rules):
        how += " By example, these fits are compared; the spread of training is not in them."
    equal = [*table.varying, *([table.separator.name] if table.separator else [])]
    within = f", within equal {', '.join(map(escape, equal))}" if equal else ""
    shared = f"methods not told apart at {100 * ALPHA:g} % (Holm over the board) share them"
    yield f"Ranks are intervals{within}: {shared}.{how}"


def _pairs(rule: str, count: int) -> str:
    """A rule and how many pairs it compared: "paired bootstrap (15 pairs, by its normal limit)"."""
    name, _, how = rule.partition(", ")
    said = {"its limit": "by its normal limit", "drawn": "by drawn resamples"}.get(how, how)
    return f"{escape(name)} ({_count(count)}{', ' + escape(said) if said else ''})"


def _count(pairs: int) -> str:
    return f"{pairs} pair{'s' if pairs > 1 else ''}"


def _times(table: Table) -> Iterator[str]:
    rows = table.rows[table.rows["machine"] != ""]
    if rows.empty:
        return
    workload = f" of one call that {escape(table.workload)}" if table.workload else ""
    letters = machine_letters(table.rows)
    if letters:
        where = "on several machines, which do not compare: " + "; ".join(
            f"{letter} = {escape(machine)}" for machine, letter in letters.items()
        )
    else:
        where = f"on {escape(rows['machine'].iloc[0])}"
    noisy = "; † too noisy to believe" if not rows["timing_valid"].all() else ""
    yield f"ms: median \\[inter-quartile range\\]{workload}, {where}{noisy}."


def _controls(table: Table) -> Iterator[str]:
    for label, controls in zip(table.rows["name"], table.rows["controls"]):
        if controls:
            named = ", ".join(map(escape, controls))
            yield f"{escape(label)} is not shown to be better than the control {named}."


def _unranked(table: Table) -> Iterator[str]:
    """Methods of which every cell ended well, and whose value is infinite or no number."""
    if table.primary is None or table.primary.better is None:
        return
    name = table.primary.name
    primary = table.values[(table.values["metric"] == name) & (table.values["part"] == "")]
    has_value = table.rows.index.isin(primary["row"])
    rows = table.rows[(table.rows["standing"] == "unranked") & (table.rows["failures"] == "") & has_value]
    for label, value in zip(rows["name"], rows["primary"]):
        yield f"{escape(label)} is not ranked: its {escape(name)} is not finite ({plain(value)})."


def _failures(table: Table) -> Iterator[str]:
    rows = table.rows[table.rows["failures"] != ""]
    for label, failures, reason in zip(rows["name"], rows["failures"], rows["reason"]):
        why = f": {escape(reason, _MESSAGE_LENGTH)}" if reason else ""
        yield f"{escape(label)} {code(failures)}{why}"


def _remarks(table: Table) -> Iterator[str]:
    """The methods' own notes, methods with the same ones together."""
    said: dict[str, dict[str, None]] = {}
    for label, remarks in zip(table.rows["name"], table.rows["notes"]):
        for remark in remarks:
            said.setdefault(remark, {})[label] = None
    for remark, labels in said.items():
        yield f"{', '.join(map(escape, labels))}: {escape(remark, _MESSAGE_LENGTH)}"
