"""What every measure does with its arguments: tensors and arrays alike become float64 arrays on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Array: TypeAlias = npt.NDArray[np.float64]
Values: TypeAlias = Union["torch.Tensor", npt.ArrayLike]
Generator: TypeAlias = Union["torch.Generator", np.random.Generator]


def as_array(values: Values) -> Array:
    """Any tensor (detached, from any device and of any dtype) or array, as a float64 array."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=np.float64)


def as_scores(values: Values, name: str) -> Array:
    """One score an example, shape (n,), n >= 1. Infinities are legal, NaN is not (ValueError)."""
    scores = as_array(values)
    if scores.ndim != 1 or not len(scores):
        raise ValueError(f"{name} must have shape (n,) with n >= 1, not {scores.shape}")
    missing = int(np.count_nonzero(np.isnan(scores)))
    if missing:
        raise ValueError(f"{name} holds NaN ({missing} of {len(scores)})")
    return scores


def as_samples(values: Values, name: str, at_least: int = 1) -> Array:
    """Finite samples (n, ...), n >= `at_least`, flattened to (n, dim)."""
    samples = as_array(values)
    if samples.ndim == 0 or len(samples) < at_least:
        raise ValueError(f"{name} must hold at least {at_least} samples, shape (n, ...), not {samples.shape}")
    if not np.isfinite(samples).all():
        raise ValueError(f"{name} must be finite")
    return samples.reshape(len(samples), -1)


def same_dimension(x: Array, y: Array) -> None:
    """Refuse two sample sets that do not live in one space (ValueError)."""
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"samples of {x.shape[1]} and of {y.shape[1]} dimensions cannot be compared")


def numpy_generator(rng: Generator) -> np.random.Generator:
    """`rng` itself, or a NumPy generator seeded with the next draw of a torch generator."""
    if isinstance(rng, np.random.Generator):
        return rng
    import torch

    seed = torch.randint(2**62, (), generator=rng, device=rng.device)
    return np.random.default_rng(int(seed))
