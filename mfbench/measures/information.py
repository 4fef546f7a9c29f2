"""Disentanglement in terms of the mutual information between codes and factors."""

from __future__ import annotations

import numpy as np

from mfbench.measures.convert import Array, Values
from mfbench.measures.factors import (
    BINS,
    codes_and_factors,
    entropies,
    first_two_apart,
    histogram_bins,
    mutual_information,
)


def mutual_information_gap(codes: Values, factors: Values, *, bins: int = BINS) -> float:
    """MIG in [0, 1] (Chen et al. 2018, section 4): is each factor told by one code, and by no other?

    codes (n, d), d >= 2, real; factors (n, k), integers. The mean over factors j of
    (I(c_i; v_j) - I(c_l; v_j)) / H(v_j), where code c_i tells most and c_l second most of v_j, by the plug-in
    estimate from histograms of 20 bins of equal width, as in Locatello et al. 2019, who use 10,000 samples: n
    samples give about (bins - 1)(values - 1) / (2 n) nats to codes that tell nothing. Several factors may
    share one code: see `modularity`.
    """
    code, factor = codes_and_factors(codes, factors, codes_at_least=2)
    information = mutual_information(histogram_bins(code, bins), factor)
    return float(np.mean(first_two_apart(information) / entropies(factor)))


def modularity(codes: Values, factors: Values, *, bins: int = BINS) -> float:
    """Modularity in [0, 1] (Ridgeway and Mozer 2018): does each code tell of one factor only?

    codes (n, d), real; factors (n, k), k >= 2, integers. The mean over codes i of
    1 - (sum over j != j* of I_ij^2) / (I_ij*^2 (k - 1)), with I as in `mutual_information_gap` and j* the
    factor that the code tells most of. A constant code counts 0, as in Locatello et al. 2019; one of noise
    counts what the noise in its estimates makes of it. Duplicated codes are as modular as single ones.
    """
    code, factor = codes_and_factors(codes, factors, factors_at_least=2)
    squared = np.square(mutual_information(histogram_bins(code, bins), factor))
    most = squared.max(axis=1)
    told = most > 0
    others = (squared.sum(axis=1) - most)[told] / (most[told] * (factor.shape[1] - 1))
    scores: Array = np.zeros(len(squared))
    scores[told] = 1 - others
    return float(np.mean(scores))
