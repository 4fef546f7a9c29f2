"""Fitted models on disk: tensors as safetensors, all else as JSON, and never a pickle.

    MFBENCH_CACHE/fits/<key[:2]>/<key>/state.safetensors      the tensors
                                       state.json             the header and the scalars

The header holds the SHA-256 of the tensors' file and of the scalars: whoever loads checks them. A folder is
written under a temporary name and renamed, so that it is there as a whole or not at all; two who fit the same
key do not disturb each other.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfbench.errors import ContractError
from mfbench.identity import encode_float, sha256_of

if TYPE_CHECKING:
    from torch import Tensor

TENSORS, HEADER = "state.safetensors", "state.json"

_HASHES = ("sha256", "scalars_sha256")
_SCALARS: dict[str, type] = {"bool": bool, "int": int, "float": float, "str": str}


class CorruptArtifactError(Exception):
    """What lies there is not what was saved."""


def artifact_folder(cache: Path, key: str) -> Path:
    """Where the fit of this key lies, or will."""
    return cache / "fits" / key[:2] / key


def save(cache: Path, key: str, state: Mapping[str, Any], header: Mapping[str, Any]) -> str:
    """Save a fitted state (tensors, int, float, bool, str); returns the SHA-256 of the tensors' file.

    A good artifact that is there already stays (its hash is returned), a damaged one is replaced.
    ContractError for a state that cannot be saved.
    """
    from safetensors.torch import save as pack

    tensors, scalars = _split(state)
    content = pack(tensors)
    digest = hashlib.sha256(content).hexdigest()
    hashes = {"sha256": digest, "scalars_sha256": sha256_of(scalars)}
    folder = artifact_folder(cache, key)
    temporary = folder.with_name(f".{key}.{uuid.uuid4().hex}")
    temporary.mkdir(parents=True)
    try:
        (temporary / TENSORS).write_bytes(content)
        text = json.dumps({**header, "scalars": scalars, **hashes}, indent=2, allow_nan=False)
        (temporary / HEADER).write_text(text + "\n")
        return _put_in_place(temporary, folder, digest)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def adopt(cache: Path, key: str, folder: Path) -> str:
    """Take over, by renaming, an artifact's folder that another machine made; its hash, as `save` gives it.

    `folder` lies in the cache. CorruptArtifactError where it is not what was saved there.
    """
    header = read_header(folder)
    _check(_read(folder / TENSORS), header, folder)
    return _put_in_place(folder, artifact_folder(cache, key), str(header["sha256"]))


def load(cache: Path, key: str, device: Any = "cpu") -> tuple[dict[str, Any], dict[str, Any]]:
    """(state with its tensors on `device`, header); CorruptArtifactError where it is absent or damaged."""
    from safetensors.torch import load as unpack

    folder = artifact_folder(cache, key)
    header = read_header(folder)
    content = _read(folder / TENSORS)
    _check(content, header, folder)
    state: dict[str, Any] = {name: tensor.to(device) for name, tensor in unpack(content).items()}
    return state | {name: _decode(scalar) for name, scalar in header["scalars"].items()}, header


def verified_hash(cache: Path, key: str) -> str | None:
    """SHA-256 of the tensors' file of a good artifact; None where there is none or it is damaged."""
    folder = artifact_folder(cache, key)
    try:
        header = read_header(folder)
        _check(_read(folder / TENSORS), header, folder)
    except CorruptArtifactError:
        return None
    return str(header["sha256"])


def read_header(folder: Path) -> dict[str, Any]:
    """The JSON of an artifact; CorruptArtifactError where it is absent or not what it should be."""
    try:
        header = json.loads(_read(folder / HEADER))
    except ValueError:
        raise CorruptArtifactError(f"{folder / HEADER} is not JSON") from None
    if not isinstance(header, dict) or not {"scalars", *_HASHES} <= header.keys():
        raise CorruptArtifactError(f"{folder / HEADER} lacks a hash or its scalars")
    return header


def floating_elements(state: Mapping[str, Any]) -> int:
    """How many numbers a state's floating-point tensors hold: what the boards call parameters."""
    return sum(
        value.numel()
        for value in state.values()
        if hasattr(value, "numel") and (value.is_floating_point() or value.is_complex())
    )


def _put_in_place(temporary: Path, folder: Path, digest: str) -> str:
    try:
        temporary.rename(folder)
        return digest
    except OSError:  # somebody was faster, or something damaged lies there
        present = verified_hash(folder.parents[2], folder.name)
        if present is not None:
            return present
    aside = temporary.with_name(f"{temporary.name}.old")
    with suppress(FileNotFoundError):
        folder.replace(aside)
    shutil.rmtree(aside, ignore_errors=True)
    temporary.rename(folder)
    return digest


def _split(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    import torch

    tensors: dict[str, Tensor] = {}
    scalars: dict[str, Any] = {}
    for name, value in state.items():
        if isinstance(value, torch.Tensor):
            # A copy each: safetensors takes neither views with gaps nor two names for one memory.
            tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        else:
            scalars[name] = _encode(name, value)
    return tensors, scalars


def _encode(name: str, value: Any) -> dict[str, Any]:
    for kind, python_type in _SCALARS.items():
        if isinstance(value, python_type):
            shown = encode_float(value) if isinstance(value, float) else value
            return {"type": kind, "value": shown}
    raise ContractError(
        f"state_dict()[{name!r}] is a {type(value).__name__}: a tensor, int, float, bool or str can be saved"
    )


def _decode(scalar: Mapping[str, Any]) -> Any:
    return _SCALARS[scalar["type"]](scalar["value"])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorruptArtifactError(f"{path} cannot be read ({error.strerror})") from None


def _check(content: bytes, header: Mapping[str, Any], folder: Path) -> None:
    if hashlib.sha256(content).hexdigest() != header["sha256"]:
        raise CorruptArtifactError(f"{folder / TENSORS} is not what was saved (its SHA-256 differs)")
    if sha256_of(header["scalars"]) != header["scalars_sha256"]:
        raise CorruptArtifactError(f"{folder / HEADER}: the scalars are not what was saved (SHA-256 differs)")
