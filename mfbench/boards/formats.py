"""What the files beside a board hold, key by key: read once where a bundle is read, relied on afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from mfbench.boards.cells import MISSING
from mfbench.boards.shapes import (
    BOOL,
    COUNT,
    FINITE,
    NUMBER,
    PARAMETERS,
    PROBABILITY,
    TEXT,
    WHOLE,
    Each,
    Maybe,
    Named,
    Shape,
    Struct,
    Tree,
    matching,
    one_of,
)
from mfbench.contracts.method import Role

STATUSES = (MISSING, "ok", "failed", "timeout", "crashed", "oom", "unsupported")

_FILE_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_ERROR = Struct({"type": TEXT, "message": TEXT})
_NAMED: Mapping[str, Shape] = {"kind": TEXT, "name": TEXT, "parameters": PARAMETERS}
_NUMBER, _COUNT, _TEXT, _BOOL = map(Maybe, (NUMBER, COUNT, TEXT, BOOL))

VALUE = Struct(
    {"metric": TEXT, "part": TEXT, "value": NUMBER, "n": _COUNT, "ci_low": _NUMBER, "ci_high": _NUMBER}
)

TIMING = Struct(
    {
        **dict.fromkeys(("machine", "run_id", "status", "started", "ended"), TEXT),
        **dict.fromkeys(("device_ms", "device_ms_iqr"), _NUMBER),
        **dict.fromkeys(("timing_n", "peak_memory_bytes"), _COUNT),
        "valid": BOOL,
        "error": Maybe(_ERROR),
    }
)

RECORD = Struct(
    {
        "protocol": Struct({**_NAMED, "version": WHOLE}),
        **dict.fromkeys(("method", "data"), Struct(_NAMED)),
        **dict.fromkeys(("seed", "threads"), WHOLE),
        **dict.fromkeys(("dtype", "device", "label", "row", "cell_id", "cache_key", "run_id"), TEXT),
        **dict.fromkeys(("plugin", "plugin_version"), TEXT),
        "role": one_of(*get_args(Role)),
        "status": one_of(*STATUSES),
        "error": Maybe(_ERROR),
        "values": Each(VALUE),
        "notes": Each(TEXT),
        "timings": Each(TIMING),
        **dict.fromkeys(("nfe", "wall_s", "fit_s"), _NUMBER),
        **dict.fromkeys(("parameter_count", "peak_memory_bytes"), _COUNT),
        **dict.fromkeys(("started", "ended"), _TEXT),
    },
    optional={"data_digest": _TEXT},
)
"""A line of `records.jsonl`."""

COMPARISON = Struct(
    {
        **dict.fromkeys(("a", "b", "a_row", "b_row", "a_key", "b_key", "protocol", "metric", "rule"), TEXT),
        **dict.fromkeys(("version", "seeds"), WHOLE),
        "parameters": PARAMETERS,
        "data": Struct({"name": TEXT, "parameters": PARAMETERS}),
        "difference": NUMBER,
        **dict.fromkeys(("ci_low", "ci_high"), _NUMBER),
        **dict.fromkeys(("p", "p_holm"), Maybe(PROBABILITY)),
    }
)
"""A line of `comparisons.jsonl`."""

_CHECKOUT = Maybe(Struct({}, optional={"version": TEXT, "commit": _TEXT, "dirty": _BOOL}))
_MACHINE = Struct(
    {},
    optional={
        **dict.fromkeys(("mfbench", "checkout"), _CHECKOUT),
        **dict.fromkeys(("cpu", "python", "os"), _TEXT),
        **dict.fromkeys(("cpus", "memory_bytes"), _COUNT),
        "packages": Named(_TEXT),
        "gpus": Each(Struct({"name": TEXT, "driver": TEXT})),
    },
)
_RUN = Struct(
    {
        **dict.fromkeys(("suite", "suite_hash", "started"), TEXT),
        "ended": _TEXT,
        **dict.fromkeys(("partial", "interrupted"), _BOOL),
        "argv": Each(TEXT),
        "provenance": _MACHINE,
    }
)
_METRIC = Struct(
    {
        **dict.fromkeys(("name", "unit", "description"), TEXT),
        "better": Maybe(one_of("higher", "lower")),
        "primary": BOOL,
    },
    optional={"lowest": Maybe(FINITE), "highest": Maybe(FINITE), "p_value": BOOL, "separates": BOOL},
    closed=True,
)
_REGISTERED = Struct(
    {
        **dict.fromkeys(("summary", "reference"), TEXT),
        "defaults": PARAMETERS,
        "facts": Named(Tree(choices=False)),
    }
)

PROVENANCE = Struct(
    {
        "format": WHOLE,
        **dict.fromkeys(("mfbench", "suite", "suite_hash"), TEXT),
        "runs": Named(_RUN),
        "protocols": Named(Struct({"workload": TEXT, "metrics": Each(_METRIC)}), keys=r".*/[0-9]{1,9}"),
        "registered": Named(_REGISTERED),
    },
    optional={
        "figures": Named(Each(matching(_FILE_NAME, "a file's name")), keys=_FILE_NAME),
        "findings": Named(Each(TEXT)),
    },
)
"""`provenance.json`."""

SUMMARY = Struct(
    {
        **dict.fromkeys(("suite", "folder", "date"), TEXT),
        "cells": Named(COUNT),
        "tables": Each(
            Struct({"title": TEXT, "metric": _TEXT, "first": Each(TEXT)}, optional={"named": Each(TEXT)})
        ),
    }
)
"""`board.json`."""
