"""Eq. 30 against its closed form on a linear VAE, and what purifiers promise to those who attack them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from defense_fakes import PIXELS, SIDE, linear_vae, quadratic
from mfbench_defenses.ascent import Ascent, Climb
from mfbench_defenses.joint_classifiers import AutoencoderClassifier, VAEClassifier
from mfbench_defenses.joint_model import JointAutoencoder, JointVAE
from mfbench_defenses.localised import LocalisedPurification
from protocol_fakes import fitted, seeded
from scipy.optimize import lsq_linear

import mfbench
from mfbench.errors import UserError
from mfbench.testing.data import TinyImages


@pytest.fixture(scope="module")
def vae():
    return linear_vae()


@pytest.fixture
def x():
    return 0.35 + 0.3 * torch.rand(6, 1, SIDE, SIDE, generator=seeded(1), dtype=torch.float64)


@pytest.fixture(scope="module")
def tiny():
    return TinyImages(size=8)


@pytest.fixture(scope="module")
def trained(tiny):
    return fitted(JointVAE(latent=4, width=8, iterations=150, batch_size=32, variance=0.05), tiny)


def steepest(model):
    """1 / L."""
    return 1 / float(torch.linalg.eigvalsh(quadratic(model)[0])[-1])


# -- the closed form ----------------------------------------------------------------------------------------


def test_the_objective_is_the_quadratic_that_it_should_be(vae, x):
    hessian, linear = quadratic(vae)
    flat = x.flatten(1)
    value = -(flat @ hessian * flat).sum(1) / 2 + flat @ linear
    found = vae.objective(x)
    assert torch.allclose(found - found[0], value - value[0], atol=1e-10)


def test_unbounded_purification_of_a_linear_vae_is_the_closed_form_minimiser(vae, x):
    hessian, linear = quadratic(vae)
    best = torch.linalg.solve(hessian, linear)
    assert 0 < float(best.min()) < float(best.max()) < 1  # the box [0, 1] does not bind
    defense = VAEClassifier(vae, steps=300, step_size=steepest(vae), update="gradient")
    assert torch.allclose(defense.purify(x[:2]).flatten(1), best.expand(2, -1), atol=1e-8)


def test_bounded_purification_is_the_constrained_minimiser(vae, x):
    hessian, linear = quadratic(vae)
    radius, flat = 0.02, x[0].flatten().numpy()
    root = torch.linalg.cholesky(hessian).T.numpy()  # |root u - target|^2 / 2 has the same minimiser
    target = np.linalg.solve(root.T, linear.numpy())
    best = lsq_linear(root, target, (flat - radius, flat + radius), tol=1e-14).x
    assert np.isclose(np.abs(best - flat).max(), radius)  # the bound binds
    step = steepest(vae)
    defense = VAEClassifier(vae, steps=300, step_size=step, update="gradient", radius=radius)
    found = defense.purify(x[:1]).flatten().numpy()
    assert np.allclose(found, best, atol=1e-7)


def test_the_elbo_never_falls_by_gradient_steps_under_one_over_l(vae, x):
    ascent = Ascent(vae.objective, steps=30, step_size=0.99 * steepest(vae), update="gradient")
    state, last = ascent.begin(x), vae.objective(x)
    for _ in range(ascent.steps):
        state = ascent.step(state)
        now = vae.objective(state.points[:, 0])
        assert (now >= last - 1e-12).all()
        last = now


def test_by_sign_steps_the_best_so_far_never_falls_though_the_points_do(vae, x):
    ascent = Ascent(vae.objective, steps=30, step_size=0.05)
    state, fell = ascent.begin(x), False
    for _ in range(ascent.steps):
        before, state = state, ascent.step(state)
        assert (state.values >= before.values).all()
        fell = fell or bool((vae.objective(state.points[:, 0]) < vae.objective(before.points[:, 0])).any())
        assert torch.allclose(vae.objective(state.image), state.values[:, 0])
    assert fell


def test_the_elbo_of_the_exact_posterior_is_the_density():
    """Linear-Gaussian: q = p(z | x) makes the bound tight, on average over the code's noise."""
    model = linear_vae(latent=2, variance=0.1)
    net, v = model.network, model.variance
    precision = torch.eye(2, dtype=torch.float64) + net.W.T @ net.W / v
    directions = torch.linalg.eigh(precision).eigenvectors  # in their basis q factorises
    net.W = net.W @ directions
    variances = 1 / (1 + (net.W**2).sum(0) / v)
    net.A, net.b = variances[:, None] * net.W.T / v, torch.zeros(2, dtype=torch.float64)
    net.log_std = variances.log() / 2
    x = torch.rand(3, 1, SIDE, SIDE, generator=seeded(2), dtype=torch.float64)
    covariance = net.W @ net.W.T + v * torch.eye(PIXELS, dtype=torch.float64)
    law = torch.distributions.MultivariateNormal(net.c, covariance)
    draws = torch.stack([model.elbo(x, rng=seeded(seed)) for seed in range(1500)])
    error = draws.std(0) / math.sqrt(len(draws))
    assert ((draws.mean(0) - law.log_prob(x.flatten(1))).abs() < 4 * error).all()


# -- what else is promised ----------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [{}, {"restarts": 3}, {"encoder": "stochastic", "restarts": 2}])
@pytest.mark.parametrize("radius", [None, 0.05])
def test_the_bounds_are_kept(trained, tiny, parameters, radius):
    x = tiny.test.x[:8]
    defense = VAEClassifier(trained, steps=6, step_size=0.04, radius=radius, **parameters)
    pure = defense.purify(x, rng=seeded())
    assert float(pure.min()) >= 0
    assert float(pure.max()) <= 1
    assert float((pure - x).abs().max()) <= (radius or 0.04 * 6 + 8 / 255) + 1e-6
    assert not torch.equal(pure, x)


def test_restarts_only_raise_the_elbo(trained, tiny):
    x = tiny.test.x[:16]
    once = VAEClassifier(trained, steps=3).purify(x)
    often = VAEClassifier(trained, steps=3, restarts=4).purify(x, rng=seeded())
    assert (trained.objective(often) >= trained.objective(once) - 1e-4).all()
    assert (trained.objective(often) > trained.objective(once) + 1e-4).any()
    assert (trained.objective(once) > trained.objective(x)).all()


def test_images_as_probable_as_clean_ones_stay_as_they_are(trained, tiny):
    clean, noise = tiny.test.x[:16], torch.rand(16, *tiny.shape, generator=seeded())
    threshold = trained.clean_quantile(0.5)
    defense = VAEClassifier(trained, steps=40, quantile=0.5)
    probable = trained.objective(clean) >= threshold
    assert 0 < int(probable.sum()) < 16
    kept = (defense.purify(clean) == clean).flatten(1).all(1)
    assert torch.equal(kept, probable)
    assert not (defense.purify(noise) == noise).flatten(1).all(1).any()


def test_the_quantiles_are_those_of_the_validation_images(trained, tiny):
    values = trained.objective(tiny.val.x)
    assert trained.clean_quantile(0.0) == pytest.approx(float(values.min()))
    assert trained.clean_quantile(0.5) == pytest.approx(float(values.median()), abs=float(values.std()))
    assert trained.clean_quantile(1.0) == pytest.approx(float(values.max()))


def test_the_steps_that_attackers_take_are_those_that_defend(trained, tiny):
    x = tiny.test.x[:5]
    for defense in (
        VAEClassifier(trained, steps=4, restarts=2, radius=0.1),
        VAEClassifier(trained, steps=3, encoder="stochastic"),
        VAEClassifier(trained, purify="reconstruct"),
        VAEClassifier(trained, purify="none"),
        LocalisedPurification(trained, steps=3),
    ):
        defense.build(tiny.spec())
        rng = seeded(3)
        with torch.no_grad():
            state = defense.purification_start(x, rng=rng)
            for _ in range(defense.purification_steps):
                state = defense.purification_step(state, rng=rng)
        assert torch.equal(state[0], defense.purify(x, rng=seeded(3)))


def test_unrolled_gradients_are_those_of_finite_differences(vae, x):
    defense = VAEClassifier(vae, steps=3, step_size=0.002)
    soft = torch.tanh

    def run(start):
        state = defense.purification_start(start)
        for _ in range(3):
            state = Climb(*defense.purification_step(state, squash=soft, stride=0.5))
        return state.points

    start = x[:2].clone().requires_grad_()
    assert torch.autograd.gradcheck(run, (start,), atol=1e-6)


def test_a_defense_that_purifies_says_that_it_optimises(trained):
    assert VAEClassifier(trained).optimises
    assert VAEClassifier(trained).deterministic
    assert not VAEClassifier(trained, restarts=2).deterministic
    assert not VAEClassifier(trained, encoder="stochastic").deterministic
    assert not VAEClassifier(trained, purify="none").optimises


def test_none_and_reconstruct_are_what_they_say(trained, tiny):
    x = tiny.test.x[:5]
    assert VAEClassifier(trained, purify="none").purify(x) is x
    assert torch.equal(VAEClassifier(trained, purify="reconstruct").purify(x), trained.reconstruct(x))


def test_the_plain_autoencoder_lowers_its_error(tiny):
    model = fitted(JointAutoencoder(latent=4, width=8, iterations=20, batch_size=32), tiny)
    x = torch.rand(6, *tiny.shape, generator=seeded())
    pure = AutoencoderClassifier(model, steps=5).purify(x)
    error = [(y - model.reconstruct(y)).square().flatten(1).sum(1) for y in (x, pure)]
    assert (error[1] < error[0]).all()


def test_the_joint_model_learns_class_and_image(trained, tiny):
    x, y = tiny.test.x, tiny.test.y
    assert float((trained.logits(x).argmax(1) == y).double().mean()) >= 0.9
    error = (x - trained.reconstruct(x)).square().mean()
    assert float(error) < 0.5 * float((x - tiny.train.x.mean(0)).square().mean())
    assert isinstance(trained, mfbench.HasELBO)


def test_the_state_is_all_there_is(trained, tiny):
    restored = JointVAE(latent=4, width=8, variance=0.05)
    restored.build(tiny.spec())
    restored.load_state_dict({name: value.clone() for name, value in trained.state_dict().items()})
    x = tiny.test.x[:8]
    assert torch.equal(restored.logits(x), trained.logits(x))
    assert torch.equal(restored.objective(x), trained.objective(x))
    assert restored.clean_quantile(0.3) == trained.clean_quantile(0.3)


# -- the box that reconstructs worst ------------------------------------------------------------------------


def test_the_box_is_found_where_the_patch_is(trained, tiny):
    x, place = tiny.test.x[:20].clone(), (slice(None), slice(None), slice(3, 5), slice(2, 6))
    x[place] = (torch.rand(20, 1, 2, 4, generator=seeded()) > 0.5).float()
    defense = LocalisedPurification(trained)
    defense.build(tiny.spec())
    inside = defense.inside(x)
    assert (inside.flatten(1).sum(1) == 8).all()
    found = inside[:, 3:5, 2:6].flatten(1).double().mean(1)
    assert float(found.mean()) > 0.5  # by chance: 0.1
    pure = defense.purify(x)
    assert torch.equal(pure[:, 0][~inside], x[:, 0][~inside])
    assert set(defense.evidence(x)) == {"reconstruction_error"}
    assert defense.evidence(x)["reconstruction_error"].shape == (20, 8, 8)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda m: VAEClassifier(m, steps=-1), "vae_classifier: steps = -1: at least 0"),
        (lambda m: VAEClassifier(m, restarts=0), "restarts = 0: at least 1"),
        (lambda m: VAEClassifier(m, radius=0.0), "radius = 0: above 0"),
        (lambda m: VAEClassifier(m, quantile=2.0), "quantile = 2: from 0 to 1"),
        (lambda m: VAEClassifier(object()), "joint_vae is needed"),
        (lambda m: AutoencoderClassifier(m), "joint_autoencoder is needed"),
        (lambda m: LocalisedPurification(m, box=[3]), "height and width in pixels"),
        (lambda m: LocalisedPurification(m, box=[40, 2]).build(TinyImages().spec()), "on images of"),
        (lambda m: JointVAE(latent=0), "joint_vae: latent = 0: at least 1"),
        (lambda m: JointVAE(variance=0.0), "joint_vae: variance = 0: above 0"),
    ],
)
def test_parameters_that_cannot_be(vae, make, said):
    with pytest.raises(UserError, match=said):
        make(vae)
