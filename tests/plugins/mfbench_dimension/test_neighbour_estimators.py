"""k-NN maximum likelihood and local PCA: exact laws where they are known, limits, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mfbench_dimension.knn_mle import NeighbourLikelihood
from mfbench_dimension.local_pca import LocalPCA, spectrum
from mfbench_dimension.neighbours import Neighbours, as_rows
from mfbench_dimension.oracle import OracleDimension
from protocol_fakes import fitted
from scipy import stats

import mfbench
from mfbench import Dataset, Split, Unsupported, UserError
from mfbench.datasets.manifolds import EmbeddedGaussian, EmbeddedSphere, EmbeddedTorus, ManifoldUnion
from mfbench.measures import auroc


class Points(Dataset):
    """The given training points."""

    name = "points"

    def __init__(self, x):
        super().__init__()
        self.x, self.shape = x, tuple(x.shape[1:])

    def make_split(self, split):
        return Split(self.x)


def balls(repeats, n, dim, seed=0):
    """(repeats, n, dim) points, uniform in the unit ball."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((repeats, n, dim))
    x *= rng.random((repeats, n, 1)) ** (1 / dim) / np.linalg.norm(x, axis=2, keepdims=True)
    return torch.from_numpy(x)


class TestMaximumLikelihood:
    @pytest.mark.parametrize(("dim", "k"), [(2, 10), (5, 20)])
    def test_at_the_centre_of_a_ball_its_law_is_that_of_levina_and_bickel(self, dim, k):
        """(k - 2) / Gamma(k - 1, rate d): mean d, standard deviation d / sqrt(k - 3)."""
        centre = torch.zeros(1, dim, dtype=torch.float64)
        found = np.array(
            [
                float(fitted(NeighbourLikelihood(k=k, pooled=0), Points(x)).intrinsic_dimension(centre))
                for x in balls(600, k + 10, dim)
            ]
        )
        error = dim / math.sqrt(k - 3)
        assert found.mean() == pytest.approx(dim, abs=3.5 * error / math.sqrt(600))
        assert found.std() == pytest.approx(error, rel=0.15)
        assert stats.kstest((k - 2) / found, stats.gamma(k - 1, scale=1 / dim).cdf).pvalue > 1e-3

    def test_pooling_keeps_the_mean_and_lowers_the_spread(self):
        data = EmbeddedTorus(dimension=2, ambient=6, count=20_000, test_count=1000)
        alone, pooled = (
            fitted(NeighbourLikelihood(k=20, pooled=pooled), data).intrinsic_dimension(data.test.x)
            for pooled in (0, 20)
        )
        for found in (alone, pooled):
            assert found.mean().item() == pytest.approx(2, abs=0.05)
        assert alone.std().item() == pytest.approx(2 / math.sqrt(17), rel=0.15)
        assert pooled.std() < 0.4 * alone.std()

    def test_pooled_is_the_inverse_of_the_mean_inverse(self):
        data = EmbeddedSphere(count=300, test_count=20)
        x = data.test.x
        method = fitted(NeighbourLikelihood(k=10, pooled=4), data)
        own, nearest = method.log_ratios(as_rows(x))
        others, _ = method.log_ratios(method.neighbours.points)
        inverse = np.array([np.mean([own[i], *others[nearest[i, :4]]]) / 9 for i in range(20)])
        expected = (5 * 9 - 1) / (5 * 9) / inverse
        np.testing.assert_allclose(method.intrinsic_dimension(x.double()).numpy(), expected)

    @pytest.mark.parametrize("dimension", [1, 3, 6])
    def test_it_finds_the_dimension_of_spheres_and_subspaces(self, dimension):
        for kind in (EmbeddedSphere, EmbeddedGaussian):
            data = kind(dimension=dimension, ambient=20, count=8000, test_count=300)
            found = fitted(NeighbourLikelihood(), data).intrinsic_dimension(data.test.x)
            assert found.mean().item() == pytest.approx(dimension, rel=0.06)

    def test_scale_and_rotation_do_not_matter(self):
        data = EmbeddedSphere(dimension=2, ambient=4, count=400, test_count=30)
        rotation = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))[0]
        turned = Points(1000 * data.train.x @ rotation)
        expected = fitted(NeighbourLikelihood(), data).intrinsic_dimension(data.test.x)
        found = fitted(NeighbourLikelihood(), turned).intrinsic_dimension(1000 * data.test.x @ rotation)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=0)

    def test_a_training_point_is_no_neighbour_of_itself(self):
        data = EmbeddedSphere(count=400)
        found = fitted(NeighbourLikelihood(pooled=0), data).intrinsic_dimension(data.train.x)
        assert found.min() > 1
        assert found.mean().item() == pytest.approx(4, abs=0.4)

    def test_points_that_coincide_have_no_dimension(self):
        x = torch.cat(
            [torch.zeros(30, 2), torch.randn(30, 2, generator=torch.Generator().manual_seed(0)) + 9]
        )
        for pooled in (0, 5):
            method = fitted(NeighbourLikelihood(k=5, pooled=pooled), Points(x))
            assert method.intrinsic_dimension(torch.zeros(1, 2)).item() == 0.0

    def test_its_score_tells_far_points_from_near_ones(self):
        data = EmbeddedSphere(dimension=2, ambient=8, count=1000)
        method = fitted(NeighbourLikelihood(), data)
        assert auroc(method.score(data.test.x), method.score(data.test.x + 2)) > 0.95
        with pytest.raises(NotImplementedError):
            method.log_prob(data.test.x)


class TestLocalPCA:
    @pytest.mark.parametrize("rule", ["largest", "explained"])
    @pytest.mark.parametrize("dimension", [1, 3, 8])
    def test_it_is_exact_on_linear_subspaces(self, rule, dimension):
        threshold = {"largest": None, "explained": 1 - 1e-6}[rule]
        data = EmbeddedGaussian(dimension=dimension, ambient=20, count=2000, test_count=200)
        found = fitted(LocalPCA(rule=rule, threshold=threshold), data).intrinsic_dimension(data.test.x)
        assert torch.equal(found, torch.full((200,), float(dimension)))

    def test_it_is_exact_on_lines_of_two_directions(self):
        t = torch.linspace(0, 1, 200, dtype=torch.float64)[:, None]
        first, second = t * torch.tensor([[1.0, 2, 3]]), 50 + t * torch.tensor([[0.0, 1, -1]])
        method = fitted(LocalPCA(k=20), Points(torch.cat([first, second])))
        assert method.intrinsic_dimension(torch.cat([first, second])).unique().tolist() == [1.0]

    def test_curvature_adds_dimensions_once_the_neighbourhood_is_wide(self):
        data = EmbeddedSphere(dimension=2, ambient=6, count=2000, test_count=100)
        near, far = (
            fitted(LocalPCA(k=k), data).intrinsic_dimension(data.test.x).unique().tolist() for k in (30, 1500)
        )
        assert (near, far) == ([2.0], [3.0])

    def test_it_tells_the_parts_of_a_union_apart(self):
        data = ManifoldUnion(count=6000, test_count=500)
        found = fitted(LocalPCA(), data).intrinsic_dimension(data.test.x)
        assert (found == data.intrinsic_dimension(data.test.x)).double().mean() > 0.99

    def test_small_noise_is_not_counted_and_large_noise_is(self):
        small, large = (EmbeddedGaussian(dimension=2, ambient=6, noise=s, count=4000) for s in (0.005, 1.0))
        found = [fitted(LocalPCA(), data).intrinsic_dimension(data.test.x[:200]) for data in (small, large)]
        assert found[0].unique().tolist() == [2.0]
        assert found[1].mean() > 5.5

    def test_the_rules_count_as_they_say(self):
        eigenvalues = np.array([[100.0, 50, 6, 4, 0]])
        assert LocalPCA(threshold=0.05).count(eigenvalues) == [3]
        assert LocalPCA(threshold=0.03).count(eigenvalues) == [4]
        assert LocalPCA(rule="explained", threshold=0.9).count(eigenvalues) == [2]
        assert LocalPCA(rule="explained", threshold=0.97).count(eigenvalues) == [3]
        for rule in ("largest", "explained"):
            assert LocalPCA(rule=rule).count(np.zeros((1, 5))) == [0]

    @pytest.mark.parametrize("shape", [(5, 30, 4), (5, 4, 30)])
    def test_the_spectrum_is_that_of_the_scatter_matrix(self, shape):
        x = np.random.default_rng(0).standard_normal(shape)
        found = spectrum(x)
        assert found.shape == (5, 4)
        for rows, eigenvalues in zip(x, found):
            expected = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
            np.testing.assert_allclose(eigenvalues, np.where(expected < 1e-9, 0, expected), atol=1e-10)

    def test_it_ranks_nothing(self):
        data = EmbeddedSphere(count=400)
        with pytest.raises(Unsupported, match="ranks nothing"):
            fitted(LocalPCA(), data).score(data.test.x)


def test_the_oracle_is_the_data_sets_and_ranks_nothing():
    data = ManifoldUnion(count=400)
    method = fitted(OracleDimension(), data)
    assert method.role == "ceiling"
    assert torch.equal(method.intrinsic_dimension(data.test.x), data.intrinsic_dimension(data.test.x))
    with pytest.raises(Unsupported, match="ranks nothing"):
        method.score(data.test.x)


def test_neighbours_are_the_nearest_in_order_whatever_the_block(monkeypatch):
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    asked = torch.cat([x[:5], x[:45] + 0.01]).numpy()
    distances = np.linalg.norm(asked[:, None] - x.numpy(), axis=2)
    distances[distances == 0] = np.inf
    expected = np.argsort(distances, axis=1)[:, :7]
    for numbers in (10, 2**20):
        monkeypatch.setattr("mfbench_dimension.neighbours.NUMBERS_AT_ONCE", numbers)
        blocks = list(Neighbours(x, 7, "test").around(asked))
        assert (len(blocks) > 1) == (numbers == 10)
        np.testing.assert_array_equal(np.concatenate([found for _, found in blocks]), expected)
        differences = np.concatenate([differences for differences, _ in blocks])
        np.testing.assert_allclose(differences, x.numpy()[expected] - asked[:, None])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NeighbourLikelihood(k=2), "k = 2: at least 3"),
        (lambda: NeighbourLikelihood(k=5, pooled=6), "from 0 to k = 5"),
        (lambda: LocalPCA(k=1), "k = 1: at least 2"),
        (lambda: LocalPCA(threshold=1.0), "threshold = 1.0: between 0 and 1"),
        (lambda: fitted(LocalPCA(k=40), EmbeddedSphere(count=40)), "local_pca: k = 40: 40 training points"),
        (lambda: fitted(NeighbourLikelihood(), EmbeddedSphere(count=10)), "knn_mle: k = 20: 10 training"),
    ],
)
def test_wrong_parameters_are_told_in_one_line(make, message):
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize("make", [NeighbourLikelihood, LocalPCA])
def test_images_are_rows_and_answers_come_in_their_type(make):
    x = torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    found = fitted(make(k=10, **({"pooled": 5} if make is NeighbourLikelihood else {})), Points(x))
    assert found.intrinsic_dimension(x[:7]).shape == (7,)
    assert found.intrinsic_dimension(x[:7]).dtype == torch.float32
    assert isinstance(found, mfbench.EstimatesDimension)
