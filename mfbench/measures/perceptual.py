"""LPIPS: the distance of images in the features of a network that was trained on photographs.

The one measure that reads files: the package `lpips` brings the linear layers, and the backbone's weights
lie, as torchvision publishes them, in MFBENCH_WEIGHTS or in the torch hub cache. Nothing is downloaded,
nothing is unpickled, and no weight is ever left as it was initialised.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from collections.abc import Mapping, Set
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from mfbench.errors import Unsupported, UserError
from mfbench.measures.convert import Array, Values, as_array
from mfbench.paths import weights_root

if TYPE_CHECKING:
    from torch import Tensor, nn

Backbone = Literal["alex", "vgg", "squeeze"]

_BATCH = 2**20
"""Numbers in one batch of images: activations are some tens of times that."""
_BACKBONES: Mapping[str, tuple[str, int]] = {
    "alex": ("alexnet-owt-7be5be79.pth", 31),
    "vgg": ("vgg16-397923af.pth", 16),
    "squeeze": ("squeezenet1_1-b8a52dc0.pth", 17),
}
"""torchvision's file, whose name ends as its SHA-256 begins, and the shortest side that the network takes."""


def lpips(x: Values, y: Values, *, value_range: float = 1.0, backbone: Backbone = "alex") -> Array:
    """Learned perceptual distance (Zhang et al. 2018, version 0.1), (n,), >= 0, of images x to references y.

    Both (n, channels, height, width) in [0, value_range], with one channel (shown to the network as grey) or
    three; computed in float32 on x's device. Unsupported, saying why: the package or the weights are absent,
    or the images are smaller than the network takes (they are not enlarged: that would be another measure).
    UserError: the file of weights is not the published one. ValueError: other shapes or values.
    """
    import torch

    device = getattr(x, "device", "cpu")
    a, b = (_as_images(images, value_range) for images in (x, y))
    if a.shape != b.shape:
        raise ValueError(f"images and references must have one shape, not {a.shape} and {b.shape}")
    height, width, smallest = *a.shape[2:], _BACKBONES[backbone][1]
    if min(height, width) < smallest:
        raise Unsupported(
            f"LPIPS ({backbone}) needs {smallest} pixels a side, the images have {height} x {width}"
        )
    network = _network(backbone, _weights_file(backbone)).to(device)
    size = max(1, _BATCH // a[0].size)
    found = []
    with torch.no_grad():
        for start in range(0, len(a), size):
            pair = (torch.from_numpy(i[start : start + size]).float().to(device) for i in (a, b))
            found.append(as_array(network(*pair, normalize=True).flatten()))
    return np.concatenate(found)


def _as_images(values: Values, value_range: float) -> Array:
    """(n, 3, height, width) in [0, 1]."""
    images = as_array(values) / value_range
    if images.ndim != 4 or not images.size or images.shape[1] not in (1, 3):
        raise ValueError(f"lpips needs images (n, 1 or 3, height, width), not {images.shape}")
    if not (np.isfinite(images).all() and images.min() >= 0 and images.max() <= 1):
        raise ValueError(f"lpips needs images in [0, {value_range:g}]")
    return np.repeat(images, 3 // images.shape[1], axis=1)


def _weights_file(backbone: str) -> Path:
    """The first place that has the file; Unsupported, naming the places, where none has."""
    import torch

    name = _BACKBONES[backbone][0]
    places = [weights_root(), Path(torch.hub.get_dir()) / "checkpoints"]
    for place in places:
        if (place / name).is_file():
            return place / name
    raise Unsupported(
        f"LPIPS needs {name} (https://download.pytorch.org/models/{name}) in MFBENCH_WEIGHTS ({places[0]}) "
        f"or in the torch hub cache ({places[1]})"
    )


@cache
def _network(backbone: str, file: Path) -> nn.Module:
    """The package's network, all weights loaded: the backbone's from `file`, the rest from the package."""
    import torch

    try:
        import lpips as package
    except ImportError as absent:
        raise Unsupported(
            f"LPIPS needs the package lpips (pip install 'mfbench[perceptual]'): {absent}"
        ) from absent
    with torch.random.fork_rng(), warnings.catch_warnings():
        # the network draws weights before it is given its own, by a call that torchvision deprecates
        warnings.simplefilter("ignore", UserWarning)
        network: nn.Module = package.LPIPS(net=backbone, pretrained=False, pnet_rand=True, verbose=False)
    folder = Path(package.__file__).parent
    state = _backbone_state(network, file) | _linear_state(folder / "weights" / "v0.1" / f"{backbone}.pth")
    kept = {name: value for name, value in network.state_dict().items() if name.startswith("scaling_layer.")}
    _require_keys(state.keys() | kept.keys(), network.state_dict().keys(), file)
    network.load_state_dict(state | kept)
    return network.eval()


def _backbone_state(network: nn.Module, file: Path) -> dict[str, Tensor]:
    """torchvision's `features.3.weight` as the package's `net.slice2.3.weight`: all that the network has."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if not digest.startswith(file.stem.rpartition("-")[2]):
        raise UserError(f"{file}: SHA-256 is {digest[:8]}..., not that in its name: download it again")
    given = _tensors(file)
    places = {re.sub(r"^net\.slice\d+\.", "features.", name): name for name in network.state_dict()}
    return {places.get(name, name): given[name] for name in given if name.startswith("features.")}


def _linear_state(file: Path) -> dict[str, Tensor]:
    """The linear layers, `lin0.model.1.weight`, also under the name of the list that holds them again."""
    given = _tensors(file)
    again = {re.sub(r"^lin(\d+)\.", r"lins.\1.", name): value for name, value in given.items()}
    return given | again


def _tensors(file: Path) -> dict[str, Tensor]:
    import torch

    try:
        state: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as broken:
        raise UserError(f"{file}: these are not weights: {str(broken).splitlines()[0]}") from broken
    return state


def _require_keys(given: Set[str], needed: Set[str], file: Path) -> None:
    """Every weight is loaded, and nothing is left over; UserError naming what is not so."""
    if given != needed:
        missing, extra = sorted(needed - given), sorted(given - needed)
        raise UserError(f"{file}: the weights of another network: missing {missing}, not known {extra}")
