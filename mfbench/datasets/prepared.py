"""Prepared splits on disk: images as 8-bit levels, decoded, re-encoded and resized once.

`MFBENCH_CACHE/prepared/<digest>/<split>.safetensors`, written to another name and renamed, memory-mapped
when it is read. Beside it lies its SHA-256: a file that is damaged or cut off is as good as none, and is made
anew. A cache that cannot be written costs time and nothing else.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mfbench.datasets.damage import said
from mfbench.datasets.hashes import file_hash
from mfbench.datasets.images import Labels, RawImages
from mfbench.paths import cache_root


def recall(digest: str, split: str) -> RawImages | None:
    """The split kept under a digest, its pixels memory-mapped; None where there is none that is whole."""
    path = _path(digest, split)
    try:
        header = json.loads(path.with_suffix(".json").read_bytes())
        if header["sha256"] != file_hash(path):
            return None
        return _from_tensors(load_file(path), header["names"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError):
        return None


def remember(digest: str, split: str, images: RawImages) -> None:
    """Keep a split; where that does not work (a full disk), say so once and go on without."""
    path = _path(digest, split)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _beside(path) as temporary:
            save_file(_to_tensors(images), temporary)
            header = {"sha256": file_hash(temporary), "names": {k: list(v) for k, v in images.names.items()}}
            with _beside(path.with_suffix(".json")) as described:
                described.write_text(json.dumps(header))
                temporary.replace(path)
                described.replace(path.with_suffix(".json"))
    except (OSError, SafetensorError) as error:  # safetensors reports what the system says in its own way
        _warn_once(path.parent.parent, said(error))


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A name to write to before it becomes `path`; what is left there is removed, whatever happens."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


_warned: set[Path] = set()


def _warn_once(folder: Path, reason: str) -> None:
    if folder not in _warned:
        _warned.add(folder)
        message = f"{folder}: prepared images cannot be kept ({reason}); they are made anew each time"
        warnings.warn(message, RuntimeWarning, stacklevel=2)


def _path(digest: str, split: str) -> Path:
    return cache_root() / "prepared" / digest / f"{split}.safetensors"


def _to_tensors(images: RawImages) -> dict[str, Tensor]:
    arrays = {
        "pixels": images.pixels,
        "y": images.y,
        "attributes": images.attributes,
        "identity": images.identity,
    }
    return {
        name: torch.from_numpy(np.ascontiguousarray(array))
        for name, array in arrays.items()
        if array is not None
    }


def _from_tensors(tensors: Mapping[str, Tensor], names: Mapping[str, list[str]]) -> RawImages:
    def labels(name: str) -> Labels | None:
        return tensors[name].numpy() if name in tensors else None

    return RawImages(
        tensors["pixels"].numpy(),
        labels("y"),
        labels("attributes"),
        labels("identity"),
        {key: tuple(values) for key, values in names.items()},
    )
