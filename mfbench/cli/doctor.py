"""What this machine can run: Python, torch and its devices, optional packages, folders, plugins."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mfbench.cli._options import add_data_root_option, add_plugin_option
from mfbench.cli._tables import heading, print_table

REQUIRED = (
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "safetensors",
    "pluggy",
    "matplotlib",
    "rich",
    "tabulate",
)

OPTIONAL = {
    "torchattacks": "attacks of the library (pip install 'mfbench[attacks]')",
    "lpips": "perceptual distance (pip install 'mfbench[perceptual]')",
    "distributed": "runs on a cluster (pip install 'mfbench[dask]')",
    "zuko": "spline flows as baselines",
    "diffusers": "pretrained diffusion models (pip install 'mfbench[diffusers]')",
}

Row = tuple[str, str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plugin_option(parser)
    add_data_root_option(parser)


def run(args: argparse.Namespace) -> int:
    """Exit code 1 where something that every run needs is missing or broken."""
    sections = {
        "machine": list(_machine()),
        "packages": [*_required(), *_optional()],
        "folders": list(_folders()),
        "plugins": list(_plugins(args.plugins)),
    }
    for title, rows in sections.items():
        print(heading(title))
        print_table(rows)
    return int(
        any(state == "missing" or state == "broken" for rows in sections.values() for _, state, _ in rows)
    )


def _machine() -> Iterator[Row]:
    from mfbench.version import __version__

    yield "mfbench", "ok", __version__
    yield "python", "ok", f"{platform.python_version()} ({sys.executable})"
    yield "system", "ok", f"{platform.platform()}, {os.cpu_count()} CPU cores"
    try:
        import torch
    except ImportError as error:
        yield "torch", "missing", str(error)
        return
    yield "torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads"
    if not torch.cuda.is_available():
        yield "cuda", "none", "no device: everything runs on the CPU"
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        memory = f"{device.total_memory / 2**30:.1f} GiB"
        yield f"cuda:{index}", "ok", f"{device.name}, {memory}, CUDA {torch.version.cuda}"


def _required() -> Iterator[Row]:
    for name in REQUIRED:
        found = _version(name)
        yield name, "ok" if found else "missing", found or f"pip install {name}"


def _optional() -> Iterator[Row]:
    for name, purpose in OPTIONAL.items():
        found = _version(name)
        yield name, "ok" if found else "none", found or purpose


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _folders() -> Iterator[Row]:
    from mfbench.paths import cache_root, data_root, weights_root

    for variable, folder in (
        ("MFBENCH_CACHE", cache_root()),
        ("MFBENCH_DATA", data_root()),
        ("MFBENCH_WEIGHTS", weights_root()),
    ):
        yield variable, *_folder(folder)


def _folder(folder: Path) -> tuple[str, str]:
    if folder.is_dir():
        return ("ok", str(folder)) if os.access(folder, os.W_OK) else ("read only", str(folder))
    return "none", f"{folder} (made when needed)"


def _plugins(sources: list[str]) -> Iterator[Row]:
    from mfbench.registry import load_registry

    for plugin in load_registry(sources).plugins:
        yield (
            plugin.name,
            "broken" if plugin.error else "ok",
            plugin.error or f"registers {len(plugin.cards)}",
        )
