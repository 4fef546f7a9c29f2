"""The ORL faces (AT&T Laboratories Cambridge; Samaria and Harter 1994): 40 people, 10 images each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mfbench.datasets.collected import CollectedImages
from mfbench.datasets.images import RawImages
from mfbench.datasets.npz import read_npz, require_bytes, require_numbers
from mfbench.datasets.sources import SourceFile

_HEIGHT, _WIDTH = 112, 92
_PEOPLE, _EACH = 40, 10


class OrlFaces(CollectedImages):
    """ORL faces: 400 images of 40 people, 112 x 92 grey; train, val and test show different people.

    The label y and the identity are both the person, 0 to 39 for s1 to s40.
    """

    name = "orl_faces"
    native = (1, _HEIGHT, _WIDTH)
    # Collected from the laboratory's PGM files into one array; nobody publishes a SHA-256 of that.
    sources = (SourceFile("orl_faces/orl_faces_400.npz"),)
    how_to_get = (
        "its public address is gone; put {folder}/orl_faces/orl_faces_400.npz there with the arrays images "
        "(400, 112, 92) uint8, subject (400,) from 1, index (400,), made of the files s*/*.pgm of a copy of "
        "att_faces.zip (docs/datasets.md shows how)"
    )

    @classmethod
    def read(cls, path: Path) -> RawImages:
        arrays = read_npz(path, {"images": (None, _HEIGHT, _WIDTH), "subject": (None,), "index": (None,)})
        subject = require_numbers(path, "subject", arrays["subject"], 1, _PEOPLE)
        require_numbers(path, "index", arrays["index"], 1, _EACH)
        people, person = np.unique(subject, return_inverse=True)
        return RawImages(
            require_bytes(path, "images", arrays["images"])[:, None],
            y=person.astype(np.int64),
            identity=person.astype(np.int64),
            names={"classes": tuple(f"s{number}" for number in people)},
        )

    @classmethod
    def oddities(cls, images: RawImages) -> Sequence[str]:
        assert images.y is not None
        counts = np.bincount(images.y)
        if counts.tolist() == [_EACH] * _PEOPLE:
            return ()
        return [
            f"holds {len(images)} images of {len(counts)} people, not {_EACH} of each of {_PEOPLE}",
        ]
