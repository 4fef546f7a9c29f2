"""Quadrature along a curve: panels, weights, moments, and chunks."""

from __future__ import annotations

import math

import numpy as np
import torch

from mfbench.datasets import curves
from mfbench.datasets.curves import NodeMixture, quadrature


def test_weights_sum_to_the_length_and_nodes_stay_inside():
    nodes, weights = quadrature(-1.0, 2.5, lambda u: 10 + 100 * u**2)
    assert np.isclose(weights.sum(), 3.5, rtol=1e-14)
    assert (np.diff(nodes) > 0).all()
    assert nodes[0] > -1.0
    assert nodes[-1] < 2.5
    assert (weights > 0).all()


def test_fast_stretches_get_more_nodes():
    nodes, _ = quadrature(0.0, 1.0, lambda u: np.where(u < 0.5, 50.0, 1000.0))
    assert ((nodes > 0.55) & (nodes < 0.95)).sum() > 10 * ((nodes > 0.05) & (nodes < 0.45)).sum()


def test_a_sharp_fall_at_the_end_is_integrated():
    """What a point far beyond the end sees: exp(-D u) with D up to 1e5 a noise width."""
    nodes, weights = quadrature(0.0, 10.0, lambda u: np.ones_like(u))
    for rate in (1.0, 30.0, 1e3, 1e5):
        exact = -math.expm1(-10 * rate) / rate
        assert np.isclose(weights @ np.exp(-rate * nodes), exact, rtol=1e-6)
        assert np.isclose(weights @ np.exp(-rate * (10 - nodes)), exact, rtol=1e-6)


def small_mixture() -> NodeMixture:
    rng = np.random.default_rng(0)
    roots = rng.standard_normal((5, 2, 2))
    covariances = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(2)
    return NodeMixture(np.array([0.1, 0.3, 0.2, 0.15, 0.25]), rng.standard_normal((5, 2)), covariances)


def test_node_mixture_is_torchs_mixture():
    mixture = small_mixture()
    weights, centres, covariances = map(
        torch.from_numpy, (mixture.weights, mixture.centres, mixture.covariances)
    )
    reference = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(weights),
        torch.distributions.MultivariateNormal(centres, covariances),
    )
    x = torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3
    torch.testing.assert_close(mixture.log_density(x), reference.log_prob(x), rtol=1e-11, atol=1e-11)
    mean, deviation = mixture.moments()
    np.testing.assert_allclose(mean, reference.mean.numpy())
    np.testing.assert_allclose(deviation, reference.stddev.numpy())


def test_chunks_do_not_change_the_density(monkeypatch):
    x = torch.randn(103, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole = small_mixture().log_density(x)
    monkeypatch.setattr(curves, "_CHUNK_ENTRIES", 50)
    torch.testing.assert_close(small_mixture().log_density(x), whole, rtol=1e-13, atol=1e-13)
