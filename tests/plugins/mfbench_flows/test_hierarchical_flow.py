"""The hierarchical flow as a method: two trainings, levels, super-resolution, scores, state, bad input."""

from __future__ import annotations

import math

import pytest
import torch
from flow_fakes import Stripes, fitted, seeded
from mfbench_flows.glow import Glow
from mfbench_flows.glow_steps import GlowSteps
from mfbench_flows.hierarchical_density import HierarchicalFlowDensity
from mfbench_flows.hierarchical_flow import HierarchicalFlow
from mfbench_flows.hierarchy_densities import log_px_exact, log_px_paper
from mfbench_flows.sizes import resized
from torch.nn.functional import avg_pool2d

from mfbench import DataSpec, Reconstructor, SuperResolver, Unsupported, UserError

TINY = {
    "width": 8,
    "steps": [2],
    "flow_width": 8,
    "features": 4,
    "iterations": 100,
    "batch_size": 16,
    "learning_rate": 1e-2,
}
SCORES = [("log_pz", "exact"), ("log_py", "exact"), ("log_px", "exact"), ("log_px", "paper")]


def make(**changed):
    return HierarchicalFlow(**{**TINY, **changed})


@pytest.fixture(scope="module")
def data():
    return Stripes()


@pytest.fixture(scope="module")
def model(data):
    return fitted(make(), data)


def errors(model, x, level=1):
    return (model.reconstruct(x, level) - model.at_level(x, level)).square().mean((1, 2, 3))


# -- training ------------------------------------------------------------------------------------------------


def test_the_autoencoders_learn_every_level(model, data):
    """Better than their start, and at full size better than what the next level's image tells alone."""
    untrained, x = fitted(make(iterations=0), data), data.test.x
    for level in (1, 2):
        assert float(errors(model, x, level).mean()) < 0.7 * float(errors(untrained, x, level).mean())
    without_code = (resized(avg_pool2d(x, 2), (8, 8)) - x).square().mean()
    assert float(errors(model, x).mean()) < 0.5 * float(without_code)


def test_the_flows_learn_the_codes(model, data):
    """Against the same autoencoders with the flows at their start."""
    start = make()
    start.build(data.spec())
    fresh = {name: value for name, value in start.state_dict().items() if ".flows." in name}
    start.load_state_dict({**model.state_dict(), **fresh})
    for level in (1, 2):
        before, after = (HierarchicalFlowDensity(each, "log_py", level) for each in (start, model))
        assert float(after.score(data.test.x).mean()) > float(before.score(data.test.x).mean()) + 2


def test_the_autoencoders_are_frozen_while_the_flows_train(data):
    states = []

    class Watched(HierarchicalFlow):
        def _train(self, *arguments):
            super()._train(*arguments)
            states.append({name: value.clone() for name, value in self.state_dict().items()})

    fitted(Watched(**{**TINY, "iterations": 5}), data)
    first, second = states
    for name, value in first.items():
        if ".flows." in name:
            continue
        assert torch.equal(value, second[name])
    assert any(not torch.equal(value, second[name]) for name, value in first.items())


def test_progress_counts_both_trainings(data):
    seen = []
    model = make(iterations=25)
    model.build(data.spec())
    model.fit(data.without_test(), rng=seeded(), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(20, 50), (25, 50), (45, 50), (50, 50)]


def test_the_same_seed_gives_the_same_fit_and_leaves_the_global_generator(data):
    state = torch.get_rng_state()
    one, two, other = (fitted(make(iterations=3), data, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name])
    assert any(not torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


# -- images --------------------------------------------------------------------------------------------------


def test_generation_by_level(model):
    for level, size in ((1, 8), (2, 4)):
        images = model.generate(300, level, 1.0, rng=seeded())
        assert images.shape == (300, 1, size, size)
        assert 0 <= images.min() <= images.max() <= 1
        assert torch.equal(images, model.generate(300, level, 1.0, rng=seeded()))
    assert torch.equal(model.sample(3, rng=seeded()), model.generate(3, 1, 1.0, rng=seeded()))
    cold = model.generate(2, 1, 0.0, rng=seeded())
    assert torch.equal(cold[0], cold[1])


def test_samples_are_at_the_temperature_of_the_flow(model, data):
    cold = make(temperature=0.5)
    cold.build(data.spec())
    cold.load_state_dict(model.state_dict())
    assert torch.equal(cold.sample(3, rng=seeded()), model.generate(3, 1, 0.5, rng=seeded()))


def test_samples_have_the_brightness_of_the_data(model, data):
    samples = model.sample(200, rng=seeded())
    assert float(samples.mean()) == pytest.approx(float(data.train.x.mean()), abs=0.1)


def test_reconstruction_is_the_image_of_the_latents(model, data):
    """In model space, f^+(g^-1(g(f(x)))) = f^+(f(x))."""
    assert isinstance(model, Reconstructor)
    x = model.space.to_model(data.test.x[:5])
    hierarchy = model.hierarchy
    latents = [z for z, _ in hierarchy.latents(hierarchy.encode(x))]
    expected = model.space.to_data(hierarchy.generate(latents)).clamp(0, 1)
    assert torch.allclose(model.reconstruct(data.test.x[:5], 1), expected, atol=1e-4)


def test_super_resolution_sees_the_small_image(model, data):
    assert isinstance(model, SuperResolver)
    low = avg_pool2d(data.test.x, 2)
    found = model.super_resolve(low, 2, 0.5, rng=seeded())
    assert found.shape == data.test.x.shape
    own = (avg_pool2d(found, 2) - low).square().mean()
    others = (avg_pool2d(found, 2) - low.roll(1, 0)).square().mean()
    assert float(own) < 0.6 * float(others)
    assert not torch.equal(found, model.super_resolve(low, 2, 0.5, rng=seeded(1)))
    frozen = model.super_resolve(low, 2, 0.0, rng=seeded())
    assert torch.equal(frozen, model.super_resolve(low, 2, 0.0, rng=seeded(1)))


def test_state_round_trip(model, data):
    copy = make()
    copy.build(data.spec())
    copy.load_state_dict({key: value.clone() for key, value in model.state_dict().items()})
    assert torch.equal(copy.sample(3, rng=seeded()), model.sample(3, rng=seeded()))
    for density, mode in SCORES:
        one, other = (HierarchicalFlowDensity(each, density, 1, mode) for each in (copy, model))
        assert torch.equal(one.score(data.test.x[:4]), other.score(data.test.x[:4]))


# -- scores --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize(("density", "mode"), SCORES)
def test_scores_are_one_finite_number_an_image(model, data, density, mode, level):
    method = HierarchicalFlowDensity(model, density, level, mode)
    method.build(data.spec())
    x = data.test.x[:20]
    scores = method.score(x)
    assert scores.shape == (20,)
    assert torch.isfinite(scores).all()
    assert not scores.requires_grad
    assert torch.allclose(torch.cat([method.score(x[:1]), method.score(x[1:])]), scores, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize(("density", "mode"), SCORES)
def test_the_terms_add_up_to_the_score(model, data, density, mode, level):
    method, x = HierarchicalFlowDensity(model, density, level, mode), data.test.x[:6]
    terms = method.density_terms(x)
    names = ["log p(z)", "log |det| of the flow", "log |det| of the autoencoder"]
    assert list(terms) == names[: {"log_pz": 1, "log_py": 2, "log_px": 3}[density]]
    assert torch.allclose(torch.stack(list(terms.values())).sum(0), method.score(x), rtol=1e-5, atol=1e-3)


def test_noise_on_codes_makes_decoders_forgiving(data):
    """The same training with and without: what noise on the codes costs is less where it was trained for."""

    def cost(model):
        hierarchy, x = model.hierarchy, model.space.to_model(data.test.x)
        codes = hierarchy.encode(x)
        noisy = [code + 0.5 * code.std() * torch.randn(code.shape, generator=seeded(3)) for code in codes]
        return float((hierarchy.decode(noisy)[0] - hierarchy.decode(codes)[0]).square().mean())

    plain, forgiving = (fitted(make(code_noise=noise), data) for noise in (0.0, 0.5))
    assert cost(forgiving) < 0.8 * cost(plain)


@pytest.mark.parametrize("level", [1, 2])
def test_the_scale_of_model_space_is_in_the_densities_of_images(model, data, level):
    """d log scale, for as many numbers as the codes have: of the density's own dimension."""
    hierarchy, x = model.hierarchy, data.test.x[:3]
    inside = model.space.to_model(x)
    numbers = sum(math.prod(shape) for shape in hierarchy.code_shapes[level - 1 :])
    constant = numbers * math.log(model.space.scale.item())
    exact = log_px_exact(hierarchy, hierarchy.encode(inside, level), level) - constant
    paper = log_px_paper(hierarchy, inside, level) - constant
    for mode, expected in (("exact", exact), ("paper", paper)):
        found = HierarchicalFlowDensity(model, "log_px", level, mode).score(x)
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-2)


def test_only_the_exact_density_of_full_images_is_one(model, data):
    for density, mode in SCORES:
        for level in (1, 2):
            method = HierarchicalFlowDensity(model, density, level, mode)
            if (density, mode, level) == ("log_px", "exact", 1):
                assert method.bound == "exact"
                x = data.test.x[:3]
                assert torch.equal(method.log_prob(x), method.score(x))
            else:
                assert method.bound == "score"
                with pytest.raises(Unsupported, match="only ranks"):
                    method.log_prob(data.test.x)


# -- bad input -----------------------------------------------------------------------------------------------


def test_bad_parameters_are_told():
    for changed, text in (
        ({"levels": 0}, "levels = 0: at least 1"),
        ({"code_factor": 0}, "code_factor = 0: at least 1"),
        ({"iterations": -1}, "iterations = -1: at least 0"),
        ({"grey_levels": 1}, "grey_levels = 1: at least 2"),
        ({"learning_rate": 0.0}, "learning_rate = 0.0: above 0"),
    ):
        with pytest.raises(UserError, match=f"hierarchical_flow: {text}"):
            make(**changed)


def test_sizes_and_shapes_are_told(data):
    with pytest.raises(Unsupported, match="hierarchical_flow is for images"):
        make().build(DataSpec(shape=(2,), train_count=3))
    with pytest.raises(Unsupported, match=r"levels = 3: images of 28 x 14 .* not 2: 14 x 7 does not halve"):
        make(levels=3).build(DataSpec(shape=(1, 28, 14), train_count=3))
    with pytest.raises(Unsupported, match="the codes: images of 7 x 7 are halved 0 times at most"):
        make(levels=3).build(DataSpec(shape=(1, 28, 28), train_count=3))


def test_steps_are_by_level(data):
    """The last number holds for the levels that come after it, too."""
    model = make(levels=3, steps=[3, 1])
    model.build(data.spec())
    counts = [
        [len(m.couplings) for m in model.hierarchy.flow(level).modules() if isinstance(m, GlowSteps)]
        for level in (1, 2, 3)
    ]
    assert counts == [[3], [1], [1]]


def test_first_codes_have_mean_0_and_variance_1_behind_the_first_layer(data):
    """ActNorm's start (Kingma and Dhariwal 2018), with the images that `fit` draws first."""
    model, x = fitted(make(iterations=0, dequantise=False, batch_size=200), data), data.train.x
    latents = model.hierarchy.latents(model.hierarchy.encode(model.space.to_model(x)))
    for z, _ in latents:
        assert float(z.mean()) == pytest.approx(0, abs=0.2)
        assert float(z.var()) == pytest.approx(1, abs=0.3)


def test_flows_are_weighed_by_their_number_of_dimensions(model, data):
    """Eq. 5: sum_i -E log p(y_i) / d_i, with the log-densities that the likelihood gives."""
    x = data.test.x
    expected = sum(
        -float(HierarchicalFlowDensity(model, "log_py", level).score(x).mean())
        / model.hierarchy.code_size(level)
        for level in (1, 2)
    )
    assert float(model._code_losses(model.space.to_model(x))) == pytest.approx(expected, rel=1e-5)


def test_pixels_are_dequantised_unless_they_are_continuous(data):
    seen = []

    class Watched(HierarchicalFlow):
        def _squared_errors(self, x, rng):
            seen.append(self.space.to_data(x))
            return super()._squared_errors(x, rng)

    for dequantise in (True, False):
        fitted(Watched(**{**TINY, "iterations": 1, "dequantise": dequantise}), data)
    with_noise, without = ((255 * x - (255 * x).round()).abs().max() for x in seen)
    stored = (255 * data.train.x - (255 * data.train.x).round()).abs().max()
    assert float(without) <= float(stored) + 1e-3
    noisy = {float(v) for v in seen[0].flatten()[:20]} - {float(v) for v in data.train.x.unique()}
    assert float(with_noise) > 0.1
    assert len(noisy) > 10


def test_noise_on_a_single_number_a_channel_is_none(data):
    """Not NaN, for which the learning rate was blamed."""
    fitted(make(levels=1, code_halvings=3, batch_size=1, code_noise=0.3, iterations=2), data)


def test_training_images_that_are_not_finite_are_told(data):
    class Broken(Stripes):
        def make_split(self, split):
            found = super().make_split(split)
            found.x[1, 0, 0, 0] = math.nan
            return found

    for method in (make(), Glow(iterations=1)):
        with pytest.raises(UserError, match=r"1 of \d+ training images hold NaN or infinite values"):
            fitted(method, Broken())


def test_images_of_another_size_are_told(model, data):
    x = torch.rand(2, 1, 16, 16)
    for call in (
        lambda: model.reconstruct(x, 1),
        lambda: model.at_level(x, 2),
        lambda: HierarchicalFlowDensity(model, "log_py").score(x),
        lambda: HierarchicalFlowDensity(model, "log_px").density_terms(x),
    ):
        with pytest.raises(UserError, match=r"images of level 1 have shape \(1, 8, 8\), not \(1, 16, 16\)"):
            call()
    with pytest.raises(UserError, match="temperature = -1"):
        model.super_resolve(avg_pool2d(data.test.x, 2), 2, -1.0, rng=seeded())


def test_levels_that_are_not_there_are_told(model, data):
    x = data.test.x
    for call in (
        lambda: model.reconstruct(x, 3),
        lambda: model.at_level(x, 0),
        lambda: model.generate(2, 3, 1.0, rng=seeded()),
        lambda: HierarchicalFlowDensity(model, level=3),
    ):
        with pytest.raises(UserError, match=r"level = \d: between 1 and 2"):
            call()
    with pytest.raises(UserError, match="hierarchical_flow: level = 0: at least 1"):
        HierarchicalFlowDensity(level=0)
    with pytest.raises(UserError, match="from_level = 1: between 2 and 2"):
        model.super_resolve(x, 1, 1.0, rng=seeded())
    with pytest.raises(UserError, match=r"images of level 2 have shape \(1, 4, 4\), not \(1, 8, 8\)"):
        model.super_resolve(x, 2, 1.0, rng=seeded())


def test_more_latent_than_pixel_dimensions_are_refused():
    """64 + 16 numbers for 64 pixels: too many together, not too many in a level."""
    many = make(code_factor=4)
    with pytest.raises(UserError, match=r'mode = "exact", level = 1: 1.25 latent dimensions for each'):
        HierarchicalFlowDensity(many, "log_px")
    HierarchicalFlowDensity(many, "log_px", mode="paper")
    HierarchicalFlowDensity(many, "log_px", level=2)
    HierarchicalFlowDensity(many, "log_py")
    with pytest.raises(
        UserError, match=r'mode = "paper", level = 1: 1.25 latent .* code_factor = 5 is too large'
    ):
        HierarchicalFlowDensity(make(code_factor=5), "log_px", mode="paper")


@pytest.mark.parametrize("mode", ["exact", "paper"])
def test_more_latent_than_pixel_dimensions_of_these_images_are_refused(mode):
    """A column halves once: its code has half of its numbers, times code_factor."""
    model = make(code_factor=3, levels=1)
    model.build(DataSpec(shape=(1, 8, 1), train_count=3))
    density = HierarchicalFlowDensity(model, "log_px", mode=mode)
    with pytest.raises(Unsupported, match=f'mode = "{mode}": 12 latent dimensions are more than the 8'):
        density.build(DataSpec(shape=(1, 8, 1), train_count=3))


def test_another_generator_is_refused(data):
    with pytest.raises(UserError, match="generator = Glow; the generator hierarchical_flow is needed"):
        HierarchicalFlowDensity(Glow())  # before it is fitted
    with pytest.raises(UserError, match="generator = str; the generator hierarchical_flow is needed"):
        HierarchicalFlowDensity().build(data.spec())
