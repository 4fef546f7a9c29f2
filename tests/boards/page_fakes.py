"""A board of many rows, without a store: what a page does with ten thousand of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import board_fakes as fakes
import numpy as np

from mfbench.boards.bundle import Bundle
from mfbench.boards.cells import row_id

STEPS, SAMPLERS = 100, 100


def many_rows(steps: int = STEPS) -> Bundle:
    """steps x SAMPLERS rows of one table: steps are blocks, and the first sampler of each is a ceiling."""
    return Bundle(list(_records(steps)), [], _provenance(), fakes.SUITE_TEXT)


def _records(steps: int) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(0)
    for step in range(1, steps + 1):
        for number, error in enumerate(rng.exponential(step / STEPS, SAMPLERS).tolist()):
            role = "ceiling" if number == 0 else "method"
            sampler = fakes.choice("sampler", f"sampler_{number}", tolerance=1e-3)
            asked = fakes.cell(fakes.steps(float(step)), sampler, 0, role=role)
            value = 0.0 if role == "ceiling" else error
            values = [
                ("distance", "", value, 2000, 0.9 * value, 1.1 * value),
                ("energy_distance", "", value / 5, 2000, value / 6, value / 4),
            ]
            yield {
                **fakes.result(asked, values, nfe=100.0 * number),
                "row": row_id(asked),
                "run_id": "run-1",
                "timings": [{**fakes.timing(asked, 1.0 + error), "run_id": "run-1"}],
            }


def _provenance() -> dict[str, Any]:
    run = {
        **dict.fromkeys(("suite", "suite_hash"), "quick"),
        **{"started": fakes.TIME.format(0), "ended": fakes.TIME.format(9)},
        **{"partial": False, "interrupted": False, "argv": ["mfbench", "run", "quick.toml"]},
        "provenance": fakes.PROVENANCE,
    }
    return {
        **{"format": 1, "mfbench": "0.1.0", "suite": "quick", "suite_hash": "quick"},
        **{"runs": {"run-1": run}, "protocols": {"step_consistency/1": fakes.STEPS}, "registered": {}},
    }
