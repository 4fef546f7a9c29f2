"""Where numbers come from: code, versions and machine. Collected once a process; imports no torch."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from mfbench.engine.machine import cpu_count, cpu_model
from mfbench.version import __version__

_PATIENCE_S = 10.0


@lru_cache
def provenance(folder: Path) -> dict[str, Any]:
    """What a run's row says of its circumstances; `folder` lies in the suite's checkout."""
    return {
        "mfbench": {"version": __version__, **checkout(Path(__file__).parent)},
        "checkout": checkout(folder),
        "python": platform.python_version(),
        "packages": packages(),
        "os": platform.platform(),
        "cpu": cpu_model(),
        "cpus": cpu_count(),
        "memory_bytes": memory(),
        "gpus": gpus(),
        "executable": sys.executable,
    }


def checkout(folder: Path) -> dict[str, Any]:
    """{"commit", "dirty"} of the git checkout that holds `folder`; both None where it is in none."""
    commit = _said(["git", "-C", str(folder), "rev-parse", "HEAD"])
    status = _said(["git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no"])
    return {"commit": commit, "dirty": None if commit is None or status is None else bool(status)}


def packages() -> dict[str, str]:
    """Version by name of every installed distribution."""
    found = {
        str(distribution.metadata["Name"]): distribution.version
        for distribution in importlib.metadata.distributions()
        if distribution.metadata["Name"]
    }
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def gpus() -> list[dict[str, str]]:
    """{"name", "driver", "memory"} of every NVIDIA device."""
    if shutil.which("nvidia-smi") is None:
        return []
    said = _said(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"])
    lines = [line.split(", ") for line in (said or "").splitlines()]
    return [dict(zip(("name", "driver", "memory"), line)) for line in lines if len(line) == 3]


def memory() -> int | None:
    """Bytes of physical memory."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _said(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
