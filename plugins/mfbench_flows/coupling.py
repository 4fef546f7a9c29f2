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
        z, log_det = _Affine.apply(x, self._answer(x[:, : self.kept], features), self.kept)
        return z, log_det

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
    """(a, b) -> (a, b exp(l) + m) and the sum of l, of x and the network's answer, differentiable once.

    Written out because autograd would keep more, and pass over it more often. 2 tanh(raw) is 4 g - 2 with the
    gate g = sigmoid(2 raw), which takes a fifth of the time.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, answer: Tensor, kept: int) -> tuple[Tensor, Tensor]:
        raw, shift = answer.chunk(2, 1)
        gate = (2 * raw).sigmoid_()
        flat = gate.flatten(1)
        ones = flat.new_ones(flat.shape[1])
        log_det = (flat @ ones).mul_(2 * _LIMIT).sub_(_LIMIT * len(ones))
        scale = gate.mul(2 * _LIMIT).sub_(_LIMIT).exp_()
        z = torch.empty_like(x)
        z[:, :kept] = x[:, :kept]
        torch.addcmul(shift, x[:, kept:], scale, out=z[:, kept:])
        ctx.save_for_backward(x, gate, scale)
        ctx.kept = kept
        return z, log_det

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, of_z: Tensor, of_log_det: Tensor) -> tuple[Tensor, Tensor, None]:
        """d/db = exp(l) dz; d/dm = dz; d/dl = b exp(l) dz + dlog|det|, times dl/draw = 8 g (1 - g)."""
        x, gate, scale = ctx.saved_tensors
        kept, changed = ctx.kept, gate.shape[1]
        of_x = torch.empty_like(of_z)
        of_x[:, :kept] = of_z[:, :kept]
        torch.mul(of_z[:, kept:], scale, out=of_x[:, kept:])
        of_answer = of_z.new_empty(len(x), 2 * changed, *x.shape[2:])
        of_raw = of_answer[:, :changed]
        torch.addcmul(of_log_det[:, None, None, None], of_x[:, kept:], x[:, kept:], out=of_raw)
        of_raw.mul_(torch.addcmul(gate, gate, gate, value=-1).mul_(4 * _LIMIT))
        of_answer[:, changed:] = of_z[:, kept:]
        return of_x, of_answer, None


def coupling_network(inputs: int, outputs: int, width: int) -> nn.Sequential:
    """3x3, 1x1 and 3x3 convolutions with SiLU between; the last starts at zero, and so does the answer."""
    last = nn.Conv2d(width, outputs, 3, padding=1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(
        nn.Conv2d(inputs, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 1), nn.SiLU(), last
    )
