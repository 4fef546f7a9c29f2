"""The majority vote metric of FactorVAE: which code varies least where a factor is held fixed."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from mfbench.measures.convert import Array, Generator, Values, as_array, numpy_generator
from mfbench.measures.factors import Labels, codes_and_factors

_SEED = 20180617
"""Of the votes, where the caller has no generator."""
_IMAGES = 2**12
"""Codes asked of a sampler at once."""


class FixedFactorSampler(Protocol):
    """Draws the codes of batches of images, in each of which one factor is held fixed."""

    def __call__(self, fixed: Labels, size: int, rng: np.random.Generator) -> Values:
        """Codes (m, size, d) of m batches; fixed (m,) holds numbers of factors, 0 to k - 1.

        The images of batch i share the value of factor `fixed[i]`, which is drawn at random for the batch;
        their other factors are drawn at random for each image.
        """


def factor_vae_score(
    codes: Values,
    factors: Values,
    *,
    sample: FixedFactorSampler | None = None,
    rng: Generator | None = None,
    votes: int = 10_000,
    held_out_votes: int = 5_000,
    batch_size: int = 64,
    least_deviation: float = 0.05,
) -> float:
    """FactorVAE score in [0, 1] (Kim and Mnih 2018): does the code of least variance tell what is fixed?

    codes (n, d), real, and factors (n, k), k >= 2, integers, of random images. In each of many batches one
    factor, chosen at random, is held fixed, and the code with the least variance, relative to its variance
    among all `codes`, casts a vote. For each code the factor it votes for most is learnt from `votes`; the
    score is how often that is right in `held_out_votes`. Guessing gives about 1 / k. Codes with a standard
    deviation below `least_deviation` have collapsed and do not vote (0 where all have); all numbers are those
    of Locatello et al. 2019.

    `sample` draws the batches: see `FixedFactorSampler`. By default they are drawn with replacement from the
    images given, so of each factor some values must be shared by several images.
    """
    code, factor = codes_and_factors(codes, factors, factors_at_least=2)
    if min(votes, held_out_votes) < 1 or batch_size < 2:
        raise ValueError(
            f"one vote and one held-out vote, of two images each, are the least: not {votes} and "
            f"{held_out_votes}, of {batch_size}"
        )
    variances = np.var(code, axis=0, ddof=1)
    active = np.sqrt(variances) >= least_deviation
    if not active.any():
        return 0.0
    draw = _Table(code, factor) if sample is None else sample
    generator = np.random.default_rng(_SEED) if rng is None else numpy_generator(rng)
    shape = (factor.shape[1], code.shape[1])
    scale = np.where(active, variances, np.nan)
    learnt = _cast(draw, votes, batch_size, shape, scale, generator).argmax(axis=0)
    test = _cast(draw, held_out_votes, batch_size, shape, scale, generator)
    return float(test[learnt, np.arange(shape[1])].sum() / held_out_votes)


class _Table:
    """Draws batches with replacement from given codes (n, d) and factors (n, k)."""

    def __init__(self, codes: Array, factors: Labels) -> None:
        self.codes = codes
        self.order = np.argsort(factors, axis=0, kind="stable").T
        groups = [np.unique(column, return_counts=True, return_inverse=True)[1:] for column in factors.T]
        self.count = np.stack([counts[inverse] for inverse, counts in groups])
        self.start = np.stack([(np.cumsum(counts) - counts)[inverse] for inverse, counts in groups])
        self.shared = [np.flatnonzero(counts > 1) for counts in self.count]
        for j, rows in enumerate(self.shared):
            if not len(rows):
                raise ValueError(f"factor {j}: no two samples share a value, so it cannot be held fixed")

    def __call__(self, fixed: Labels, size: int, rng: np.random.Generator) -> Array:
        row = np.array([rng.choice(self.shared[j]) for j in fixed])
        start, count = self.start[fixed, row][:, None], self.count[fixed, row][:, None]
        place = start + rng.integers(0, count, (len(fixed), size))
        drawn: Array = self.codes[self.order[fixed[:, None], place]]
        return drawn


def _cast(
    draw: FixedFactorSampler,
    votes: int,
    size: int,
    shape: tuple[int, int],
    scale: Array,
    rng: np.random.Generator,
) -> Labels:
    """How often each code (d) had the least scaled variance where each factor (k) was fixed, (k, d)."""
    table = np.zeros(shape, dtype=np.int64)
    fixed = rng.integers(0, shape[0], votes)
    at_once = max(1, _IMAGES // size)
    for start in range(0, votes, at_once):
        chunk = fixed[start : start + at_once]
        codes = as_array(draw(chunk, size, rng))
        if codes.shape != (len(chunk), size, shape[1]):
            raise ValueError(
                f"the sampler gave codes {codes.shape} where {(len(chunk), size, shape[1])} are right"
            )
        chosen = np.nanargmin(np.var(codes, axis=1, ddof=1) / scale, axis=1)
        np.add.at(table, (chunk, chosen), 1)
    return table
