"""Flows of pixels as methods: training, densities in data space, dequantisation, state, bad input."""

from __future__ import annotations

import math

import pytest
import torch
from flow_fakes import Stripes, fitted, seeded, silent
from mfbench_flows.glow import Glow, GlowDensity
from mfbench_flows.pixels import bits_per_dimension, dequantised, levels_of
from mfbench_flows.wavelet_flow import WaveletFlow, WaveletFlowDensity
from torch.distributions import MultivariateNormal

from mfbench import Dataset, Split, Unsupported, UserError
from mfbench.measures import auroc
from mfbench.testing.data import TinyImages

TINY = {"steps": 2, "width": 8, "iterations": 80, "batch_size": 16}
METHODS = {
    "glow": (lambda **changed: Glow(**{"scales": 1, **TINY, **changed}), GlowDensity),
    "wavelet_flow": (
        lambda **changed: WaveletFlow(**{"levels": 1, "features": 4, **TINY, **changed}),
        WaveletFlowDensity,
    ),
}


@pytest.fixture(scope="module")
def data():
    return Stripes()


@pytest.fixture(scope="module", params=METHODS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def make(kind):
    return METHODS[kind][0]


@pytest.fixture(scope="module")
def model(make, data):
    return fitted(make(), data)


@pytest.fixture(scope="module")
def density(kind):
    return METHODS[kind][1]


# -- densities -----------------------------------------------------------------------------------------------


def test_training_helps_and_seen_is_above_unseen(make, model, density, data):
    untrained = fitted(make(iterations=0), data)
    before, after = (density(each).log_prob(data.test.x) for each in (untrained, model))
    assert after.shape == (64,)
    assert float(after.mean()) > float(before.mean()) + 5
    assert auroc(after, density(model).log_prob(Stripes(noise=True).test.x)) > 0.95


def test_the_density_is_the_flows_and_the_scales(model, data):
    x = data.test.x[:5]
    space = model.space
    expected = model.flow.log_prob((x - space.shift) / space.scale) - 64 * math.log(space.scale.item())
    assert torch.allclose(model.log_prob(x), expected)


def test_it_has_gradients_in_x_and_the_likelihood_none(model, density, data):
    x = data.test.x[:2].clone().requires_grad_()
    model.log_prob(x).sum().backward()
    assert float(x.grad.abs().sum()) > 0
    assert not density(model).log_prob(x).requires_grad


class Correlated(Dataset):
    """2 x 2 pixels of one Gaussian, continuous."""

    name, shape = "correlated", (1, 2, 2)

    def __init__(self, *, seed=0):
        super().__init__(seed=seed)
        root = torch.tensor([[1.0, 0, 0, 0], [0.8, 0.5, 0, 0], [0.3, 0.2, 0.6, 0], [-0.5, 0.1, 0.2, 0.4]]) / 8
        self.law = MultivariateNormal(torch.full((4,), 0.5), scale_tril=root)

    def make_split(self, split):
        noise = torch.randn(4000, 4, generator=seeded(["train", "val", "test"].index(split)))
        return Split((self.law.loc + noise @ self.law.scale_tril.T).view(-1, 1, 2, 2))

    def log_density(self, x):
        return self.law.log_prob(x.flatten(1))


def test_it_learns_a_correlated_gaussian(kind):
    """In nats of data space, against the true density: a wrong constant would show at once."""
    make, density = METHODS[kind]
    changed = {"iterations": 300, "batch_size": 128, "learning_rate": 1e-2, "dequantise": False}
    data = Correlated()
    model = fitted(make(**changed), data)
    x = data.test.x
    error = data.log_density(x) - density(model).log_prob(x)
    assert -0.01 < float(error.mean()) < 0.1  # the Kullback-Leibler divergence from the truth to the flow


# -- dequantisation ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_levels_are_found_in_both_encodings(levels):
    k = torch.arange(levels, dtype=torch.float32)
    assert torch.equal(levels_of(k / (levels - 1), levels), k)
    assert torch.equal(levels_of((k + 0.5) / levels, levels), k)
    found = dequantised((k / (levels - 1)).expand(2000, -1), levels, seeded())
    assert float((levels_of(found, levels) != k).float().mean()) < 1e-4  # u rounds up to 1 at times
    assert torch.allclose((found * levels - k).mean(0), torch.full((levels,), 0.5), atol=0.05)
    assert 0 <= found.min() <= found.max() <= 1


def test_seventeen_levels_of_the_digits():
    stored = (torch.arange(17) * 255 / 16).round() / 255
    assert torch.equal(levels_of(stored, 17), torch.arange(17.0))


def test_bits_per_dimension():
    """The uniform density on [0, 1]^D: log p = 0, log2 K bits a number."""
    assert float(bits_per_dimension(torch.zeros(1), 64)) == pytest.approx(8)
    assert float(bits_per_dimension(torch.zeros(1), 64, levels=16)) == pytest.approx(4)
    assert float(bits_per_dimension(torch.tensor([64 * math.log(2)]), 64)) == pytest.approx(7)


def test_dequantised_scores_bound_the_probability_of_the_levels(kind):
    """Two levels of 2 x 1 pixels: P(k) by quadrature over each cell, and the bound below it."""
    make, density = METHODS[kind]

    class Coins(Stripes):
        def make_split(self, split):
            return Split(super().make_split(split).x.round())

    data = Coins((1, 2, 1))
    model = fitted(make(grey_levels=2, iterations=100, learning_rate=1e-2), data)
    cell = (torch.arange(100) + 0.5) / 200
    inside = torch.cartesian_prod(cell, cell).view(-1, 1, 2, 1)
    for corner in torch.cartesian_prod(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0])).view(-1, 1, 2, 1):
        log_p = model.log_prob(inside + corner / 2)
        log_mass = float(log_p.logsumexp(0)) - math.log(len(inside)) - 2 * math.log(2)
        bound, copies = density(model, dequantisations=4), corner.expand(500, 1, 2, 1)
        found = float(bound.log_prob(copies, rng=seeded()).mean()) - 2 * math.log(2)
        assert bound.bound == "lower"
        assert found < log_mass
        assert found == pytest.approx(float(log_p.mean()) - 2 * math.log(2), abs=0.1)


def test_without_dequantisation_it_is_exact_and_needs_no_generator(model, density, data):
    x = data.test.x[:4]
    assert density(model).bound == "exact"
    assert torch.equal(density(model).log_prob(x), model.log_prob(x))
    drawn = density(model, dequantisations=2)
    assert torch.equal(drawn.log_prob(x, rng=seeded()), drawn.log_prob(x, rng=seeded()))
    with pytest.raises(UserError, match="rng"):
        drawn.log_prob(x)


# -- samples and state ---------------------------------------------------------------------------------------


def test_samples_are_images_drawn_from_the_generator(model):
    samples = model.sample(300, rng=seeded())
    assert samples.shape == (300, 1, 8, 8)
    assert 0 <= samples.min() <= samples.max() <= 1
    assert torch.equal(samples, model.sample(300, rng=seeded()))
    assert not torch.equal(samples, model.sample(300, rng=seeded(1)))


def test_samples_are_the_inverse_of_noise_at_the_temperature(make, model, data):
    cold = make(temperature=0.0)
    cold.build(data.spec())
    cold.load_state_dict(model.state_dict())
    images = cold.sample(3, rng=seeded())
    assert torch.equal(images[0], images[1])
    warm = make(temperature=0.5)
    warm.build(data.spec())
    warm.load_state_dict(model.state_dict())
    z = torch.randn(3, 64, generator=seeded())
    expected = model.space.to_data(model.flow.inverse(0.5 * z)).clamp(0, 1)
    assert torch.allclose(warm.sample(3, rng=seeded()), expected, atol=1e-6)


def test_its_samples_look_like_the_data(model, data):
    samples = model.sample(200, rng=seeded())
    assert float(samples.mean()) == pytest.approx(float(data.train.x.mean()), abs=0.1)
    within = lambda x: float(x.std(3).mean())  # noqa: E731 - rows are of one brightness
    assert within(samples) < 0.65 * within(Stripes(noise=True).train.x)


def test_state_round_trip(make, model, data):
    copy = make()
    copy.build(data.spec())
    copy.load_state_dict({key: value.clone() for key, value in model.state_dict().items()})
    assert torch.equal(copy.log_prob(data.test.x), model.log_prob(data.test.x))
    assert torch.equal(copy.sample(3, rng=seeded()), model.sample(3, rng=seeded()))


def test_the_same_seed_gives_the_same_fit_and_leaves_the_global_generator(make, data):
    state = torch.get_rng_state()
    one, two, other = (fitted(make(iterations=3), data, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name])
    assert any(not torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_it_is_trained_in_float64_where_the_data_are(make, data):
    moved = data.to("cpu", torch.float64)
    model = make(iterations=2)
    model.build(moved.spec(dtype=torch.float64))
    model.fit(moved.without_test(), rng=seeded(), progress=silent)
    x = moved.test.x[:3]
    z, _ = model.flow(model.space.to_model(x))
    assert z.dtype == torch.float64
    assert float((model.space.to_data(model.flow.inverse(z)) - x).abs().max()) < 1e-10
    assert model.sample(2, rng=seeded()).dtype == torch.float64


def test_colour_and_progress(make):
    seen = []
    model = make(iterations=25)
    data = TinyImages(channels=3, size=8)
    model.build(data.spec())
    model.fit(data.without_test(), rng=seeded(), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(20, 25), (25, 25)]
    assert model.sample(2, rng=seeded()).shape == (2, 3, 8, 8)


# -- bad input -----------------------------------------------------------------------------------------------


def test_bad_parameters_are_told(kind, make, data):
    for changed, text in (
        ({"steps": 0}, "steps = 0: at least 1"),
        ({"iterations": -1}, "iterations = -1: at least 0"),
        ({"grey_levels": 1}, "grey_levels = 1: at least 2"),
        ({"learning_rate": 0.0}, "learning_rate = 0.0: above 0"),
        ({"temperature": -0.1}, "temperature = -0.1: at least 0"),
    ):
        with pytest.raises(UserError, match=f"{kind}: {text}"):
            make(**changed)
    with pytest.raises(Unsupported, match=f"{kind} is for images"):
        make().build(Correlated().spec().__class__(shape=(2,), train_count=3))


def test_a_diverging_training_is_told(make, data):
    with pytest.raises(UserError, match="learning_rate = 1e\\+30: after 20 iterations the loss is"):
        fitted(make(learning_rate=1e30), data)


def test_another_generator_is_refused(kind, density, data):
    other = METHODS["glow" if kind == "wavelet_flow" else "wavelet_flow"][0]()
    with pytest.raises(UserError, match=f"the generator {kind} is needed"):
        density(other).build(data.spec())


def test_glow_needs_sizes_that_halve():
    with pytest.raises(Unsupported, match="glow: images of 28 x 28 are halved 2 times at most, not 3"):
        Glow(scales=3).build(Stripes((1, 28, 28)).spec())
