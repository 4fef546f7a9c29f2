"""Draws come from the generator a method is given, never from the global one."""

from __future__ import annotations

import math

import torch
from torch import nn


@torch.no_grad()
def initialise(network: nn.Module, rng: torch.Generator) -> None:
    """Weights of convolutions and linear layers uniform within sqrt(6 / inputs) (He et al. 2015), drawn from
    `rng`; their biases 0, normalisations at their start.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = math.sqrt(6 / module.weight[0].numel())
            module.weight.uniform_(-bound, bound, generator=rng)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
