"""The steps of Glow: exact inverses, log-determinants against autograd, initialisation from data."""

from __future__ import annotations

import math

import pytest
import torch
from flow_fakes import jacobian_log_det, normal, parts_of, perturbed
from mfbench_flows.actnorm import ActNorm
from mfbench_flows.convolution import InvertibleConvolution
from mfbench_flows.coupling import AffineCoupling
from mfbench_flows.features import ConditionFeatures
from mfbench_flows.glow_steps import GlowSteps
from mfbench_flows.sizes import can_halve, factors, halved, image_shape, resized
from mfbench_flows.squeeze import Squeeze
from mfbench_flows.step import Chain, log_standard_normal
from torch.distributions import MultivariateNormal
from torch.nn.functional import avg_pool2d, interpolate, pixel_unshuffle

from mfbench import Unsupported

X = normal(4, 3, 4, 2)
FEATURES = normal(4, 5, 4, 2, seed=1)

STEPS = {
    "actnorm": lambda: ActNorm(3),
    "convolution": lambda: InvertibleConvolution(3),
    "coupling": lambda: AffineCoupling(3, 0, 8),
    "squeeze": lambda: Squeeze((2, 2)),
    "squeeze_rows": lambda: Squeeze((2, 1)),
    "glow": lambda: GlowSteps(3, 2, 0, 8),
    "chain": lambda: Chain([Squeeze(), ActNorm(12), InvertibleConvolution(12), AffineCoupling(12, 0, 8)]),
}
CONDITIONAL = {
    "coupling": (lambda: AffineCoupling(3, 5, 8), X),
    "glow": (lambda: GlowSteps(3, 2, 5, 8), X),
    "lone_channel": (lambda: AffineCoupling(1, 5, 8), X[:, :1]),
    "chain": (lambda: Chain([ActNorm(3), InvertibleConvolution(3), AffineCoupling(3, 5, 8)]), X),
}


@pytest.mark.parametrize("name", STEPS)
def test_round_trip_and_log_determinant(name):
    step = perturbed(STEPS[name])
    z, log_det = step(X)
    assert float((step.inverse(z) - X).abs().max()) < 1e-10
    assert log_det.shape == (4,)
    assert torch.allclose(log_det, jacobian_log_det(lambda x: step(x)[0], X), atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_conditional_round_trip_and_log_determinant(name):
    make, x = CONDITIONAL[name]
    step = perturbed(make)
    z, log_det = step(x, FEATURES)
    assert float((step.inverse(z, FEATURES) - x).abs().max()) < 1e-10
    for i in range(len(x)):
        found = jacobian_log_det(lambda v, i=i: step(v, FEATURES[i : i + 1])[0], x[i : i + 1])
        assert float(found) == pytest.approx(float(log_det[i]), abs=1e-10)
    other, other_log_det = step(x, FEATURES.flip(0))
    assert float((other - z).abs().max()) > 1e-3
    assert float((other_log_det - log_det).abs().max()) > 1e-3


def test_actnorm_starts_from_the_first_batch_when_told():
    step, x = ActNorm(3).double(), 5 + 3 * normal(64, 3, 4, 4, seed=2)
    assert torch.equal(step(x)[0], x)
    z = step.initialise(x)
    assert torch.equal(z, step(x)[0])
    assert torch.allclose(z.mean((0, 2, 3)), torch.zeros(3, dtype=z.dtype), atol=1e-12)
    assert torch.allclose(z.std((0, 2, 3), correction=0), torch.ones(3, dtype=z.dtype))
    assert not z.requires_grad


def test_actnorm_leaves_the_scale_of_a_constant_channel():
    step, x = ActNorm(2).double(), torch.cat([normal(8, 1, 2, 2), torch.full((8, 1, 2, 2), 0.7).double()], 1)
    z = step.initialise(x)
    assert torch.isfinite(z).all()
    assert float(z[:, 1].abs().max()) < 1e-12
    assert not step.log_scale[1].any()


def test_a_chain_initialises_each_step_from_what_reaches_it():
    chain = Chain([ActNorm(2), InvertibleConvolution(2), ActNorm(2)]).double()
    z = chain.initialise(3 + normal(256, 2, 2, 2))
    assert torch.allclose(z.mean((0, 2, 3)), torch.zeros(2, dtype=z.dtype), atol=1e-12)
    assert torch.allclose(z.std((0, 2, 3), correction=0), torch.ones(2, dtype=z.dtype))


def test_the_convolution_starts_as_a_rotation():
    step = InvertibleConvolution(6).double().requires_grad_(False)
    lower, upper = step.factors()
    matrix = step.permutation @ lower @ upper
    assert torch.allclose(matrix @ matrix.T, torch.eye(6, dtype=matrix.dtype), atol=1e-6)
    assert float(step(normal(1, 6, 3, 3))[1].abs().max()) < 1e-4


def test_the_convolution_is_the_matrix_at_each_pixel():
    step = perturbed(lambda: InvertibleConvolution(3))
    lower, upper = step.factors()
    matrix = step.permutation @ lower @ upper
    assert torch.allclose(step(X)[0], torch.einsum("oi,nihw->nohw", matrix, X))
    expected = 8 * torch.linalg.slogdet(matrix).logabsdet
    assert torch.allclose(step(X)[1], expected.expand(4))


@pytest.mark.parametrize("features", [None, FEATURES])
def test_glows_steps_are_the_chain_of_their_three_parts(features):
    """z, log |det|, the inverse, and gradients to x, to the features and to every parameter."""
    steps = perturbed(lambda: GlowSteps(3, 2, 0 if features is None else 5, 8)).requires_grad_(True)
    parts, weights = parts_of(steps), normal(*X.shape, seed=3)
    answers = []
    for whole in (steps, Chain([step for three in parts for step in three])):
        whole.zero_grad()
        seen = [t.clone().requires_grad_(True) for t in (X, features) if t is not None]
        z, log_det = whole(*seen)
        ((z * weights).sum() + (log_det * normal(4, seed=4)).sum()).backward()
        couplings = [parameter.grad.clone() for parameter in steps.couplings.parameters()]
        answers.append([z, log_det, whole.inverse(z, *seen[1:]), *(t.grad for t in seen), *couplings])
    names = [("shift", 0), ("log_scale", 0), ("lower", 1), ("upper", 1), ("log_diagonal", 1)]
    answers[0] += [getattr(steps, name).grad.flatten(1) for name, _ in names]
    answers[1] += [
        torch.stack([getattr(three[i], name).grad.flatten() for three in parts]) for name, i in names
    ]
    for found, expected in zip(*answers, strict=True):
        assert torch.allclose(found, expected, atol=1e-12)


def test_glows_steps_initialise_as_the_chain_does():
    steps, x = GlowSteps(3, 2, 0, 8).double(), 5 + 3 * normal(64, 3, 4, 4, seed=2)
    chain = Chain([step for three in parts_of(steps) for step in three])
    assert torch.allclose(steps.initialise(x), chain.initialise(x), atol=1e-12)
    for i in range(2):
        assert torch.allclose(steps.shift[i], chain.steps[3 * i].shift.flatten(), atol=1e-12)
        assert torch.allclose(steps.log_scale[i], chain.steps[3 * i].log_scale.flatten(), atol=1e-12)
    assert torch.allclose(steps(x)[0], chain(x)[0], atol=1e-12)


def test_the_couplings_gradient_is_autograds():
    step = perturbed(lambda: AffineCoupling(3, 5, 8)).requires_grad_(True)
    inputs = [t[:2, :, :2].clone().requires_grad_(True) for t in (X, FEATURES)]
    assert torch.autograd.gradcheck(lambda x, features: step(x, features), inputs)


def test_no_coupling_stretches_by_more_than_e_squared():
    step = perturbed(lambda: AffineCoupling(3, 0, 8), scale=30.0)
    log_scale, _ = step.affine(X[:, :1], None)
    assert 1.99 < float(log_scale.abs().max()) <= 2.0


@pytest.mark.parametrize("features", [None, FEATURES])
def test_the_coupling_starts_as_the_identity_and_keeps_its_first_half(features):
    make = lambda: AffineCoupling(3, 0 if features is None else 5, 8)  # noqa: E731
    z, log_det = make().double()(X, features)
    assert torch.equal(z, X)
    assert not log_det.any()
    z, _ = perturbed(make)(X, features)
    assert torch.equal(z[:, :1], X[:, :1])
    assert not torch.allclose(z[:, 1:], X[:, 1:])


def test_a_coupling_with_nothing_to_read_is_refused():
    with pytest.raises(ValueError, match="nothing else to read"):
        AffineCoupling(1, 0, 8)


def test_squeezing_is_pytorchs():
    assert torch.equal(Squeeze()(X)[0], pixel_unshuffle(X, 2))


def test_the_standard_normal_is_torchs():
    z = normal(5, 7)
    torchs = MultivariateNormal(torch.zeros(7, dtype=z.dtype), torch.eye(7, dtype=z.dtype))
    assert torch.allclose(log_standard_normal(z), torchs.log_prob(z))


def test_resizing_repeats_and_averages():
    assert torch.equal(resized(X, (8, 8)), interpolate(X, (8, 8), mode="nearest"))
    assert torch.allclose(resized(X, (2, 1)), avg_pool2d(X, 2))
    assert resized(X, (4, 2)) is X
    assert torch.allclose(resized(X, (8, 1)), interpolate(X.mean(3, keepdim=True), (8, 1)))
    with pytest.raises(ValueError, match="cannot become 3"):
        resized(X, (3, 2))


def test_features_have_the_size_asked_for_and_see_the_condition():
    reader = perturbed(lambda: ConditionFeatures(3, 5, (8, 8)))
    found = reader(X)
    assert found.shape == (4, 5, 8, 8)
    assert not torch.allclose(found, reader(X + 1))


def test_sizes_that_do_not_halve_are_told():
    assert factors((4, 1)) == (2, 1)
    assert halved((28, 28), "x", 2) == (7, 7)
    assert halved((1, 8), "x", 3) == (1, 1)
    assert [can_halve(size) for size in ((2, 1), (1, 1), (3, 4))] == [True, False, False]
    with pytest.raises(Unsupported, match="28 x 28 are halved 2 times at most, not 3: 7 x 7 does not halve"):
        halved((28, 28), "glow", 3)
    with pytest.raises(Unsupported, match=r"glow is for images .* shape \(2,\)"):
        image_shape((2,), "glow")
    assert math.prod(image_shape((3, 4, 5), "glow")) == 60
