"""How a board came about: when, where, with what, and by which command it is made again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from mfbench.boards import markdown, numbers
from mfbench.boards.bundle import Bundle
from mfbench.boards.markdown import code, escape

_LONGEST = 400
_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "diffusers", "zuko", "torchmetrics")
"""Packages that numbers depend on; `provenance.json` has all of them."""


def date(bundle: Bundle) -> str:
    """The day (UTC) on which the last of the board's cells was computed; "never" where none was."""
    return max((str(record["ended"] or "") for record in bundle.records), default="")[:10] or "never"


def how_it_was_run(bundle: Bundle) -> list[str]:
    """Markdown: facts as a table, the commands, earlier runs and the suite folded away."""
    runs = runs_in_order(bundle)
    told = pd.DataFrame(
        [(name, escape(text, _LONGEST)) for name, text in facts(bundle) if text], columns=["what", ""]
    )
    parts = [markdown.table(told), "Made by", _commands(bundle)]
    if len(runs) > 1:
        lines = "\n".join(f"- {run_line(run_id, run)}" for run_id, run in runs.items())
        parts.append(markdown.details(f"The {len(runs)} runs behind it", lines))
    parts.append(markdown.details("The suite", markdown.fence(bundle.suite_text, "toml")))
    return parts


def runs_in_order(bundle: Bundle) -> dict[str, Mapping[str, Any]]:
    """The runs behind a board as they began: a file keeps them by their names, a store as it likes."""
    return dict(
        sorted(bundle.provenance["runs"].items(), key=lambda each: (str(each[1]["started"]), each[0]))
    )


def latest_run(bundle: Bundle) -> Mapping[str, Any]:
    """The complete run of this suite that began last, or else any run that did."""
    runs = list(bundle.provenance["runs"].values())
    own = [run for run in runs if run["suite"] == bundle.suite and not run["partial"]] or runs
    return max(own, key=lambda run: str(run["started"]), default={})


def facts(bundle: Bundle) -> Iterator[tuple[str, str]]:
    """What the table of facts says: name, value."""
    records, found = bundle.records, latest_run(bundle).get("provenance", {})
    yield "date", date(bundle)
    yield "suite", f"{bundle.suite}, SHA-256 {str(bundle.provenance['suite_hash'])[:16]}"
    for name, title in (("device", "device"), ("dtype", "dtype"), ("threads", "threads a worker")):
        yield title, ", ".join(sorted({str(record[name]) for record in records}))
    yield "mfbench", _code(found.get("mfbench")) or str(bundle.provenance["mfbench"])
    yield "suite's checkout", _code(found.get("checkout"))
    yield "machine", _machine(found)
    yield "system", f"{found.get('os', 'unknown')}, Python {found.get('python', 'unknown')}"
    packages = {str(name).lower(): version for name, version in found.get("packages", {}).items()}
    yield "packages", ", ".join(f"{name} {packages[name]}" for name in _PACKAGES if name in packages)
    yield "timed on", "; ".join(sorted({t["machine"] for record in records for t in record["timings"]}))
    seconds = sum(float(record["wall_s"] or 0) for record in records)
    yield "time in cells", f"{numbers.plain(seconds, 3)} s"


def _code(about: Mapping[str, Any] | None) -> str:
    """Version and commit of a checkout; a commit with changes on top is not what was run."""
    if not about:
        return ""
    commit = about.get("commit")
    dirty = " with uncommitted changes" if about.get("dirty") else ""
    parts = [str(about["version"])] if "version" in about else []
    return ", ".join([*parts, f"commit {str(commit)[:12]}{dirty}"] if commit else parts)


def _machine(found: Mapping[str, Any]) -> str:
    gpus = [f"{gpu['name']} (driver {gpu['driver']})" for gpu in found.get("gpus", ())]
    memory = numbers.memory(found["memory_bytes"]) if found.get("memory_bytes") else "unknown"
    return ", ".join(
        [f"{found.get('cpu', 'unknown')}, {found.get('cpus', '?')} CPUs, {memory} memory", *gpus]
    )


def _commands(bundle: Bundle) -> str:
    fences = (markdown.fence("\n".join(lines), "sh") for lines in commands(bundle))
    return "\n\nand checked by\n\n".join(fences)


def commands(bundle: Bundle) -> tuple[list[str], list[str]]:
    """Lines of a shell, to be copied: how the board was made, and how it is checked."""
    argvs = [run["argv"] for run in runs_in_order(bundle).values() if run["suite"] == bundle.suite]
    # How the program was started says nothing to others: its own name does.
    runs = dict.fromkeys(shlex.join(["mfbench", *map(str, argv[1:])]) for argv in argvs if argv)
    made = [*map(markdown.one_line, runs or [f"mfbench run {bundle.suite}.toml"]), "mfbench publish"]
    name = shlex.quote(bundle.suite)
    checks = [
        f"mfbench publish --check --suite {name}   # these pages, from the records beside them",
        f"mfbench verify leaderboards/{name}   # a random sample of the cells, computed again",
    ]
    return made, checks


def run_line(run_id: str, run: Mapping[str, Any]) -> str:
    """A run as a line of Markdown: which suite, whether all of it, when, and by which version."""
    kind = "part of the suite" if run["partial"] else "the whole suite"
    ended = f" to {run['ended']}" if run["ended"] else ", never ended"
    interrupted = ", interrupted" if run["interrupted"] else ""
    other = "" if not run["suite"] else f" {escape(run['suite'])}"
    commit = _code(run.get("provenance", {}).get("mfbench"))
    return f"{code(run_id)}:{other}, {kind}, {run['started']}{ended}{interrupted}" + (
        f", {escape(commit)}" if commit else ""
    )
