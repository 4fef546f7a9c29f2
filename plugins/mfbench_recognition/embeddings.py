"""Embeddings that nobody trains for the purpose: the pixels, and the features of a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from mfbench import Dataset, DataSpec, Disentangler, HasFeatures, Progress, Ref, Role, UserError
from mfbench_recognition.linear_decoder import LinearDecoder

BATCH = 256


class Pixels(Disentangler):
    """z = x: neighbours are the images of least square difference."""

    role: ClassVar[Role] = "control"

    def build(self, spec: DataSpec) -> None:
        self.shape = spec.shape

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        """Nothing is learnt."""

    def encode(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def decode(self, z: Tensor) -> Tensor:
        return z.unflatten(1, self.shape)  # type: ignore[no-untyped-call]


class ClassifierFeatures(Disentangler):
    """z = the features of a classifier, fitted to the data's classes; see `mfbench.HasFeatures`."""

    labels_used = 1.0

    def __init__(self, classifier: Annotated[Ref, "defense"] = "cnn") -> None:
        if not isinstance(classifier, str | dict | HasFeatures):
            raise UserError(
                f"classifier_features: classifier = {type(classifier).__name__} has no features; "
                "one with the ability HasFeatures, as the defense cnn, is right"
            )
        self.classifier = classifier

    def build(self, spec: DataSpec) -> None:
        self.decoder = LinearDecoder(spec.shape)

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        x = data.train.x
        codes = torch.cat([self.encode(x[start : start + BATCH]) for start in range(0, len(x), BATCH)])
        self.decoder.fit(codes, x)

    def encode(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            features: Tensor = self.classifier.features(x)
        return features

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def state_dict(self) -> Mapping[str, Tensor]:
        return self.decoder.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.decoder.load_state_dict(state)
