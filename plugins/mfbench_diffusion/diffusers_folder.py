"""A saved diffusers model: where its files lie, what its configurations say, and its weights.

`folder` is a pipeline (`unet/`, `scheduler/`) or holds both configurations itself (`config.json`,
`scheduler_config.json`). Weights are read from safetensors alone: nothing is ever unpickled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mfbench import UserError

_WEIGHTS = "diffusion_pytorch_model"
_NAMES = "config.json", "scheduler_config.json", f"{_WEIGHTS}.safetensors*", f"{_WEIGHTS}-*.safetensors"
_FILES = [f"{folder}{name}" for folder in ("", "unet/", "scheduler/") for name in _NAMES]


@dataclass(frozen=True)
class SavedModel:
    """`unet`: the folder of the network; `network`, `scheduler`: the two configurations, checked."""

    unet: Path
    network: Mapping[str, Any]
    scheduler: Mapping[str, Any]
    scheduler_file: Path


def open_folder(folder: Path) -> SavedModel:
    """The configurations in `folder`; UserError where one is missing or is not of an unconditional
    `UNet2DModel`, or where the weights are not safetensors.
    """
    unet = folder / "unet" if (folder / "unet").is_dir() else folder
    home = folder / "scheduler" if (folder / "scheduler").is_dir() else folder
    file = unet / "config.json"
    network, scheduler = _read_json(file), _read_json(home / "scheduler_config.json")
    _check_network(network, file)
    if not any(unet.glob(f"{_WEIGHTS}*.safetensors")):
        pickled = " (.bin files would have to be unpickled)" if any(unet.glob("*.bin")) else ""
        raise UserError(
            f"{unet}: there is no {_WEIGHTS}.safetensors{pickled}; "
            "save_pretrained(..., safe_serialization=True) writes it"
        )
    return SavedModel(unet, network, scheduler, home / "scheduler_config.json")


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError:
        raise UserError(f"{file}: there is no such file; a saved diffusers model has one") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: not JSON that can be read: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{file}: a JSON object is right, not {type(content).__name__}")
    return content


def _check_network(config: Mapping[str, Any], file: Path) -> None:
    kind = config.get("_class_name")
    if kind != "UNet2DModel":
        raise UserError(f"{file}: _class_name = {kind!r}: UNet2DModel is right")
    for key in ("class_embed_type", "num_class_embeds"):
        if config.get(key) is not None:
            raise UserError(f"{file}: {key} = {config[key]!r}: only unconditional models, without labels")
    embedding = config.get("time_embedding_type", "positional")
    if embedding != "positional":
        raise UserError(f"{file}: time_embedding_type = {embedding!r}: 'positional' takes real-valued times")
    inputs, outputs = config.get("in_channels", 3), config.get("out_channels", 3)
    if outputs not in (inputs, 2 * inputs):
        raise UserError(f"{file}: out_channels = {outputs}: in_channels = {inputs}, or twice as many")


def empty_network(saved: SavedModel) -> nn.Module:
    """The network without its weights."""
    network: nn.Module = _unet_class().from_config(dict(saved.network))
    return network


def read_network(saved: SavedModel) -> nn.Module:
    """The network with its weights, all of them (UserError). The global generators are left alone."""
    unet = _unet_class()
    with torch.random.fork_rng(devices=[]):
        try:
            network, report = unet.from_pretrained(
                saved.unet,
                use_safetensors=True,
                local_files_only=True,
                low_cpu_mem_usage=False,
                output_loading_info=True,
            )
        except Exception as error:  # of many kinds, by what is wrong with the file
            raise UserError(f"{saved.unet}: the weights cannot be read: {_first_line(error)}") from error
    missing = [*report["missing_keys"], *report["mismatched_keys"]]
    if missing:
        raise UserError(f"{saved.unet}: {len(missing)} weights are missing, the first is {missing[0]}")
    loaded: nn.Module = network
    return loaded


def download(hub: str, revision: str) -> Path:
    """The files of a model of the Hugging Face hub, in its cache. `revision`: a commit (40 hex digits), so
    that the name means the same weights forever (UserError).
    """
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise UserError(
            f"diffusers_pipeline: revision = {revision!r}: the commit of {hub} (40 hexadecimal digits), "
            "so that results keep meaning the same weights"
        )
    _unet_class()
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub, revision=revision, allow_patterns=_FILES))
    except Exception as error:  # no network, no such model, no permission
        raise UserError(
            f"diffusers_pipeline: hub = {hub!r}: cannot be fetched: {_first_line(error)}; "
            "a copy on this machine is named by `folder`"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _unet_class() -> Any:
    try:
        from diffusers import UNet2DModel
    except ImportError as error:
        raise UserError(
            "diffusers_pipeline: the package diffusers is not installed; pip install 'mfbench[diffusers]'"
        ) from error
    return UNet2DModel
