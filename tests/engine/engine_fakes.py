"""What the engine's tests look at: processes that a test started, and what a store answers."""

import os
from pathlib import Path

PLUGIN = Path(__file__).with_name("bad_plugin.py")


def marked_processes(mark):
    """Living processes whose environment holds `mark`, this one aside."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if str(mark).encode() in environment and state != "Z" and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def answers(store):
    """What a run says, without times and provenance."""
    keys = ("status", "values", "nfe", "notes", "parameter_count", "plugin")
    results = store.results()
    scores = store.scores([record["cache_key"] for record in results.values()])
    return {
        cell_id: (
            {key: record[key] for key in keys},
            record["error"] and (record["error"]["type"], record["error"]["message"]),
            {name: array.tolist() for name, array in scores.get(record["cache_key"], {}).items()},
        )
        for cell_id, record in results.items()
    }
