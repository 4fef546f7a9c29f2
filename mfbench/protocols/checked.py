"""What methods return, held to their contract before anything is measured with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mfbench.errors import ContractError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def checked_scores(scores: Any, count: int, who: object, call: str = "score") -> NDArray[Any]:
    """Scores or log-densities as a float64 array (count,).

    Infinities are legal (a density may be 0). ContractError: another type or shape, or NaN, saying how many.
    """
    scores = _checked_tensor(scores, (count,), who, call)
    missing = int(scores.isnan().sum())
    if missing:
        raise ContractError(f"{_name(who, call)} returned NaN for {missing} of {count} samples")
    array: NDArray[Any] = scores.detach().cpu().double().numpy()
    return array


def checked_samples(samples: Any, shape: tuple[int, ...], who: object, call: str = "sample") -> Tensor:
    """Samples of exactly this shape, all finite, without gradient; ContractError otherwise."""
    checked: Tensor = _checked_tensor(samples, shape, who, call).detach()
    broken = int((~checked.isfinite()).flatten(1).any(dim=1).sum())
    if broken:
        raise ContractError(
            f"{_name(who, call)} returned non-finite values in {broken} of {shape[0]} samples"
        )
    return checked


def _checked_tensor(value: Any, shape: tuple[int, ...], who: object, call: str) -> Tensor:
    if not isinstance(value, Tensor):
        raise ContractError(f"{_name(who, call)} must return a torch.Tensor, not {type(value).__name__}")
    if tuple(value.shape) != tuple(shape):
        raise ContractError(f"{_name(who, call)} must return shape {tuple(shape)}, not {tuple(value.shape)}")
    if not torch.is_floating_point(value):
        raise ContractError(f"{_name(who, call)} must return floating-point numbers, not {value.dtype}")
    return value


def _name(who: object, call: str) -> str:
    return f"{type(who).__name__}.{call}"
