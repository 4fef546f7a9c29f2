"""One data set as `ood_auroc` sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mfbench.contracts import Dataset

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Part:
    """One data set as this protocol sees it: its name on the board and the samples used."""

    name: str
    data: Dataset
    x: Tensor
