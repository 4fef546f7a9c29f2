"""A synthetic store: plausible results of two tables, with everything that can go wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mfbench.identity import encode_float, sha256_of
from mfbench.store import Store, encode_array

SUITE_TEXT = '[suite]\nname = "quick"\nseeds = [0, 1, 2]\n'
MACHINE = "Intel Xeon Platinum 8488C, 2 CPUs"
TIME = "2026-11-22T19:00:{:02d}.000000+00:00"

OOD = {
    "workload": "scores 1,000 samples",
    "metrics": [
        {"name": "auroc", "unit": "", "better": "higher", "primary": True, "description": ""},
        {"name": "fpr_at_95_tpr", "unit": "", "better": "lower", "primary": False, "description": ""},
        {"name": "mean_log_density", "unit": "nats", "better": None, "primary": False, "description": ""},
    ],
}
STEPS = {
    "workload": "draws 1,000 samples",
    "metrics": [
        {"name": "distance", "unit": "data units", "better": "lower", "primary": True, "description": ""},
        {
            "name": "energy_distance",
            "unit": "data units",
            "better": "lower",
            "primary": False,
            "description": "",
        },
    ],
}


def choice(kind: str, name: str, **parameters: Any) -> dict[str, Any]:
    return {"kind": kind, "name": name, "parameters": parameters}


def cell(
    protocol: Mapping[str, Any],
    method: Mapping[str, Any],
    seed: int,
    *,
    role: str = "method",
    label: str | None = None,
    data: Mapping[str, Any] | None = None,
    version: int = 1,
    digest: str = "d0",
    device: str = "cpu",
) -> dict[str, Any]:
    """A cell as a plan has it, with an identity of its own."""
    asked = {
        "protocol": {**protocol, "version": version},
        "method": dict(method),
        "data": dict(data or choice("dataset", "swiss_roll", count=10000)),
        "seed": seed,
        "dtype": "float32",
        "threads": 1,
        "device": device,
    }
    cell_id = sha256_of(asked)
    return {
        **asked,
        "role": role,
        "label": label or method["name"],
        "cell_id": cell_id,
        "cache_key": hashlib.sha256(f"{cell_id}{digest}".encode()).hexdigest(),
        "data_digest": digest,
    }


def result(asked: Mapping[str, Any], values: Sequence[tuple[Any, ...]] = (), **more: Any) -> dict[str, Any]:
    """The record of a cell; `values` are (metric, part, value, n, low, high)."""
    names = ("metric", "part", "value", "n", "ci_low", "ci_high")
    shown = [dict(zip(names, value)) for value in values]
    for value in shown:
        value |= {name: encode_float(value[name]) for name in ("value", "ci_low", "ci_high")}
    blank = {
        "status": "ok",
        "error": None,
        "nfe": None,
        "notes": [],
        "wall_s": 1.5,
        "fit_s": 0.25,
        "parameter_count": 1234,
        "peak_memory_bytes": 300 * 2**20,
        "started": TIME.format(1),
        "ended": TIME.format(2),
        "plugin": "mfbench_baselines",
        "plugin_version": "0.1.0",
        "scores": {},
        "arrays": {},
    }
    return {**asked, **blank, "values": shown, **more}


def failed(asked: Mapping[str, Any], status: str, kind: str, message: str) -> dict[str, Any]:
    error = {"type": kind, "message": message, "traceback": "Traceback ..."}
    return result(asked, status=status, error=error, wall_s=120.0, parameter_count=None)


def timing(asked: Mapping[str, Any], ms: float, machine: str = MACHINE, **more: Any) -> dict[str, Any]:
    return {
        "cell_id": asked["cell_id"],
        "cache_key": asked["cache_key"],
        "status": "ok",
        "error": None,
        "device_ms": ms,
        "device_ms_iqr": ms / 20,
        "timing_n": 40,
        "valid": True,
        "machine": machine,
        "peak_memory_bytes": 410 * 2**20,
        "started": TIME.format(3),
        "ended": TIME.format(4),
        **more,
    }


def fill(
    path: Path,
    records: Sequence[Mapping[str, Any]],
    timings: Sequence[Mapping[str, Any]] = (),
    *,
    suite: str = "quick",
    run_id: str = "run-1",
    partial: bool = False,
    unanswered: Sequence[Mapping[str, Any]] = (),
    provenance: Mapping[str, Any] | None = None,
    argv: Sequence[str] = ("/usr/bin/mfbench", "run", "benchmarks/quick.toml"),
) -> Path:
    """A run of `records` in the store at `path`; `unanswered` cells are asked for and have no result."""
    run = {
        "run_id": run_id,
        "suite": suite,
        "suite_text": SUITE_TEXT,
        "suite_hash": hashlib.sha256(SUITE_TEXT.encode()).hexdigest(),
        "partial": partial,
        "argv": list(argv),
        "provenance": provenance or PROVENANCE,
        "started": TIME.format(0),
    }
    with Store(path) as store:
        for name, about in (("ood_auroc", OOD), ("step_consistency", STEPS)):
            store.add_protocol(name, 1, about)
        store.begin_run(run, [*records, *unanswered])
        for record in records:
            store.add_result(run_id, record)
        for each in timings:
            store.add_timing(run_id, each)
        store.end_run(run_id, TIME.format(9), False)
    return path


PROVENANCE = {
    "mfbench": {"version": "0.1.0", "commit": "8782cf8e1f2a", "dirty": False},
    "checkout": {"commit": "8782cf8e1f2a", "dirty": False},
    "python": "3.11.9",
    "packages": {"numpy": "2.1.0", "torch": "2.15.0", "scipy": "1.15.0", "rich": "13.7"},
    "os": "Linux-6.1-x86_64",
    "cpu": "Intel Xeon Platinum 8488C",
    "cpus": 2,
    "memory_bytes": 16 * 2**30,
    "gpus": [],
    "executable": "/home/somebody/bin/python",
}

AGAINST = [choice("dataset", name, count=10000) for name in ("circles", "moons", "s_curve")]


def ood() -> dict[str, Any]:
    return choice("protocol", "ood_auroc", against=AGAINST, count=None, spread_rounds=0)


def steps(step: float) -> dict[str, Any]:
    generator = choice("generator", "ddpm_mlp", iterations=30000)
    return choice("protocol", "step_consistency", generator=generator, step=step)


def placements(auroc: float, seed: int, name: str, n: int = 2000) -> dict[str, np.ndarray]:
    """Per-example contributions with mean `auroc`: what all methods share, and some of their own."""
    shared = np.random.default_rng(seed).normal(0, 0.12, (2, n))
    own = np.random.default_rng([seed, *name.encode()]).normal(0, 0.05, (2, n))
    noise = shared + own
    noise -= noise.mean(axis=1, keepdims=True)
    return {"in": auroc + noise[0], "out:circles": auroc + noise[1]}


def ood_records(seeds: Sequence[int] = (0, 1, 2)) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Ceiling, reference, control, methods near and far from one another, and failures of three kinds."""
    entries = [
        ("oracle_bayes", "ceiling", 0.945),
        ("oracle_density", "reference", 0.861),
        ("kde", "method", 0.858),
        ("gmm", "method", 0.857),
        ("diffusion_markov", "method", 0.833),
        ("untrained", "control", 0.524),
    ]
    records, timings = [], []
    for name, role, auroc in entries:
        for seed in seeds:
            method = choice("likelihood", name, bandwidth=0.05)
            asked = cell(ood(), method, seed, role=role, label=name)
            shift = 0.002 * (seed - 1)
            scores = placements(auroc + shift, seed, name)
            values = [
                ("auroc", "", auroc + shift, 8000, auroc + shift - 0.006, auroc + shift + 0.005),
                *(
                    ("auroc", part, auroc + shift + gap, 4000, auroc - 0.01, auroc + 0.01)
                    for part, gap in (("circles", 0.01), ("moons", -0.05), ("s_curve", 0.04))
                ),
                ("fpr_at_95_tpr", "", 1.1 - auroc, 8000, None, None),
                ("mean_log_density", "swiss_roll", -0.93 - auroc, 2000, -0.95 - auroc, -0.91 - auroc),
            ]
            records.append(
                result(
                    asked,
                    values,
                    nfe=100.0 if name.startswith("diff") else None,
                    scores={key: encode_array(array) for key, array in scores.items()},
                    arrays={
                        "score:in": encode_array(np.linspace(0, 1, 50, dtype=np.float32)),
                        "score:out:circles": encode_array(np.linspace(-1, 0.8, 50, dtype=np.float32)),
                    },
                    notes=["lower bound: the first variance"] if name.startswith("diff") else [],
                )
            )
            if seed == 0:
                timings.append(timing(asked, 12.3 * (1 + len(timings))))
    hanging = choice("likelihood", "hanging|\n<b>x</b>", depth=3)
    for seed in seeds:
        asked = cell(ood(), hanging, seed, label="hanging|\n<b>x</b>")
        message = "no answer\nin 120 s | see <http://example.org>"
        records.append(
            result(asked, [("auroc", "", 0.99, 8000, 0.98, 1.0)])
            if seed == seeds[0]
            else failed(asked, "timeout", "Timeout", message)
        )
        shapeless = cell(ood(), choice("likelihood", "shapeless"), seed)
        records.append(
            failed(shapeless, "failed", "ContractError", "log_prob must return shape (2000,), not (1,)")
        )
        other = cell(ood(), choice("likelihood", "images_only"), seed)
        records.append(failed(other, "unsupported", "Unsupported", "needs images"))
    return records, timings


def step_records(seeds: Sequence[int] = (0, 1, 2)) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Deterministic samplers whose error spans decades, one that has no pathwise distance, several steps."""
    records, timings = [], []
    for step in (1.0, 2.0, 5.0, 10.0, 20.0):
        for name, order, nfe in (("ddim", 1, 1), ("rk4", 4, 4), ("ddpm", None, 1)):
            for seed in seeds:
                asked = cell(steps(step), choice("sampler", name), seed)
                error = 0.02 * (step / 20) ** (order or 1) * (1 + 0.05 * seed)
                values = [("energy_distance", "", 0.002 + error / 5, 2000, 0.001, 0.004)]
                scores = {}
                if order:
                    values.append(("distance", "", error, 2000, 0.98 * error, 1.02 * error))
                    noise = np.random.default_rng([seed, order]).exponential(1.0, 500)
                    scores = {"samples": encode_array(error * noise / noise.mean())}
                notes = [] if order else ["stochastic: no pathwise distance"]
                records.append(
                    result(
                        asked,
                        values,
                        nfe=nfe * 100 / step,
                        scores=scores,
                        notes=notes,
                        plugin="mfbench_diffusion",
                    )
                )
            timings.append(timing(cell(steps(step), choice("sampler", name), 0), 3.2 * nfe * 100 / step))
    return records, timings


def quick(path: Path, **run: Any) -> Path:
    """Both tables in one store; `run`: see `fill`."""
    first, second = ood_records(), step_records()
    return fill(path, [*first[0], *second[0]], [*first[1], *second[1]], **run)
