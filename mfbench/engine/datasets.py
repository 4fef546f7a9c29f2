"""Data sets of the cells, a few of which are kept from one cell to the next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from mfbench.contracts import Dataset

_KEPT = 8


class DatasetCache:
    """The data sets used last. Cells are given copies (`Dataset.to`): what is kept here nobody writes to."""

    def __init__(self, size: int = _KEPT) -> None:
        self._size = size
        self._kept: OrderedDict[str, Dataset] = OrderedDict()

    def get(self, key: str, make: Callable[[], Dataset]) -> Dataset:
        """The data set of this key, made where it is not here; the one not used for longest makes room."""
        data = self._kept[key] if key in self._kept else make()
        self._kept[key] = data
        self._kept.move_to_end(key)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return data
