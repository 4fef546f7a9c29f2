"""Where the bench keeps and looks for files: three folders, each named by an environment variable."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """Fitted models, prepared data, signatures of plugins: MFBENCH_CACHE, or the user's cache folder."""
    return _from_environment("MFBENCH_CACHE") or _platform("user_cache_path")


def data_root() -> Path:
    """Downloaded data sets: MFBENCH_DATA, or a folder in the user's data folder."""
    return _from_environment("MFBENCH_DATA") or _platform("user_data_path") / "data"


def weights_root() -> Path:
    """Weights of perceptual backbones: MFBENCH_WEIGHTS, or a folder in the user's data folder."""
    return _from_environment("MFBENCH_WEIGHTS") or _platform("user_data_path") / "weights"


def _from_environment(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser().absolute() if value else None


def _platform(folder: str) -> Path:
    import platformdirs

    path: Path = getattr(platformdirs, folder)("mfbench", appauthor=False)
    return path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that no reader ever sees half of it, and no crash leaves half of it behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    temporary.replace(path)
