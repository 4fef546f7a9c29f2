"""Embeddings in which images are recognised: what section 3.3 of Tu et al. 2023 lays attributes out on.

An embedding is registered as a disentangler: of the five kinds it is the one that gives an image a code. The
decoder that the kind asks for as well is the best linear one, which shows what pixels the code still holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import mfbench

if TYPE_CHECKING:
    from mfbench.registry import Registrar


@mfbench.hookimpl
def mfbench_register(registry: Registrar) -> None:
    """Everything by import path: reading this imports no torch."""
    registry.disentangler(
        "contrastive",
        "mfbench_recognition.contrastive:Contrastive",
        summary="embedding learnt by contrast: of people where there are identities, else of images",
        reference="Schroff et al. 2015; Khosla et al. 2020; Chen et al. 2020",
    )
    registry.disentangler(
        "random_embedding",
        "mfbench_recognition.contrastive:RandomEmbedding",
        summary="the same network with random weights: a control",
    )
    registry.disentangler(
        "pixels",
        "mfbench_recognition.embeddings:Pixels",
        summary="the pixels themselves as a code: a control",
    )
    registry.disentangler(
        "classifier_features",
        "mfbench_recognition.embeddings:ClassifierFeatures",
        summary="what a classifier's last layer sees, as a code",
    )
