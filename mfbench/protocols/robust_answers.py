"""What a defense answers, with and without what defends it, held to its contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Dataset, Defense
from mfbench.errors import ContractError, Unsupported, UserError
from mfbench.protocols.checked import checked_samples
from mfbench.protocols.draws import Streams

Array = NDArray[Any]

BATCH = 128
"""Images attacked, purified and classified at once."""
PROBED = 32
"""Images by which it is found out whether a defense is random."""


class Answers:
    """A defense's answers to images, in batches, each batch with noise of its own name.

    `random`: whether it says that it is not `deterministic`, or answers differently when asked twice: `draws`
    fresh ones are then taken.
    """

    def __init__(self, defense: Defense, classes: int, x: Tensor, streams: Streams, draws: int) -> None:
        self.defense = defense
        self.classes = classes
        self.streams = streams
        self._known: dict[tuple[str, int], Tensor] = {}
        first, second = (self._defended(x[:PROBED], "probe", str(draw)) for draw in range(2))
        self.random = getattr(defense, "deterministic", True) is False or not torch.equal(first, second)
        self.draws = draws if self.random else 1

    def undefended(self, x: Tensor) -> Tensor:
        """(n,) labels of the classifier alone."""
        return self._batches(x, lambda part, _: self.logits(part)).argmax(1)

    def logits(self, x: Tensor) -> Tensor:
        """(n, classes) of the classifier alone."""
        return self._checked(self.defense.logits(x), len(x), "logits")

    def defended(self, x: Tensor, of: str) -> Tensor:
        """(draws, n) labels; `of` names the images: each set meets its own noise, and is asked about once."""
        key = of, len(x)
        if key not in self._known:
            draws = [self._defended(x, of, str(draw)).argmax(1) for draw in range(self.draws)]
            self._known[key] = torch.stack(draws)
        return self._known[key]

    def defended_logits(self, x: Tensor, of: str) -> Tensor:
        """(n, classes), one draw."""
        return self._defended(x, of, "0")

    def purified(self, x: Tensor, of: str) -> Tensor:
        """(n, ...), one draw."""

        def purify(part: Tensor, start: int) -> Tensor:
            pure = self.defense.purify(part, rng=self.streams("purify", of, str(start)))
            return checked_samples(pure, tuple(part.shape), self.defense, "purify")

        return self._batches(x, purify)

    def _defended(self, x: Tensor, of: str, draw: str) -> Tensor:
        def answer(part: Tensor, start: int) -> Tensor:
            rng = self.streams("defend", of, draw, str(start))
            return self._checked(self.defense.defended_logits(part, rng=rng), len(part), "defended_logits")

        return self._batches(x, answer)

    def _checked(self, logits: Any, count: int, call: str) -> Tensor:
        return checked_samples(logits, (count, self.classes), self.defense, call)

    def _batches(self, x: Tensor, ask: Callable[[Tensor, int], Tensor]) -> Tensor:
        return torch.cat([ask(x[start : start + BATCH], start) for start in range(0, len(x), BATCH)])


def labelled_images(data: Dataset, count: int, who: str) -> tuple[Tensor, Tensor, int]:
    """The first `count` test images (all where there are fewer), labels (n,), and the number of classes.

    Unsupported where the data are no images or have no classes; UserError for labels or values that cannot
    be.
    """
    classes = data.spec().classes
    if len(data.shape) != 3 or not classes:
        raise Unsupported(f"{who} needs images with classes; {data.name} has shape {data.shape}")
    if count < 2:
        raise UserError(f"{who}: count is {count}; two or more images are needed")
    x, y = data.test.x[:count], data.test.y
    if y is None:
        raise UserError(f"{who}: the test images of data set {data.name!r} have no labels y")
    y = y[:count].to(x.device, torch.int64)
    if bool(((y < 0) | (y >= classes)).any()):
        raise UserError(f"{who}: data set {data.name!r} has labels y outside of 0 .. {classes - 1}")
    low, high = float(x.min()), float(x.max())
    if not (low >= 0 and high <= 1):
        raise UserError(f"{who}: images of {data.name!r} lie in [{low:.3g}, {high:.3g}]; [0, 1] is right")
    return x, y, classes


def require_same_classes(classifier: Defense, x: Tensor, classes: int, who: str) -> None:
    """ContractError unless an independent classifier knows the same classes."""
    found = tuple(classifier.logits(x[:1]).shape)
    if found != (1, classes):
        raise ContractError(
            f"{who}: classifier {type(classifier).__name__} gives {found}, not (1, {classes})"
        )


def shares(labels: Tensor, y: Tensor) -> Array:
    """(n,) float64: the share of draws, of labels (draws, n), that say y."""
    found: Array = (labels == y).double().mean(0).cpu().numpy()
    return found


def changed_answers(labels: Tensor, classes: int) -> Array:
    """(n,): the chance that two different draws, of labels (draws, n), disagree; unbiased."""
    draws = len(labels)
    counts = torch.nn.functional.one_hot(labels, classes).sum(0).double()
    agree = (counts * (counts - 1)).sum(1) / (draws * (draws - 1))
    found: Array = np.asarray((1 - agree).cpu())
    return found
