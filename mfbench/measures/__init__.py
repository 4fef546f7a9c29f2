"""Measures: pure functions from tensors or arrays to numbers; no files, no registry.

Importing this package imports nothing else: each name is fetched from its module when first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfbench.measures.comparison import *  # noqa: F403
    from mfbench.measures.correlation import *  # noqa: F403
    from mfbench.measures.distances import *  # noqa: F403
    from mfbench.measures.divergences import *  # noqa: F403
    from mfbench.measures.features import *  # noqa: F403
    from mfbench.measures.grid import *  # noqa: F403
    from mfbench.measures.images import *  # noqa: F403
    from mfbench.measures.importances import *  # noqa: F403
    from mfbench.measures.information import *  # noqa: F403
    from mfbench.measures.intervals import *  # noqa: F403
    from mfbench.measures.messages import *  # noqa: F403
    from mfbench.measures.neighbours import *  # noqa: F403
    from mfbench.measures.normalised_information import *  # noqa: F403
    from mfbench.measures.perceptual import *  # noqa: F403
    from mfbench.measures.predictability import *  # noqa: F403
    from mfbench.measures.ranking import *  # noqa: F403
    from mfbench.measures.resampled import *  # noqa: F403
    from mfbench.measures.two_sample import *  # noqa: F403
    from mfbench.measures.votes import *  # noqa: F403

_MODULES = {
    "comparison": ("Difference", "holm", "paired_difference", "paired_t_matrix", "rank_intervals"),
    "correlation": ("spearman",),
    "distances": ("energy_distance", "maximum_mean_discrepancy", "median_heuristic", "sliced_wasserstein"),
    "intervals": ("Interval", "bootstrap_mean", "delong", "over_seeds", "student", "wilson"),
    "neighbours": ("SupportOverlap", "precision_recall_density_coverage"),
    "ranking": ("auroc", "average_precision", "fpr_at_95_tpr", "placements"),
    "resampled": ("percentile", "ranking_bootstrap"),
    "two_sample": ("ClassifierTest", "c2st"),
}
_BY_NAME = {
    "divergences": ("bernoulli_kl", "gaussian_total_correlation"),
    "features": ("frechet_distance", "kernel_distance"),
    "grid": ("GridAssignment", "assign_grid", "grid_accuracy"),
    "images": ("psnr", "ssim"),
    "importances": ("DCI", "dci"),
    "information": ("modularity", "mutual_information_gap"),
    "messages": ("bag_of_symbols_disentanglement", "positional_disentanglement", "topographic_similarity"),
    "normalised_information": ("InfoMEC", "infomec"),
    "perceptual": ("lpips",),
    "predictability": ("explicitness", "separated_attribute_predictability"),
    "votes": ("FixedFactorSampler", "factor_vae_score"),
}
"""Modules that count for the identity of a result only where one of their names is mentioned, so that a new
measure leaves alone what was computed without it. New modules go here."""
HOME = {name: module for module, names in (_MODULES | _BY_NAME).items() for name in names}
"""The module that each name comes from: what `mfbench.registry.sources` follows."""
TOGETHER = tuple(sorted(_MODULES))
"""The modules that `from mfbench import measures` alone stands for."""
MENTIONED = frozenset(name for names in _BY_NAME.values() for name in names)
"""The names that stand for their modules wherever they are written, as in `measures.psnr`."""

__all__ = sorted(HOME)


def __getattr__(name: str) -> Any:
    if name not in HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
