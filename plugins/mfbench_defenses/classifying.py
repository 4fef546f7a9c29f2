"""Defenses that stand before a classifier that is trained by itself, and learn nothing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mfbench import Dataset, DataSpec, Defense, Progress
from mfbench_defenses.arguments import classes_of_images, require_classifier


class BeforeClassifier(Defense):
    """`classifier`, whose `logits` answer for what is left of the image."""

    deterministic: bool = True
    optimises: bool = False

    def __init__(self, classifier: Any) -> None:
        self.classifier = require_classifier(classifier, type(self).__name__)

    def build(self, spec: DataSpec) -> None:
        """Unsupported where the data are no images, or have no classes."""
        self.shape = spec.shape
        self.classes = classes_of_images(spec, type(self).__name__)

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        """Nothing: the classifier is fitted already, once for all who refer to it."""

    def logits(self, x: Tensor) -> Tensor:
        return self.classifier.logits(x)
