"""Data sets: three splits, a digest that says exactly which data, and a known density where there is one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mfbench.contracts.dataspec import DataSpec
from mfbench.contracts.history import ImageHistory
from mfbench.errors import Unsupported

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mfbench.contracts.noise import NoisePredictor


@dataclass(frozen=True)
class Split:
    """Samples x (n, *shape); where known, labels y (n,) int64, attributes (n, k), identity (n,) int64.

    `names`: of the classes under "classes", of the attributes under "attributes".
    """

    x: Tensor
    y: Tensor | None = None
    attributes: Tensor | None = None
    identity: Tensor | None = None
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.x)

    def batches(self, size: int) -> Iterator[Tensor]:
        """x in order, `size` samples at a time (the last batch may be smaller)."""
        for start in range(0, len(self.x), size):
            yield self.x[start : start + size]


class Dataset:
    """Base of every data set (kind "dataset"). Splits are made when first asked for, on the CPU.

    A subclass gives `shape` and `make_split`, lists its keyword arguments in its signature (as a method
    does), passes `seed` on to `super().__init__`, and raises `version` when the numbers it gives change.
    `name` and `parameters` are set by the registry.
    """

    name: str = ""
    version: ClassVar[int] = 1
    shape: tuple[int, ...] = ()
    parameters: Mapping[str, Any] = {}

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    def make_split(self, split: str) -> Split:
        """The split called "train", "val" or "test"; the same arguments and seed give the same split."""
        raise NotImplementedError

    def files(self) -> Mapping[str, str]:
        """SHA-256 by relative path of every file read; empty where the data are computed."""
        return {}

    @classmethod
    def download(cls, folder: Path) -> None:
        """Fetch the files that are missing in `folder`, checked by SHA-256; nothing where data are computed.

        Raises UserError, saying how to get them, where the licence does not allow it.
        """

    @classmethod
    def check(cls, folder: Path) -> Sequence[str]:
        """What is wrong with the files in `folder`, one line each; empty where all is right."""
        return ()

    @classmethod
    def missing(cls, folder: Path) -> Sequence[str]:
        """The files that are not in `folder`, found without reading any."""
        return ()

    @classmethod
    def unverified(cls, folder: Path) -> Sequence[str]:
        """What `check` cannot tell, one line each: files in `folder` of which no SHA-256 is published."""
        return ()

    @cached_property
    def train(self) -> Split:
        return self.make_split("train")

    @cached_property
    def val(self) -> Split:
        return self.make_split("val")

    @cached_property
    def test(self) -> Split:
        return self.make_split("test")

    @property
    def digest(self) -> str:
        """SHA-256 of name, version, parameters, seed and the manifest of file hashes; loads no tensor."""
        identity = [self.name, self.version, dict(self.parameters), self.seed, dict(self.files())]
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    @property
    def history(self) -> ImageHistory | None:
        """What the images went through; None for points, and where it is not known.

        Two sets that both tell it can be refused as an out-of-distribution pair.
        """
        return None

    def spec(self, device: Any = "cpu", dtype: Any = None) -> DataSpec:
        """What `Method.build` is given."""
        names = self.train.names
        classes = names.get("classes")
        return DataSpec(
            shape=self.shape,
            train_count=len(self.train),
            classes=len(classes) if classes else None,
            attributes=tuple(names.get("attributes", ())),
            device=device,
            dtype=dtype,
        )

    def log_density(self, x: Tensor) -> Tensor:
        """True log-density in nats, (n,), of x in data space, where it is known."""
        raise Unsupported(f"the density of data set {self.name!r} is not known")

    def noise_predictor(self, num_steps: int) -> NoisePredictor:
        """The exact eps for this data under the default schedule, where it has a closed form."""
        raise Unsupported(f"data set {self.name!r} has no closed-form noise predictor")

    def intrinsic_dimension(self, x: Tensor) -> Tensor:
        """True dimension, (n,), of the support that x (n, *shape) was drawn from, where it is known.

        Around noise it is that of the support before the noise.
        """
        raise Unsupported(f"the intrinsic dimension of data set {self.name!r} is not known")

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Dataset:
        """A view whose splits are copies, on `device` in `dtype`: to write to them changes nothing here."""
        return _Moved(self, device, dtype)

    def without_test(self) -> Dataset:
        """A view without the test split: what `fit` is given."""
        return _Fitting(self)


class _View(Dataset):
    """Another data set seen through one change; everything else is the original's."""

    def __init__(self, base: Dataset) -> None:
        super().__init__(seed=base.seed)
        self.base = base
        self.name, self.shape, self.parameters = base.name, base.shape, base.parameters

    @property
    def digest(self) -> str:
        return self.base.digest

    def files(self) -> Mapping[str, str]:
        return self.base.files()

    @property
    def history(self) -> ImageHistory | None:
        return self.base.history

    def make_split(self, split: str) -> Split:
        made: Split = getattr(self.base, split)
        return made

    def log_density(self, x: Tensor) -> Tensor:
        return self.base.log_density(x)

    def noise_predictor(self, num_steps: int) -> NoisePredictor:
        return self.base.noise_predictor(num_steps)

    def intrinsic_dimension(self, x: Tensor) -> Tensor:
        return self.base.intrinsic_dimension(x)


class _Moved(_View):
    def __init__(self, base: Dataset, device: torch.device | str, dtype: torch.dtype | None) -> None:
        super().__init__(base)
        self.device, self.dtype = device, dtype

    def make_split(self, split: str) -> Split:
        made = super().make_split(split)

        def move(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.to(self.device, copy=True)

        x = made.x.to(self.device, self.dtype or made.x.dtype, copy=True)
        return Split(x, move(made.y), move(made.attributes), move(made.identity), dict(made.names))


class _Fitting(_View):
    def make_split(self, split: str) -> Split:
        if split == "test":
            raise PermissionError("fit is given no test split")
        return super().make_split(split)
