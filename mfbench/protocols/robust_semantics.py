"""Does the image still show what the defense says? Reconstructions, labelled by somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Defense, HasFeatures, Reconstructor, Value
from mfbench.protocols.checked import checked_samples
from mfbench.protocols.robust_answers import BATCH, Answers
from mfbench.protocols.robust_metrics import share_value
from mfbench.protocols.sample_image_figures import as_bytes

Array = NDArray[Any]

STAGES = ("clean", "attacked", "purified")
SHOWN = 8
"""Images of the figure: the first that the classifier got right while they were clean."""
TRACED = 60
"""Images whose way through feature space is kept."""


def stages(answers: Answers, x: Tensor, attacked: Tensor) -> dict[str, Tensor]:
    """Clean images, the same attacked by transfer, and those purified."""
    pure = answers.purified(attacked, "stages")
    return {"clean": x, "attacked": attacked, "purified": pure.clamp(0, 1)}


def semantic_consistency(answers: Answers, classifier: Defense, images: Mapping[str, Tensor]) -> list[Value]:
    """Of each stage, how often an independent classifier, shown the reconstruction, says what the defense's
    classifier says of the image. Nothing for defenses that reconstruct nothing.
    """
    defense = answers.defense
    if not isinstance(defense, Reconstructor):
        return []
    values = []
    for stage, x in images.items():
        other = torch.cat(
            [classifier.logits(part).argmax(1) for part in torch.split(reconstructed(defense, x), BATCH)]
        )
        same = (other == answers.undefended(x)).double().cpu().numpy()
        values.append(share_value("semantic_consistency", stage, same))
    return values


def reconstructed(defense: Reconstructor, x: Tensor) -> Tensor:
    """x through its code, without gradient."""
    with torch.no_grad():
        parts = [defense.reconstruct(part, 0) for part in torch.split(x, BATCH)]
    return checked_samples(torch.cat(parts), tuple(x.shape), defense, "reconstruct")


def kept(answers: Answers, images: Mapping[str, Tensor], defended: Tensor, y: Tensor) -> dict[str, Array]:
    """What the figures show: some images of each stage, as bytes, their reconstructions and what is said of
    them; and where features of more of them lie, in the two directions in which clean ones vary most.

    defended: (n,) answers of the defense to the attacked ones; y: (n,) the right ones.
    """
    said = {stage: answers.undefended(x) for stage, x in images.items() if stage != "purified"}
    said["purified"] = defended
    shown = (said["clean"] == y).nonzero()[:SHOWN, 0]
    arrays: dict[str, Array] = {"shown_labels": y[shown].cpu().numpy()}
    for stage, x in images.items():
        arrays[f"shown_{stage}"] = as_bytes(x[shown])
        arrays[f"said_{stage}"] = said[stage][shown].cpu().numpy()
        if isinstance(answers.defense, Reconstructor) and len(shown):
            arrays[f"shown_{stage}_reconstruction"] = as_bytes(reconstructed(answers.defense, x[shown]))
    if isinstance(answers.defense, HasFeatures):
        arrays |= _trajectories(answers.defense, images)
        arrays["trajectory_labels"] = y[:TRACED].cpu().numpy()
    return arrays


def _trajectories(defense: HasFeatures, images: Mapping[str, Tensor]) -> dict[str, Array]:
    """`background` (n, 2), of all clean images, and `trajectory` (3, TRACED, 2), of STAGES."""
    with torch.no_grad():
        codes = {stage: _features(defense, x) for stage, x in images.items()}
    mean = codes["clean"].mean(0)
    _, _, directions = np.linalg.svd(codes["clean"] - mean, full_matrices=False)
    axes = directions[:2].T
    if axes.shape[1] < 2:
        return {}
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), [0, 1]])  # a direction's sign means nothing: fix it
    places = [((codes[stage] - mean) @ axes)[:TRACED] for stage in STAGES]
    background = (codes["clean"] - mean) @ axes
    return {"trajectory": np.stack(places).astype(np.float32), "background": background.astype(np.float32)}


def _features(defense: HasFeatures, x: Tensor) -> Array:
    found: Array = (
        torch.cat([defense.features(part) for part in torch.split(x, BATCH)]).double().cpu().numpy()
    )
    return found
