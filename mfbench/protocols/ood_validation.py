"""Sets to choose by: what keeps them apart from the sets that are tested."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from mfbench.errors import UserError
from mfbench.protocols.ood_part import Part
from mfbench.protocols.ood_twins import may_share


def require_apart(validation: Sequence[Part], tested: Sequence[Part]) -> None:
    """UserError where a validation set is of the same kind as a tested one.

    Two sets of one name are, unless both say which `classes` they show, of the same `labels`, and share none.
    """
    for part in validation:
        for other in tested:
            if may_share(part.data, other.data):
                raise UserError(
                    f"ood_auroc: {part.name} is no set to choose by, as {other.name} is tested; two sets of "
                    "one name count as different where both say their `classes` and share none of them"
                )


def require_unshared(validation: Sequence[Part], tested: Sequence[Part]) -> None:
    """UserError where a sample to choose by is, value for value, a sample that is tested."""
    known = {part.name: _fingerprints(part) for part in tested}
    for part in validation:
        mine = _fingerprints(part)
        for name, theirs in known.items():
            if mine & theirs:
                raise UserError(
                    f"ood_auroc: {len(mine & theirs)} samples of {part.name} are also in the test split of "
                    f"{name}; sets to choose by must share none with those that are tested"
                )


def _fingerprints(part: Part) -> set[bytes]:
    """Hashes of the samples, the same where all values are."""
    rows = part.x.detach().flatten(1).cpu().numpy()
    return {hashlib.sha256(row.tobytes()).digest() for row in rows}
