"""What a method returns is held to its contract, with the method's name and the count of what is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mfbench.errors import ContractError
from mfbench.protocols.checked import checked_samples, checked_scores


class Method:
    pass


def test_scores_become_float64_arrays():
    scores = checked_scores(torch.tensor([1.0, -math.inf, math.inf], requires_grad=True), 3, Method())
    assert scores.dtype == np.float64
    assert scores.tolist() == [1.0, -math.inf, math.inf]


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (torch.tensor([1.0, math.nan, math.nan]), r"Method\.score returned NaN for 2 of 3 samples"),
        (torch.zeros(3, 1), r"Method\.score must return shape \(3,\), not \(3, 1\)"),
        (torch.zeros(2), r"must return shape \(3,\), not \(2,\)"),
        (np.zeros(3), r"must return a torch\.Tensor, not ndarray"),
        (torch.zeros(3, dtype=torch.int64), r"must return floating-point numbers, not torch\.int64"),
    ],
)
def test_broken_scores(scores, message):
    with pytest.raises(ContractError, match=message):
        checked_scores(scores, 3, Method())


def test_samples_are_detached():
    samples = checked_samples(torch.zeros(3, 2, requires_grad=True), (3, 2), Method())
    assert not samples.requires_grad


def test_broken_samples_are_counted_by_sample():
    samples = torch.zeros(4, 2)
    samples[1] = math.nan
    samples[3, 0] = math.inf
    with pytest.raises(ContractError, match=r"Method\.sample returned non-finite values in 2 of 4 samples"):
        checked_samples(samples, (4, 2), Method())
