"""The noise predictor of `ddpm_unet`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from mfbench import NoiseSchedule
from mfbench_diffusion.network import NetworkPredictor, noise_level
from mfbench_diffusion.precision import tensor_float

Prediction: TypeAlias = Literal["v", "eps"]
"""What a network is trained to say: v = sqrt(abar) eps - sqrt(1 - abar) x_0, or eps itself."""


class ImagePredictor(NetworkPredictor):
    """eps from a U-Net that predicts v or eps, with TensorFloat-32 on CUDA where `tf32`.

    With v the limits are exact: eps = v at abar = 1, and eps -> x as abar -> 0. Where `compiled`, calls
    without gradients go through torch.compile. Those with gradients do not: several products of one graph,
    as divergences need them, are more than a compiled backward pass allows.
    """

    def __init__(
        self,
        network: nn.Module,
        schedule: NoiseSchedule,
        *,
        prediction: Prediction,
        tf32: bool = False,
        compiled: bool = False,
    ) -> None:
        super().__init__(network, schedule)
        self.prediction = prediction
        self.tf32 = tf32
        self._dtype = next(network.parameters()).dtype
        self._compiled: Callable[..., Any] | None = torch.compile(network, dynamic=True) if compiled else None

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        with tensor_float(self.tf32 and x.is_cuda):
            return super().__call__(x, t) if self.prediction == "v" else self._eps(x, t)

    def _eps(self, x: Tensor, t: Tensor) -> Tensor:
        if t.stride(0) == 0:  # one time, expanded: embedded once
            t = t[:1]
        eps: Tensor = self._network(x.dtype)(x, noise_level(self.schedule.alpha_bar(t.to(x.dtype))))
        return eps

    def _network(self, dtype: torch.dtype) -> Any:
        if self._compiled is not None and dtype == self._dtype and not torch.is_grad_enabled():
            return self._compiled
        return super()._network(dtype)
