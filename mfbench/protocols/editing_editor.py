"""Edits of held-out images: codes set, decoded, and judged by the classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Dataset, Disentangler
from mfbench.datasets.regions import Regions
from mfbench.errors import ContractError
from mfbench.protocols import codes as coded
from mfbench.protocols.clusters import clusters_of
from mfbench.protocols.editing_handles import Handle, with_places
from mfbench.protocols.editing_outcomes import Outcomes

Array = NDArray[Any]


def judge_of(classifier: Any, asked: coded.Factors, like: Tensor | None) -> Callable[[Tensor], Array]:
    """Images to the values (n, k) of the attributes asked about."""
    assert like is not None
    width = like.shape[1]

    def judge(images: Tensor) -> Array:
        said = coded.in_batches(classifier.predict_attributes, images)
        if tuple(said.shape) != (len(images), width):
            told = f"{type(classifier).__name__}.predict_attributes must return {(len(images), width)}"
            raise ContractError(f"{told}, not {tuple(said.shape)}")
        values: Array = said[:, list(asked.columns)].cpu().numpy().astype(np.int64)
        return values

    return judge


class Editor:
    """Held-out images, their codes, and what the classifier says of edited ones."""

    def __init__(
        self,
        method: Disentangler,
        data: Dataset,
        codes: Tensor,
        asked: coded.Factors,
        found: Sequence[Handle],
        judge: Callable[[Tensor], Array],
    ) -> None:
        self.method, self.data, self.codes, self.asked = method, data, codes, asked
        self.handles, self.judge = found, judge
        self.images = data.test.x[: len(codes)]
        self.truth = asked.of(data.test)[: len(codes)]
        self.regions = Regions(data, "test")
        self.reconstructions = self.decode(codes)

    def decode(self, codes: Tensor) -> Tensor:
        """Images as they would be shown."""
        return coded.decode(self.method, codes, self.data.shape)

    def judge_codes(self, codes: Tensor) -> Array:
        """What the classifier sees in what codes are decoded to, (n, k)."""
        return self.judge(self.decode(codes))

    def edited(self, j: int, target: Array) -> Tensor:
        """The images with attribute j set to its targets (n,)."""
        handle = self.handles[j]
        return self.decode(with_places(self.codes, [(handle.dimension, handle.codes(target))]))

    def outcomes(self, rng: np.random.Generator) -> Outcomes:
        """Every attribute of every image edited, by itself."""
        target = np.empty_like(self.truth)
        outside = np.full(self.truth.shape, np.nan)
        edited = np.empty((*self.truth.shape, self.truth.shape[1]), dtype=np.int64)
        for j in range(self.truth.shape[1]):
            target[:, j] = self.handles[j].others(self.truth[:, j], rng)
            images = self.edited(j, target[:, j])
            edited[:, j] = self.judge(images)
            outside[:, j] = self._outside(j, images)
        return Outcomes(
            self.truth,
            target,
            self.judge(self.images),
            self.judge(self.reconstructions),
            edited,
            outside,
            clusters_of(self.data.test, len(self.codes)),
            self.asked.names,
        )

    def _outside(self, j: int, images: Tensor) -> Array:
        """Share of each image's squared change outside of the attribute's region, (n,); NaN: not known."""
        region = self.regions.of(self.asked.names[j], slice(0, len(images)))
        if region is None:
            return np.full(len(images), np.nan)
        change = (images - self.reconstructions).double().square().sum(dim=1).cpu().numpy()
        total = change.sum(axis=(1, 2))
        inside = (change * region).sum(axis=(1, 2))
        return np.where(total > 0, 1 - inside / np.where(total > 0, total, 1), np.nan)
