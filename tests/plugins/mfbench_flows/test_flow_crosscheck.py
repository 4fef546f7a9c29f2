"""Glow's steps against those of established libraries, where they are installed: zuko, normflows."""

from __future__ import annotations

import math

import pytest
import torch
from flow_fakes import normal, perturbed
from mfbench_flows.actnorm import ActNorm
from mfbench_flows.convolution import InvertibleConvolution
from mfbench_flows.coupling import AffineCoupling
from mfbench_flows.squeeze import Squeeze
from mfbench_flows.step import Chain

X = normal(5, 4, 3, 2)


def pixels(x):
    """(n, h, w, c): zuko's transforms work on the last dimension."""
    return x.permute(0, 2, 3, 1)


def images(x):
    return x.permute(0, 3, 1, 2)


def compare_with_zuko(step, transform, permutation=None):
    """Same z, same log |det|, same inverse; zuko's z is permuted first where a permutation is given."""
    z, log_det = step(X)
    theirs, their_log_det = transform.call_and_ladj(pixels(X))
    permuted = theirs if permutation is None else theirs @ permutation.T
    assert torch.allclose(pixels(z), permuted, atol=1e-12)
    assert torch.allclose(log_det, their_log_det.sum((1, 2)), atol=1e-12)
    assert torch.allclose(pixels(step.inverse(z)), transform.inv(theirs), atol=1e-10)


def affine(transforms, shift, log_scale):
    """zuko's affine transform of the last dimension: its bound on the scale is soft, and is undone here."""
    unbounded = log_scale / (1 - (log_scale / math.log(1e-6)).abs())
    return transforms.DependentTransform(transforms.MonotonicAffineTransform(shift, unbounded, slope=1e-6), 1)


def test_actnorm_is_zukos_affine_transform():
    transforms = pytest.importorskip("zuko.transforms", reason="zuko is not installed")
    step = perturbed(lambda: ActNorm(4))
    log_scale = -step.log_scale.flatten()
    compare_with_zuko(step, affine(transforms, -step.shift.flatten() * log_scale.exp(), log_scale))


def test_the_convolution_is_zukos_linear_transform():
    transforms = pytest.importorskip("zuko.transforms", reason="zuko is not installed")
    step = perturbed(lambda: InvertibleConvolution(4))
    lower, upper = step.factors()
    scale = upper.diagonal()
    merged = (lower * scale).tril() + (upper / scale[:, None]).triu(1)
    compare_with_zuko(step, transforms.LULinearTransform(merged), step.permutation)


def test_the_coupling_is_zukos():
    transforms = pytest.importorskip("zuko.transforms", reason="zuko is not installed")
    step = perturbed(lambda: AffineCoupling(4, 0, 8))

    def conditioned(a):
        log_scale, shift = step.affine(images(a), None)
        return affine(transforms, pixels(shift), pixels(log_scale))

    mask = torch.tensor([True, True, False, False])
    compare_with_zuko(step, transforms.CouplingTransform(conditioned, mask))


def test_a_block_of_glow_is_normflows():
    """ActNorm, LU convolution and coupling with the same numbers: z and log |det| of their GlowBlock."""
    normflows = pytest.importorskip("normflows", reason="normflows is not installed")
    ours = perturbed(lambda: Chain([ActNorm(4), InvertibleConvolution(4), AffineCoupling(4, 0, 8)]))
    actnorm, convolution, coupling = ours.steps
    theirs = normflows.flows.GlowBlock(4, 8, scale_map="exp", use_lu=True).double()

    their_coupling, their_convolution, their_actnorm = theirs.flows
    their_actnorm.data_dep_init_done.fill_(1)
    their_actnorm.s.data, their_actnorm.t.data = actnorm.log_scale[None], actnorm.shift[None]
    their_convolution.load_state_dict(
        {
            "P": convolution.permutation,
            "L": convolution.lower,
            "U": convolution.upper,
            "log_S": convolution.log_diagonal,
            "sign_S": convolution.sign,
            "eye": torch.eye(4),
        }
    )
    their_coupling.flows[1].param_map = _Interleaved(coupling)
    z, log_det = ours(X)
    expected, expected_log_det = theirs.inverse(X)
    assert torch.allclose(z, expected, atol=1e-12)
    assert torch.allclose(log_det, expected_log_det, atol=1e-12)
    assert torch.allclose(ours.inverse(z), theirs.forward(z)[0], atol=1e-10)


class _Interleaved(torch.nn.Module):
    """Our coupling's answer as normflows reads it: z = (b - shift) exp(-scale), channels in turn."""

    def __init__(self, coupling):
        super().__init__()
        self.coupling = coupling

    def forward(self, a):
        log_scale, shift = self.coupling.affine(a, None)
        return torch.stack([-shift * (-log_scale).exp(), -log_scale], 2).flatten(1, 2)


def test_squeezing_is_normflows_up_to_the_order_of_channels():
    normflows = pytest.importorskip("normflows", reason="normflows is not installed")
    x = normal(2, 3, 4, 6)
    z, _ = Squeeze()(x)
    expected, _ = normflows.flows.Squeeze().inverse(x)
    for image, other in zip(z, expected):
        assert {tuple(channel.flatten().tolist()) for channel in image} == {
            tuple(channel.flatten().tolist()) for channel in other
        }
