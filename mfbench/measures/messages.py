"""How compositional a language is: messages of integer symbols against the factors they are about.

Every function takes factors (n, k) and symbols (n, length), integers, row i of both about one image
(Chaabouni et al. 2020). Messages that never change score 0.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from mfbench.measures.convert import Array, Values
from mfbench.measures.factors import (
    Labels,
    entropies,
    factors_and_symbols,
    first_two_apart,
    mutual_information,
)


def topographic_similarity(
    factors: Values, symbols: Values, *, distance: Literal["hamming", "edit"] = "hamming"
) -> float:
    """Do messages differ as the factors do? Spearman's correlation, in [-1, 1], of distances over all pairs.

    Brighton and Kirby 2006. Factors differ by the number of unequal ones (as the cosine distance of one-hot
    factors does). Messages differ by the number of unequal positions ("hamming") or by Levenshtein's "edit"
    distance. The latter is usual for sequential senders, whose symbols may shift; where position i is code
    dimension i, the order of dimensions means nothing, which the edit distance does not respect: from three
    positions on it finds a perfect code of shared symbols imperfect. All n (n - 1) / 2 pairs are compared.
    """
    if distance not in ("hamming", "edit"):
        raise ValueError(f"distance = {distance!r}: it is 'hamming' or 'edit'")
    factor, symbol = factors_and_symbols(factors, symbols)
    between = _hamming if distance == "hamming" else _levenshtein
    columns_f, columns_s = np.ascontiguousarray(factor.T), np.ascontiguousarray(symbol.T)
    shape = (len(columns_f) + 1, len(columns_s) + 1)
    pairs = np.zeros(shape[0] * shape[1], dtype=np.int64)
    for i in range(len(factor) - 1):
        apart = _hamming(factor[i], columns_f[:, i + 1 :]) * shape[1]
        apart += between(symbol[i], columns_s[:, i + 1 :])
        pairs += np.bincount(apart, minlength=len(pairs))
    return _rank_correlation(pairs.reshape(shape))


def positional_disentanglement(factors: Values, symbols: Values) -> float:
    """posdis in [0, 1]: does each position tell of one factor only?

    The mean, over the positions j that are not constant, of (I(s_j; v_1) - I(s_j; v_2)) / H(s_j), with v_1
    and v_2 the factors, of k >= 2, that it tells most and second most of (Chaabouni et al. 2020). 1:
    positions tell of one factor each and of nothing else. Several may tell of the same factor, and none of
    another.
    """
    factor, symbol = factors_and_symbols(factors, symbols)
    return _mean_gap(factor, symbol)


def bag_of_symbols_disentanglement(factors: Values, symbols: Values, *, end: int | None = 0) -> float:
    """bosdis in [0, 1]: does each symbol tell, by how often it occurs, of one factor only?

    As `positional_disentanglement`, with the count of a symbol in the message in place of a position: for
    languages whose order means nothing (Chaabouni et al. 2020). `end`: the symbol that ends messages,
    0 as usual, which says nothing of its own and is left out; None where every symbol counts, as on a grid.
    """
    factor, symbol = factors_and_symbols(factors, symbols)
    vocabulary = [word for word in np.unique(symbol) if word != end]
    if not vocabulary:
        return 0.0
    counts = np.stack([(symbol == word).sum(axis=1) for word in vocabulary], axis=1)
    return _mean_gap(factor, counts)


def _mean_gap(factors: Labels, parts: Labels) -> float:
    """The mean, over parts (n, m) that vary, of the gap between the factors they tell most of, by entropy."""
    if factors.shape[1] < 2:
        raise ValueError("one factor cannot be told from others: give two or more")
    varying = parts[:, np.ptp(parts, axis=0) > 0]
    if not varying.shape[1]:
        return 0.0
    return float(np.mean(first_two_apart(mutual_information(factors, varying)) / entropies(varying)))


def _hamming(one: Labels, others: Labels) -> np.ndarray:
    """Number of positions in which a message (length,) and each of the others (length, n) differ, (n,)."""
    return np.asarray(np.count_nonzero(others != one[:, None], axis=0))


def _levenshtein(one: Labels, others: Labels) -> np.ndarray:
    """Levenshtein's distance of a message (length,) to each of the others (length, n), (n,)."""
    length, count = others.shape
    before = np.repeat(np.arange(length + 1, dtype=np.int16)[:, None], count, axis=1)
    for i, symbol in enumerate(one):
        unequal = others != symbol
        now = np.empty_like(before)
        now[0] = i + 1
        now[1:] = np.minimum(before[:-1] + unequal, before[1:] + 1)
        for j in range(1, length + 1):
            np.minimum(now[j], now[j - 1] + 1, out=now[j])
        before = now
    return np.asarray(before[-1], dtype=np.int64)


def _rank_correlation(pairs: Labels) -> float:
    """Spearman's correlation of two discrete quantities from how often each pair of their values occurs.

    Ties share their mean rank; 0 where one quantity is constant.
    """
    counts = pairs.astype(np.float64)
    a, b = _mean_ranks(counts.sum(axis=1)), _mean_ranks(counts.sum(axis=0))
    spread = np.sqrt((counts.sum(axis=1) @ a**2) * (counts.sum(axis=0) @ b**2))
    return float(np.clip(a @ counts @ b / spread, -1.0, 1.0)) if spread > 0 else 0.0


def _mean_ranks(counts: Array) -> Array:
    """Ranks, less their mean and over their number, of values that occur so often, in ascending order."""
    total = counts.sum()
    ranks: Array = (np.cumsum(counts) - counts / 2) / total - 0.5
    return ranks
