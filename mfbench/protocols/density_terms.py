"""Density terms: which part of a log-density tells unseen data from seen?

Question. A flow's log-density is a sum: log p(z) of the latent, log-determinants of what leads to it. Tu et
al. say that log p(z) separates faces from other images, and that the log-determinants change little. How well
does each term separate alone, and what does adding it change?

Needs. A likelihood whose score is a sum of terms (`HasDensityTerms`); an in-distribution set, and other sets
of the same shape and, for images, with the same history of compression.

Measurement. The terms of the first `count` test samples of every set, added up in the method's order. For
each other set: AUROC of every partial sum (the whole one's mean over the sets is the primary metric) and of
each term alone, with DeLong's intervals; the change of AUROC that a term makes when it is added, with
DeLong's interval of a paired difference; and by how many nats the term's median is larger on the seen set,
with a bootstrap interval.

References. Tu et al. 2023, Fig. 2; DeLong, DeLong and Clarke-Pearson 1988.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri

from mfbench import measures
from mfbench.contracts import (
    Clock,
    Dataset,
    EvaluationProtocol,
    HasDensityTerms,
    Measurement,
    Metric,
    Record,
    Ref,
    Value,
)
from mfbench.errors import ContractError, Unsupported, UserError
from mfbench.protocols.checked import checked_scores
from mfbench.protocols.density_terms_figures import draw, kept
from mfbench.protocols.density_terms_findings import findings
from mfbench.protocols.ood_auroc import combined_placements, mean_auroc
from mfbench.protocols.ood_part import Part
from mfbench.protocols.ood_sets import ood_sets
from mfbench.protocols.timed import timed_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]
Terms = dict[str, Array]
"""By name, in the order of addition, (n,) nats."""
DRAWS = 1000
"""Resamples of the bootstrap."""
NORMAL = float(ndtri(0.975))


class DensityTerms(EvaluationProtocol):
    """How well each term of a log-density tells the data set from others."""

    kind: ClassVar[str] = "likelihood"
    ability: ClassVar[type | None] = HasDensityTerms
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "auroc",
            primary=True,
            description="of the sum; parts: of the sums up to a term",
            lowest=0,
            highest=1,
        ),
        Metric("auroc_alone", better=None, description="of a term alone", lowest=0, highest=1),
        Metric(
            "auroc_change",
            better=None,
            description="what adding the term does to the AUROC of the sum before it",
            lowest=-1,
            highest=1,
        ),
        Metric(
            "gap", "nats", better=None, description="median of the term on the seen set, less on the other"
        ),
    )
    workload: ClassVar[str] = "scores 1,000 points, or 100 images"

    def evaluate(  # type: ignore[override]
        self,
        method: Any,
        data: Dataset,
        *,
        rng: torch.Generator,
        clock: Clock,
        against: list[Ref],
        near: list[Annotated[Ref, "dataset"]] | None = None,
        count: int | None = None,
    ) -> Measurement:
        """The terms of `data.test` and of the test split of each set in `near` and `against`, the first
        `count` samples of each (None: all).
        """
        if not isinstance(method, HasDensityTerms):
            raise Unsupported(f"{type(method).__name__} has no terms: its score is not a sum")
        sets = ood_sets(data, against, near or (), (), count)
        timed = timed_rows(sets.seen.x)
        clock.measure(lambda: method.density_terms(timed))
        if clock.timing_only:
            return Measurement()
        seen, *unseen = (terms_of(method, part) for part in (sets.seen, *sets.unseen))
        if any(list(other) != list(seen) for other in unseen):
            raise ContractError(f"{type(method).__name__}.density_terms has other terms for other images")
        names = [part.name for part in sets.unseen]
        pairs = {name: (sums(seen), sums(other)) for name, other in zip(names, unseen)}
        values, resampling = [mean_over(pairs)], seeded(rng)
        for name, other in zip(names, unseen):
            values += separations(name, *pairs[name])
            values += [v for term in seen for v in alone(name, term, seen[term], other[term], resampling)]
        arrays = kept(sets.seen.name, seen, dict(zip(names, unseen)))
        return Measurement(
            values, scores={}, arrays=arrays, notes=without_gap(seen, dict(zip(names, unseen)))
        )

    def check_parameters(self, **parameters: Any) -> None:
        """UserError for a count below 2."""
        count = parameters["count"]
        if count is not None and count < 2:
            raise UserError(f"density_terms: count = {count}: at least 2, or none for all")

    def draw(self, records: Sequence[Record], arrays: Sequence[Mapping[str, Array]]) -> dict[str, Figure]:
        """Histograms of the partial sums: a row a set, all of them in the last (Fig. 2)."""
        return draw(records, arrays)

    def findings(self, records: Sequence[Record]) -> list[str]:
        """Whether the first term separates, and whether the others change little: the paper's claim."""
        return findings(records)


def terms_of(method: Any, part: Part) -> Terms:
    """Checked, float64."""
    with torch.no_grad():
        terms = method.density_terms(part.x)
    if not terms:
        raise ContractError(f"{type(method).__name__}.density_terms gave none")
    return {
        name: checked_scores(term, len(part.x), method, "density_terms").astype(np.float64)
        for name, term in terms.items()
    }


def sums(terms: Terms) -> Terms:
    """Partial sums, by the name of the last term in them; ContractError where infinities cancel."""
    with np.errstate(invalid="ignore"):
        summed = dict(zip(terms, np.cumsum(list(terms.values()), axis=0)))
    for name, values in summed.items():
        if np.isnan(values).any():
            raise ContractError(
                f"density_terms: {name!r} and what is before it are infinite with opposite signs; their sum "
                "is no number"
            )
    return summed


def mean_over(pairs: Mapping[str, tuple[Terms, Terms]]) -> Value:
    """Mean AUROC of the whole sum over the sets; of a single set its own interval."""
    whole = {
        name: (list(seen.values())[-1], list(other.values())[-1]) for name, (seen, other) in pairs.items()
    }
    areas = [measures.delong(*pair) for pair in whole.values()]
    return Value("auroc", "", *mean_auroc(areas, combined_placements(whole)))


def separations(name: str, seen: Terms, other: Terms) -> list[Value]:
    """AUROC of the partial sums, and the changes between one and the next."""
    values, before = [], None
    for term in seen:
        area = measures.delong(seen[term], other[term])
        count = len(seen[term]) + len(other[term])
        values.append(Value("auroc", f"{name}: {term}", area.value, count, area.low, area.high))
        placed = measures.placements(seen[term], other[term])
        if before is not None:
            values.append(change(f"{name}: {term}", before, placed))
        before = placed
    return values


def change(part: str, before: tuple[Array, Array], after: tuple[Array, Array]) -> Value:
    """AUROC after less AUROC before, with DeLong's normal interval of the paired difference."""
    differences = [b - a for a, b in zip(before, after)]
    value = float(differences[0].mean())
    half = NORMAL * np.sqrt(sum(np.var(each, ddof=1) / len(each) for each in differences))
    count = sum(map(len, differences))
    return Value("auroc_change", part, value, count, max(-1.0, value - half), min(1.0, value + half))


def seeded(rng: torch.Generator) -> np.random.Generator:
    """NumPy's generator for the bootstrap, from torch's."""
    return np.random.default_rng(int(torch.randint(2**31 - 1, (), generator=rng, device=rng.device)))


def alone(name: str, term: str, seen: Array, other: Array, rng: np.random.Generator) -> list[Value]:
    """AUROC of a term by itself, and its gap in nats, of medians, as a coupling may stretch single unseen
    images without bound; the interval is the bootstrap's. No gap where a value is infinite.
    """
    part, count = f"{name}: {term}", len(seen) + len(other)
    area = measures.delong(seen, other)
    drawn = [np.median(rng.choice(x, (DRAWS, len(x))), axis=1) for x in (seen, other)]
    values = [Value("auroc_alone", part, area.value, count, area.low, area.high)]
    if _finite(seen, other):
        low, high = np.percentile(drawn[0] - drawn[1], (2.5, 97.5))
        gap = float(np.median(seen) - np.median(other))
        values.append(Value("gap", part, gap, count, float(low), float(high)))
    return values


def without_gap(seen: Terms, unseen: Mapping[str, Terms]) -> list[str]:
    """Notes on terms whose gap is left out."""
    return [
        f"{name}: {term} is infinite for some samples: no gap"
        for name, other in unseen.items()
        for term in seen
        if not _finite(seen[term], other[term])
    ]


def _finite(*values: Array) -> bool:
    return all(bool(np.isfinite(each).all()) for each in values)
