"""The point sets: splits, seeds, parameters, and agreement with scikit-learn's generators."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from sklearn import datasets as sklearn_sets

from mfbench.datasets.points import Checkerboard, Circles, Moons, Pinwheel, SCurve, SwissRoll
from mfbench.errors import UserError

SETS = [SwissRoll, Circles, Moons, SCurve, Pinwheel, Checkerboard]


@pytest.mark.parametrize("kind", SETS)
def test_counts_shapes_and_dtypes(kind):
    data = kind(count=400)
    assert [len(split) for split in (data.train, data.val, data.test)] == [400, 100, 200]
    assert len(kind(count=400, test_count=7).test) == 7
    assert data.train.x.shape[1:] == data.shape == (2,)
    assert data.train.x.dtype == torch.float32
    assert data.log_density(data.val.x).shape == (100,)
    assert data.log_density(data.val.x[:0]).shape == (0,)


@pytest.mark.parametrize("kind", SETS)
def test_same_seed_same_bits_and_other_seeds_and_splits_differ(kind):
    first, again, other = kind(count=200, seed=3), kind(count=200, seed=3), kind(count=200, seed=4)
    assert torch.equal(first.train.x, again.train.x)
    assert not torch.equal(first.train.x, other.train.x)
    assert not torch.isin(first.test.x, first.train.x).any(), "splits are drawn independently"


def test_bits_are_the_same_in_another_process():
    code = (
        "from mfbench.datasets.points import Pinwheel;"
        "print(Pinwheel(count=8, seed=1).train.x.double().sum().item())"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert float(run.stdout) == Pinwheel(count=8, seed=1).train.x.double().sum().item()


@pytest.mark.parametrize("kind", SETS)
def test_digest_follows_parameters_and_seed(kind):
    def digest(seed: int, **parameters) -> str:
        data = kind(seed=seed, **parameters)
        data.parameters = parameters  # as the registry does
        return data.digest

    assert digest(0, count=100) == digest(0, count=100)
    assert len({digest(0, count=100), digest(1, count=100), digest(0, count=101)}) == 3


@pytest.mark.parametrize("kind", SETS)
def test_log_density_keeps_dtype_and_does_not_depend_on_the_batch(kind):
    data = kind(count=4000)
    x = data.train.x
    whole = data.log_density(x)
    assert whole.dtype == torch.float32
    assert data.log_density(x.double()).dtype == torch.float64
    # a matrix product rounds by its shape, so the last bit may differ
    torch.testing.assert_close(whole[1234:1236], data.log_density(x[1234:1236]), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", SETS)
def test_log_density_is_differentiable(kind):
    x = kind(count=8).train.x.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: kind().log_density(x), (x,), rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        (SwissRoll, {"count": 3}, "count = 3"),
        (Moons, {"test_count": 0}, "test_count = 0"),
        (Circles, {"noise": 0.0}, "noise = 0.0"),
        (SCurve, {"noise": float("nan")}, "noise = nan"),
        (Circles, {"factor": 1.0}, "factor = 1.0"),
        (Pinwheel, {"arms": 0}, "arms = 0"),
    ],
)
def test_impossible_parameters_are_refused_in_one_line(kind, parameters, message):
    with pytest.raises(UserError, match=message):
        kind(**parameters)


def test_points_of_another_dimension_are_refused():
    with pytest.raises(ValueError, match="moons"):
        Moons().log_density(torch.zeros(3, 5))


def from_sklearn(kind, count: int) -> np.ndarray:
    """scikit-learn's points with the set's own noise, two coordinates."""
    if kind is SwissRoll:
        return sklearn_sets.make_swiss_roll(count, noise=0.5, random_state=0)[0][:, [0, 2]]
    if kind is SCurve:
        return sklearn_sets.make_s_curve(count, noise=0.05, random_state=0)[0][:, [0, 2]]
    if kind is Circles:
        return sklearn_sets.make_circles(count, noise=0.05, factor=0.5, random_state=0)[0]
    return sklearn_sets.make_moons(count, noise=0.05, random_state=0)[0]


@pytest.mark.parametrize("kind", [SwissRoll, Circles, Moons, SCurve])
def test_scikit_learn_makes_the_same_set(kind):
    """Same moments and the same mean log-density: a wrong curve would lose nats."""
    data = kind()
    mean, deviation = data.moments
    theirs = torch.from_numpy((from_sklearn(kind, 20_000) - mean) / deviation)
    assert theirs.mean(0).abs().max() < 0.03
    assert (theirs.std(0) - 1).abs().max() < 0.02
    ours = data.log_density(data.train.x.double()).mean()
    assert abs(data.log_density(theirs).mean() - ours) < 0.04


def test_circles_take_another_factor():
    radius = Circles(count=1000, noise=0.001, factor=0.8).train.x.norm(dim=1)
    middle = (radius.min() + radius.max()) / 2
    ratio = radius[radius < middle].mean() / radius[radius > middle].mean()
    assert ratio.item() == pytest.approx(0.8, abs=1e-3)


def test_swiss_roll_is_made_quickly():
    SwissRoll().train  # noqa: B018 - imports and first calls
    fastest = np.inf
    for seed in range(5):
        start = time.perf_counter()
        SwissRoll(seed=seed).train  # noqa: B018 - made when asked for
        fastest = min(fastest, time.perf_counter() - start)
    assert fastest < 0.01
