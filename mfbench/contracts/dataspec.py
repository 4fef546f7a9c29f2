"""Shapes and counts of a data set: what a method is built for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DataSpec:
    """Shapes and counts: all that `Method.build` may depend on. `device` and `dtype` are torch's."""

    shape: tuple[int, ...]
    train_count: int
    classes: int | None = None
    attributes: tuple[str, ...] = ()
    device: Any = "cpu"
    dtype: Any = None
