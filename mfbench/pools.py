"""Adversarial inputs that turned a defense: kept by hash, published with boards, imported by anyone.

An entry says which image it is for by the SHA-256 of the clean image's float32 values, which pixels it
changes, and to what. Nothing else is needed, and nothing is believed: whoever uses a pool scores its inputs
again. The arrays of a pool stand in an .npz file, alone or under a prefix as in a board's figures.npz.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench.errors import UserError

_NAMES = ("pool_clean", "pool_label", "pool_changed", "pool_values")
_TYPES = {"pool_clean": np.uint8, "pool_label": np.int64, "pool_changed": np.uint8, "pool_values": np.float32}
_DIMENSIONS = {"pool_clean": 2, "pool_label": 1, "pool_changed": 2, "pool_values": 1}
_LONGEST = 200
"""Characters of NumPy's own message: it may quote a whole damaged header."""


@dataclass(frozen=True)
class Entry:
    """One adversarial input.

    clean: SHA-256 of the image it was made from. label: that image's.
    changed: the pixels that differ, as packed bits of a (height, width) mask. values: (channels, pixels).
    """

    clean: bytes
    label: int
    changed: bytes
    values: bytes

    @cached_property
    def hash(self) -> str:
        """SHA-256 of all of it: the entry's name."""
        hasher = hashlib.sha256(self.clean + str(self.label).encode())
        hasher.update(self.changed)
        hasher.update(self.values)
        return hasher.hexdigest()

    def apply(self, image: Tensor) -> Tensor | None:
        """The image (channels, height, width) with these pixels; None where they do not fit its shape."""
        channels, height, width = image.shape
        bits = np.unpackbits(np.frombuffer(self.changed, np.uint8))
        values = np.frombuffer(self.values, np.float32)
        if len(bits) < height * width or len(values) != channels * int(bits.sum()):
            return None
        mask = torch.from_numpy(bits[: height * width].astype(bool).reshape(height, width)).to(image.device)
        changed = image.clone()
        changed[:, mask] = torch.from_numpy(values.reshape(channels, -1).copy()).to(image)
        return changed


class AdversarialPool:
    """Entries, each once, in the order of their hashes."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        kept = {entry.hash: entry for entry in entries}
        self.entries = [kept[key] for key in sorted(kept)]

    def __len__(self) -> int:
        return len(self.entries)

    @classmethod
    def collect(cls, x: Tensor, y: Tensor, adversarial: Tensor) -> AdversarialPool:
        """One entry for each image of x (n, channels, height, width) that `adversarial` changes."""
        differs = (adversarial != x).any(dim=1).flatten(1)
        entries = []
        for row in differs.any(dim=1).nonzero()[:, 0].tolist():
            mask = differs[row].cpu().numpy()
            values = adversarial[row].detach().flatten(1).cpu().float().numpy()[:, mask]
            entries.append(
                Entry(image_hash(x[row]), int(y[row]), np.packbits(mask).tobytes(), values.tobytes())
            )
        return cls(entries)

    def __add__(self, other: AdversarialPool) -> AdversarialPool:
        return AdversarialPool([*self.entries, *other.entries])

    def candidates(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """All that the pool has for these images: changed images (k, ...), and the rows (k,) they are for."""
        found, rows = [], []
        for row, (image, label) in enumerate(zip(x, y.tolist())):
            for entry in self._by_image.get((image_hash(image), label), ()):
                changed = entry.apply(image)
                if changed is not None:
                    found.append(changed)
                    rows.append(row)
        images = torch.stack(found) if found else x[:0]
        return images, torch.tensor(rows, dtype=torch.int64, device=x.device)

    @cached_property
    def _by_image(self) -> dict[tuple[bytes, int], list[Entry]]:
        groups: dict[tuple[bytes, int], list[Entry]] = {}
        for entry in self.entries:
            groups.setdefault((entry.clean, entry.label), []).append(entry)
        return groups

    def arrays(self) -> dict[str, NDArray[Any]]:
        """As `Measurement.arrays` takes them; values lie one entry after the other."""
        if not self.entries:
            return {}
        joined = {
            "pool_clean": b"".join(entry.clean for entry in self.entries),
            "pool_changed": b"".join(entry.changed for entry in self.entries),
            "pool_values": b"".join(entry.values for entry in self.entries),
        }
        found: dict[str, NDArray[Any]] = {k: np.frombuffer(v, _TYPES[k]) for k, v in joined.items()}
        for name in ("pool_clean", "pool_changed"):
            found[name] = found[name].reshape(len(self.entries), -1)
        found["pool_label"] = np.array([entry.label for entry in self.entries], dtype=np.int64)
        return found

    def write(self, file: Path) -> None:
        """To an .npz file, which `read` reads."""
        np.savez_compressed(file, **self.arrays())  # type: ignore[arg-type]

    @classmethod
    def read(cls, place: Path) -> AdversarialPool:
        """All pools in an .npz file, or in the .npz files of a folder and of the folders in it.

        UserError where there is none, or one is damaged. Nothing is unpickled.
        """
        files = sorted(place.rglob("*.npz")) if place.is_dir() else [place]
        entries = [entry for file in files for entry in _entries(file)]
        if not entries:
            raise UserError(
                f"{place}: no adversarial inputs there (arrays {', '.join(_NAMES)} in an .npz file)"
            )
        return cls(entries)


def image_hash(image: Tensor) -> bytes:
    """SHA-256 of an image's float32 values, in order: the same on every device and in every precision."""
    return hashlib.sha256(image.detach().cpu().float().contiguous().numpy().tobytes()).digest()


def _entries(file: Path) -> list[Entry]:
    return [entry for arrays in _groups(file) for entry in _unpacked(file, arrays)]


def _groups(file: Path) -> list[dict[str, Any]]:
    """The arrays of each pool in a file, or what else is under their names."""
    if file.is_file() and not zipfile.is_zipfile(file):  # NumPy would advise to unpickle it
        raise _refusal(file, "it is no .npz file, which is an archive of arrays")
    try:
        with np.load(file, allow_pickle=False) as archive:
            prefixes = [name.removesuffix(_NAMES[0]) for name in archive.files if name.endswith(_NAMES[0])]
            return [{name: archive[prefix + name] for name in _NAMES} for prefix in prefixes]
    except Exception as error:  # of damaged archives zipfile, zlib, tokenize and NumPy raise a dozen kinds
        told = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST]
        raise _refusal(
            file, f"expected an .npz file, whole, as `AdversarialPool.write` writes it ({told})"
        ) from None


def _refusal(file: Path, what: str) -> UserError:
    return UserError(f"{file}: not a pool of adversarial inputs: {what}")


def _unpacked(file: Path, arrays: Mapping[str, Any]) -> list[Entry]:
    for name, array in arrays.items():
        _check_form(file, name, array)
    clean, labels, changed, values = (arrays[name] for name in _NAMES)
    pixels = [int(bits.sum()) for bits in np.unpackbits(changed, axis=1)]
    if clean.shape != (len(pixels), 32) or labels.shape != (len(pixels),) or not sum(pixels):
        shapes = ", ".join(f"{name} {arrays[name].shape}" for name in _NAMES[:3])
        raise _refusal(
            file,
            f"its arrays do not fit together ({shapes}, {sum(pixels)} pixels changed); "
            "expected 32 bytes, a label and a mask of changed pixels for each input",
        )
    channels, rest = divmod(len(values), sum(pixels))
    if rest or not channels:
        raise _refusal(
            file,
            f"{len(values)} values for {sum(pixels)} changed pixels; expected one for each pixel and channel",
        )
    ends = np.cumsum(pixels) * channels
    parts = np.split(values, ends[:-1])
    return [
        Entry(clean[i].tobytes(), int(labels[i]), changed[i].tobytes(), parts[i].tobytes())
        for i in range(len(pixels))
    ]


def _check_form(file: Path, name: str, array: Any) -> None:
    """UserError for what cannot be unpacked; members of an archive that are no arrays come as bytes."""
    expected = f"expected {_DIMENSIONS[name]}-dimensional {np.dtype(_TYPES[name])}"
    if not isinstance(array, np.ndarray):
        raise _refusal(file, f"{name} is no array; {expected}")
    if array.dtype != _TYPES[name] or array.ndim != _DIMENSIONS[name]:
        raise _refusal(file, f"{name} is {array.ndim}-dimensional {array.dtype}; {expected}")
