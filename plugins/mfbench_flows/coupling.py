"""Affine coupling (Dinh et al. 2017; Kingma and Dhariwal 2018, Sec. 3.3), conditional on features."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mfbench_flows.step import Step

_LIMIT = 2.0
"""Of |log scale|, smoothly: no step stretches by more than e^2, which keeps inverses well conditioned."""


class AffineCoupling(Step):
    """(a, b) -> (a, b exp(l) + m), with l and m a network's answer to a and to the condition's features.

    a are the first channels // 2 channels, or as many as said; where there are none (of a single channel)
    all depends on the features alone. The network's last layer starts at zero, so the step starts as the
    identity.
    """

    def __init__(self, channels: int, features: int, width: int, kept: int | None = None) -> None:
        """`features`: channels of the condition's features, 0 without; `width`: channels of the network;
        `kept`: channels of a.
        """
        super().__init__()
        self.kept = channels // 2 if kept is None else kept
        if self.kept + features == 0:
            raise ValueError("a coupling that keeps no channel needs features: there is nothing else to read")
        self.network = coupling_network(self.kept + features, 2 * (channels - self.kept), width)

    def forward(self, x: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        a, b = x.split([self.kept, x.shape[1] - self.kept], 1)
        z, gates = self.of_parts(a, b, features)
        return z, log_scales(gates, b[0].numel())

    def of_parts(self, a: Tensor, b: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        """z of (a, b), and the sum of its gates, (n,): `log_scales` makes log |det| of it."""
        z, gates = _Affine.apply(a, b, self._answer(a, features))
        return z, gates

    def inverse(self, z: Tensor, features: Tensor | None = None) -> Tensor:
        a, b = z[:, : self.kept], z[:, self.kept :]
        log_scale, shift = self.affine(a, features)
        return torch.cat([a, (b - shift) * (-log_scale).exp()], 1)

    def affine(self, a: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        """l and m, (n, changed channels, h, w) each."""
        raw, shift = self._answer(a, features).chunk(2, 1)
        return _LIMIT * torch.tanh(raw), shift

    def _answer(self, a: Tensor, features: Tensor | None) -> Tensor:
        """(n, 2 changed channels, h, w): what l is made of, and m."""
        answer: Tensor = self.network(a if features is None else torch.cat([a, features], 1))
        return answer


class _Affine(torch.autograd.Function):
    """(a, b) -> (a, b exp(l) + m) of a, b and the network's answer (raw, m), and the sum of the gates
    g = sigmoid(2 raw), (n,): l = 2 tanh(raw) = 4 g - 2. Differentiable once.

    Written out, as autograd would keep more and pass over it more often; a tanh takes five times as long.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, answer: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = answer.chunk(2, 1)
        gate = (2 * raw).sigmoid_()
        scale = gate.mul(2 * _LIMIT).sub_(_LIMIT).exp_()
        ctx.save_for_backward(b, gate, scale)
        return torch.cat([a, torch.addcmul(shift, b, scale)], 1), gate.sum((1, 2, 3))

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, of_z: Tensor, of_sum: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """d/db = exp(l) dz; d/dm = dz; d/draw = 2 (4 b exp(l) dz + dsum) g (1 - g)."""
        b, gate, scale = ctx.saved_tensors
        kept = of_z.shape[1] - b.shape[1]
        of_a, of_changed = of_z[:, :kept], of_z[:, kept:]
        of_b = of_changed * scale
        twice = torch.addcmul(2 * of_sum.view(-1, 1, 1, 1), of_b, b, value=4 * _LIMIT)  # of the gate
        of_raw = torch.ops.aten.sigmoid_backward(twice, gate)
        return of_a, of_b, torch.cat([of_raw, of_changed], 1)


def log_scales(gates: Tensor, count: int) -> Tensor:
    """The sum of l = 4 g - 2 over `count` gates, of the sum of g."""
    return 2 * _LIMIT * gates - _LIMIT * count


def coupling_network(inputs: int, outputs: int, width: int) -> nn.Sequential:
    """3x3, 1x1 and 3x3 convolutions with SiLU between; the last starts at zero, and so does the answer."""
    last = nn.Conv2d(width, outputs, 3, padding=1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(
        nn.Conv2d(inputs, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 1), nn.SiLU(), last
    )
