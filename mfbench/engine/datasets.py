"""Data sets of the cells, a few of which are kept from one cell to the next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

import torch

from mfbench.contracts import Dataset, Split

_KEPT = 4


class DatasetCache:
    """The data sets used last. One whose tensors a cell changed in place is made anew for the next."""

    def __init__(self, size: int = _KEPT) -> None:
        self._size = size
        self._kept: OrderedDict[str, _Watched] = OrderedDict()

    def get(self, key: str, make: Callable[[], Dataset]) -> Dataset:
        """The data set of this key, made where it is not here."""
        if key not in self._kept:
            self._kept[key] = _Watched(make())
        self._kept.move_to_end(key)
        return self._kept[key].data

    def settle(self) -> None:
        """After a cell: drop what it changed, and what was not used for longest."""
        for key in [key for key, watched in self._kept.items() if watched.changed()]:
            del self._kept[key]
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)


class _Watched:
    """A data set, and the version that each of its tensors had when it was made."""

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self._versions: list[tuple[torch.Tensor, int]] = []
        self._note(vars(data).values())
        self._make_split = data.make_split
        data.make_split = self._make  # type: ignore[method-assign]

    def changed(self) -> bool:
        """Whether a tensor was written to since."""
        return any(tensor._version != version for tensor, version in self._versions)

    def _make(self, split: str) -> Split:
        made = self._make_split(split)
        self._note(vars(made).values())
        return made

    def _note(self, values: Iterable[object]) -> None:
        tensors = [value for value in values if isinstance(value, torch.Tensor)]
        # Tensors made in inference mode keep no version, but cannot be written to outside of it either.
        self._versions += [(tensor, tensor._version) for tensor in tensors if not tensor.is_inference()]
