"""The mixture against scikit-learn's density, its integral, its own samples, and its state."""

from __future__ import annotations

import pytest
import torch
from mfbench_baselines import mixture
from mfbench_baselines.mixture import MixtureGenerator, MixtureLikelihood, fit_mixture
from mfbench_baselines.seeds import seed_from
from protocol_fakes import Normal, fitted, seeded
from sklearn.mixture import GaussianMixture

from mfbench.contracts import Dataset, Split
from mfbench.errors import UserError

DATA = Normal(count=500)


def test_density_is_scikit_learns():
    method = fitted(MixtureLikelihood(components=5), DATA)
    reference = GaussianMixture(5, max_iter=200, random_state=seed_from(seeded()))
    reference.fit(DATA.train.x.double().numpy())
    expected = reference.score_samples(DATA.test.x.double().numpy())
    assert method.log_prob(DATA.test.x).numpy() == pytest.approx(expected, abs=1e-4)


def test_density_integrates_to_one():
    method = fitted(MixtureLikelihood(components=8), DATA)
    axis = torch.linspace(-8, 8, 401)
    density = method.log_prob(torch.cartesian_prod(axis, axis)).exp()
    assert float(density.sum()) * (16 / 400) ** 2 == pytest.approx(1.0, abs=1e-3)


def test_chunks_do_not_matter(monkeypatch):
    method = fitted(MixtureLikelihood(components=5), DATA)
    whole = method.log_prob(DATA.test.x)
    monkeypatch.setattr(mixture, "NUMBERS_AT_ONCE", 100)
    assert torch.allclose(method.log_prob(DATA.test.x), whole, atol=1e-6)


def test_the_same_seed_gives_the_same_fit():
    one, two, other = (fit_mixture(DATA.train.x, 6, seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(one.means, two.means)
    assert not torch.equal(one.means, other.means)


def test_samples_have_the_moments_of_the_mixture():
    generator = fitted(MixtureGenerator(components=3), DATA)
    fit = generator.mixture
    samples = generator.sample(40_000, rng=seeded(1))
    mean = fit.weights @ fit.means
    second = torch.einsum("k,kij->ij", fit.weights, fit.scale_tril @ fit.scale_tril.mT)
    spread = second + (fit.weights[:, None] * (fit.means - mean)).T @ (fit.means - mean)
    assert torch.allclose(samples.mean(0), mean, atol=0.02)
    assert torch.allclose(samples.T.cov(), spread, atol=0.03)
    assert torch.equal(samples, generator.sample(40_000, rng=seeded(1)))


def test_samples_score_as_the_training_data_do():
    generator = fitted(MixtureGenerator(components=3), DATA)
    score = fitted(MixtureLikelihood(components=3), DATA).log_prob
    assert float(score(generator.sample(5000, rng=seeded(2))).mean()) == pytest.approx(
        float(score(DATA.train.x).mean()), abs=0.1
    )


@pytest.mark.parametrize("kind", [MixtureLikelihood, MixtureGenerator])
def test_state_round_trip(kind):
    method = fitted(kind(components=4), DATA)
    copy = kind(components=4)
    copy.build(DATA.spec())
    assert {name: tensor.shape for name, tensor in copy.state_dict().items()} == {
        name: tensor.shape for name, tensor in method.state_dict().items()
    }
    copy.load_state_dict(method.state_dict())
    for name, tensor in method.state_dict().items():
        assert torch.equal(copy.state_dict()[name], tensor)


def test_images_keep_their_shape():
    class Images(Dataset):
        shape, name = (1, 2, 2), "images"

        def make_split(self, split):
            return Split(torch.rand(50, 1, 2, 2, generator=seeded()))

    assert fitted(MixtureGenerator(components=2), Images()).sample(7, rng=seeded()).shape == (7, 1, 2, 2)
    assert fitted(MixtureLikelihood(components=2), Images()).log_prob(Images().train.x).shape == (50,)


def test_nonsense_is_refused():
    with pytest.raises(UserError, match="gmm: components = 0: at least 1"):
        MixtureLikelihood(components=0)
    with pytest.raises(UserError, match="600 components need at least as many points"):
        fitted(MixtureLikelihood(components=600), DATA)
