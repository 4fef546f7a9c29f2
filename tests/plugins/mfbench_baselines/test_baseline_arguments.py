"""Hyper-parameters that cannot be are told when a baseline is made, in one line."""

from __future__ import annotations

import pytest
from mfbench_baselines.flow import SplineFlow
from mfbench_baselines.kde import KernelDensity
from mfbench_baselines.mixture import MixtureGenerator, MixtureLikelihood
from mfbench_baselines.oracles import ExactDiffusion
from mfbench_baselines.outliers import IsolationForestScore, LocalOutlierFactorScore

from mfbench import UserError


@pytest.mark.parametrize(
    ("method", "name", "value", "message"),
    [
        (LocalOutlierFactorScore, "neighbours", 0, "lof: neighbours = 0: at least 1"),
        (IsolationForestScore, "trees", 0, "isolation_forest: trees = 0: at least 1"),
        (ExactDiffusion, "num_steps", 0, "exact_diffusion: num_steps = 0: at least 2"),
        (ExactDiffusion, "num_steps", 1, "exact_diffusion: num_steps = 1: at least 2"),
        (KernelDensity, "bandwidth", 0.0, "kde: bandwidth = 0.0: above 0"),
        (MixtureLikelihood, "components", 0, "gmm: components = 0: at least 1"),
        (MixtureGenerator, "components", 0, "gmm: components = 0: at least 1"),
        (SplineFlow, "transforms", 0, "zuko: transforms = 0: at least 1"),
        (SplineFlow, "width", 0, "zuko: width = 0: at least 1"),
        (SplineFlow, "bins", 0, "zuko: bins = 0: at least 1"),
        (SplineFlow, "batch", 0, "zuko: batch = 0: at least 1"),
        (SplineFlow, "learning_rate", -1.0, "zuko: learning_rate = -1.0: at least 0"),
    ],
)
def test_what_cannot_be_is_refused(method, name, value, message):
    with pytest.raises(UserError) as error:
        method(**{name: value})
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        (LocalOutlierFactorScore, "neighbours", 1),
        (IsolationForestScore, "trees", 1),
        (ExactDiffusion, "num_steps", 2),
        (MixtureLikelihood, "components", 1),
        (SplineFlow, "iterations", 0),
    ],
)
def test_the_least_that_can_be_is_taken(method, name, value):
    assert getattr(method(**{name: value}), name) == value
