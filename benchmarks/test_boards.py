"""How long a board takes: pytest benchmarks/test_boards.py. Target: 100,000 cells in under 20 s."""

import hashlib
import itertools

import numpy as np
import pytest

from mfbench.boards.publish import check, publish
from mfbench.identity import sha256_of
from mfbench.registry import load_registry
from mfbench.store import Store

CELLS = 100_000
DATA_SETS, STEPS, METHODS, SEEDS = 20, 20, 25, 10
METRICS = ("distance", "energy_distance", "rms_distance")
SUITE = '[suite]\nname = "large"\nseeds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n'


def choice(kind, name, **parameters):
    return {"kind": kind, "name": name, "parameters": parameters}


def records():
    """20 tables of 20 blocks of 25 methods over 10 seeds, three values each; one cell in a hundred fails."""
    rng = np.random.default_rng(0)
    for data, step, method, seed in itertools.product(*map(range, (DATA_SETS, STEPS, METHODS, SEEDS))):
        asked = {
            "protocol": {**choice("protocol", "synthetic", step=float(step), count=2000), "version": 1},
            "method": choice("sampler", f"method_{method}", order=method % 4, scale=0.5),
            "data": choice("dataset", f"data_{data}", count=10000),
            "seed": seed,
            "dtype": "float32",
            "threads": 1,
            "device": "cpu",
        }
        cell_id = sha256_of(asked)
        level = 1.0 + 0.02 * method + 0.05 * rng.standard_normal()
        ok = rng.random() > 0.01
        values = [
            {
                "metric": metric,
                "part": "",
                "value": level,
                "n": 2000,
                "ci_low": level - 0.1,
                "ci_high": level + 0.1,
            }
            for metric in METRICS
        ]
        yield {
            **asked,
            "role": "method",
            "label": f"method_{method}(order={method % 4})",
            "cell_id": cell_id,
            "cache_key": hashlib.sha256(cell_id.encode()).hexdigest(),
            "status": "ok" if ok else "failed",
            "error": None if ok else {"type": "ValueError", "message": "no", "traceback": ""},
            "values": values if ok else [],
            "nfe": 100.0,
            "notes": [],
            "wall_s": 1.0,
            "fit_s": 0.5,
            "parameter_count": 1000,
            "peak_memory_bytes": 2**28,
            "started": "2026-01-01T00:00:00+00:00",
            "ended": "2026-01-01T00:00:01+00:00",
            "plugin": "synthetic",
            "plugin_version": "1",
            "run_id": "run",
            "timings": [],
        }


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    run = {
        "run_id": "run",
        "suite": "large",
        "suite_text": SUITE,
        "suite_hash": hashlib.sha256(SUITE.encode()).hexdigest(),
        "partial": False,
        "argv": ["mfbench", "run", "large.toml"],
        "provenance": {},
        "started": "2026-01-01T00:00:00+00:00",
    }
    metrics = [
        {"name": name, "unit": "", "better": "lower", "primary": name == "distance", "description": ""}
        for name in METRICS
    ]
    everything = list(records())
    assert len(everything) == CELLS
    with Store(tmp_path_factory.mktemp("large") / "results.sqlite") as opened:
        opened.begin_run(run, everything)
        protocols = {("synthetic", 1): {"workload": "", "metrics": metrics}}
        opened.insert_records(everything, protocols=protocols)
        yield opened


def test_a_hundred_thousand_cells_are_published_in_under_20_s(benchmark, store, tmp_path):
    folders = benchmark.pedantic(publish, (store, load_registry(), tmp_path), rounds=1)
    assert len(list((folders[0] / "tables").glob("*.csv"))) == DATA_SETS
    assert benchmark.stats.stats.min < 20


def test_the_board_of_a_hundred_thousand_cells_is_checked(benchmark, store, tmp_path):
    publish(store, load_registry(), tmp_path)
    assert benchmark.pedantic(check, (tmp_path,), rounds=1) == []
