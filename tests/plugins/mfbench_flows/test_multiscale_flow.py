"""Whole flows: round trip, log-determinant, the condition, and the multivariate normal in the linear case."""

from __future__ import annotations

import pytest
import torch
from flow_fakes import jacobian_log_det, normal, parts_of, perturbed
from mfbench_flows.actnorm import ActNorm
from mfbench_flows.multiscale import MultiscaleFlow
from torch.distributions import MultivariateNormal

from mfbench import Unsupported

SMALL = {"steps": 2, "width": 6}
FLOWS = {
    "one_scale": ((1, 4, 4), {"halvings": 1}),
    "two_scales": ((1, 4, 4), {"halvings": 2}),
    "colour": ((3, 4, 4), {"halvings": 2}),
    "no_squeeze": ((3, 3, 5), {"halvings": 0}),
    "column": ((1, 4, 1), {"halvings": 2}),
    "given_half_the_size": ((2, 4, 4), {"halvings": 2, "condition": (3, 2, 2), "features": 4}),
    "given_the_same_size": ((3, 2, 2), {"halvings": 0, "condition": (1, 2, 2), "features": 4}),
    "given_one_pixel": ((1, 1, 1), {"halvings": 0, "condition": (1, 1, 1), "features": 4}),
}
COUNT = 3


def made(name, **changes):
    shape, options = FLOWS[name]
    flow = perturbed(lambda: MultiscaleFlow(shape, **{**SMALL, **options, **changes}), scale=0.2)
    condition = normal(COUNT, *options["condition"], seed=5) if "condition" in options else None
    return flow, normal(COUNT, *shape, seed=4), condition


def part(condition, i):
    return None if condition is None else condition[i : i + 1]


@pytest.mark.parametrize("name", FLOWS)
def test_round_trip_both_ways(name):
    flow, x, condition = made(name)
    z, _ = flow(x, condition)
    assert z.shape == (COUNT, x[0].numel())
    assert float((flow.inverse(z, condition) - x).abs().max()) < 1e-10
    other = normal(*z.shape, seed=6)
    assert float((flow(flow.inverse(other, condition), condition)[0] - other).abs().max()) < 1e-10


@pytest.mark.parametrize("name", FLOWS)
def test_the_log_determinant_is_autograds(name):
    flow, x, condition = made(name)
    _, log_det = flow(x, condition)
    for i in range(COUNT):
        found = jacobian_log_det(lambda v, i=i: flow(v, part(condition, i))[0], x[i : i + 1])
        assert float(found) == pytest.approx(float(log_det[i]), abs=1e-9)


@pytest.mark.parametrize("name", [name for name in FLOWS if name.startswith("given")])
def test_the_condition_changes_the_answer(name):
    flow, x, condition = made(name)
    z, log_det = flow(x, condition)
    for other in (flow(x, condition.flip(0)), flow(x, condition + 1)):
        assert float((other[0] - z).abs().max()) > 1e-4
        assert float((other[1] - log_det).abs().max()) > 1e-4
    assert float((flow.inverse(z, condition + 1) - x).abs().max()) > 1e-4


def test_every_scale_sees_the_condition():
    """The gradient of each scale's z in the condition."""
    flow, x, condition = made("given_half_the_size")
    condition = condition.requires_grad_()
    z, _ = flow(x, condition)
    for scale in (z[:, :16], z[:, 16:]):
        (gradient,) = torch.autograd.grad(scale.sum(), condition, retain_graph=True)
        assert float(gradient.abs().max()) > 1e-4


@pytest.mark.parametrize("name", ["two_scales", "no_squeeze", "column"])
def test_a_linear_flow_is_the_multivariate_normal(name):
    """Couplings whose networks answer a constant: z = A x + b, so x ~ N(-A^-1 b, (A^T A)^-1)."""
    flow, x, _ = made(name)
    for key, value in flow.named_parameters():
        if "network.4.weight" in key:
            value.zero_()
    dim = x[0].numel()
    b = flow(torch.zeros_like(x[:1]))[0][0]
    A = (flow(torch.eye(dim, dtype=x.dtype).view(dim, *x.shape[1:]))[0] - b).T
    normal_law = MultivariateNormal(torch.linalg.solve(A, -b), precision_matrix=A.T @ A)
    assert torch.allclose(flow.log_prob(x), normal_law.log_prob(x.flatten(1)), atol=1e-9)


def test_a_conditional_linear_flow_is_the_linear_gaussian_model():
    """y | c by two shifts and scales from the networks: N(y; mean, 1 / gain^2), by hand."""
    flow, y, c = made("given_one_pixel", steps=1)
    given, steps = flow.stages[0].steps
    ((actnorm, convolution, coupling),) = parts_of(steps)
    lower, upper = convolution.factors()
    first_scale, first_shift = given.affine(y[:, :0], flow.readers[0](c))
    log_scale, shift = coupling.affine(y[:, :0], flow.readers[0](c))
    gain = (convolution.permutation @ lower @ upper).squeeze() * log_scale.exp() / actnorm.log_scale.exp()
    mean = (actnorm.shift - shift / gain - first_shift) / first_scale.exp()
    expected = torch.distributions.Normal(mean, 1 / (gain * first_scale.exp()).abs()).log_prob(y).flatten()
    assert torch.allclose(flow.log_prob(y, c), expected, atol=1e-10)


def test_initialisation_standardises_what_every_actnorm_gives():
    flow = MultiscaleFlow((1, 8, 8), halvings=2, **SMALL).double()
    x, seen = 4 + 0.1 * normal(200, 1, 8, 8), 0
    flow.initialise(x)
    for scale, stage in enumerate(flow.stages):
        squeeze, steps, *leaving = stage.steps
        x = squeeze(x)[0]
        for step in [*(step for three in parts_of(steps) for step in three), *leaving]:
            x, _ = step(x)
            if isinstance(step, ActNorm):
                seen += 1
                assert torch.allclose(x.mean((0, 2, 3)), torch.zeros(x.shape[1], dtype=x.dtype), atol=1e-10)
                assert torch.allclose(x.var((0, 2, 3), correction=0), torch.ones(x.shape[1], dtype=x.dtype))
        x, _ = flow._part(x, scale)
    assert seen == 4


def test_gradients_reach_every_parameter_but_masked_ones():
    flow, x, condition = made("given_half_the_size")
    flow.requires_grad_(True)
    flow.log_prob(x, condition).sum().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in flow.parameters())


def test_bad_input_is_told():
    with pytest.raises(Unsupported, match="glow: images of 6 x 6 are halved 1 times at most, not 2"):
        MultiscaleFlow((1, 6, 6), halvings=2, who="glow", **SMALL)
    flow, x, condition = made("given_half_the_size")
    with pytest.raises(ValueError, match="needs its condition"):
        flow(x)
    with pytest.raises(ValueError, match="needs its condition"):
        made("one_scale")[0](x[:, :1], condition)
