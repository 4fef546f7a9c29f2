"""The network of `ddpm_unet`: a U-Net of residual blocks (Ho et al. 2020; Dhariwal and Nichol 2021)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention, silu

from mfbench import Unsupported

GROUPS = 8
"""Of every group normalisation: widths are multiples of it."""
HEAD_CHANNELS = 32
_RATES = 0.2, 3.0
"""Slowest and fastest feature of the noise level, in radians a unit of u, which runs from 0 to about 8."""


class UNet(nn.Module):
    """(x, u) -> prediction, for images x (n, *shape); u = asinh(sigma / 0.1) is the noise level.

    Level i has `width` * `multipliers`[i] channels, `blocks` residual blocks on the way down and one more on
    the way up, and half the size of the level before. Self-attention follows the blocks of levels at most
    `attention` pixels high and wide, and stands in the middle. `time_features` sines and cosines of u turn by
    less than 1 radian in a step of 1/T (T >= 100), so that the network is smooth between the steps, and reach
    every block as scale and shift. The last convolutions start at zero: so does the network.
    `bf16`: whether it computes in bfloat16 on CUDA (autocast; float64 stays float64).
    """

    rates: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        *,
        width: int,
        multipliers: Sequence[int],
        blocks: int,
        attention: int,
        time_features: int,
        dropout: float,
        bf16: bool = False,
    ) -> None:
        """`shape`: (channels, height, width), halved once a multiplier but for the first (Unsupported)."""
        super().__init__()
        self.bf16 = bf16
        sizes = level_sizes(shape, len(multipliers))
        attends = [max(size) <= attention for size in sizes]
        embedding = 4 * width
        rates = torch.logspace(*map(math.log10, _RATES), time_features // 2)
        self.register_buffer("rates", rates, persistent=False)
        self.time = nn.Sequential(
            nn.Linear(2 * len(rates), embedding), nn.SiLU(), nn.Linear(embedding, embedding), nn.SiLU()
        )
        self.stem = nn.Conv2d(shape[0], width, 3, padding=1)

        def stage(inputs: int, outputs: int, attends: bool) -> Stage:
            return Stage(inputs, outputs, embedding, dropout, attends)

        down: list[nn.Module] = []
        up: list[nn.Module] = []
        channels, skips = width, [width]
        for level, multiplier in enumerate(multipliers):
            if level:
                down.append(Down(channels))
                skips.append(channels)
            for _ in range(blocks):
                down.append(stage(channels, width * multiplier, attends[level]))
                channels = width * multiplier
                skips.append(channels)
        middle = [stage(channels, channels, True), stage(channels, channels, False)]
        for level, multiplier in reversed(list(enumerate(multipliers))):
            for _ in range(blocks + 1):
                up.append(stage(channels + skips.pop(), width * multiplier, attends[level]))
                channels = width * multiplier
            if level:
                up.append(Up(channels))
        self.down, self.middle, self.up = nn.ModuleList(down), nn.ModuleList(middle), nn.ModuleList(up)
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.out = nn.Conv2d(channels, shape[0], 3, padding=1)

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Weights uniform within 1 / sqrt(inputs), drawn from `rng`; the last ones of each branch are 0."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                bound = 1 / math.sqrt(module.weight[0].numel())
                for parameter in module.parameters():
                    parameter.uniform_(-bound, bound, generator=rng)
            elif isinstance(module, nn.GroupNorm):
                module.reset_parameters()
        for module in self.modules():
            last = getattr(module, "out", None)
            if isinstance(last, nn.Module):
                for parameter in last.parameters():
                    parameter.zero_()

    def forward(self, x: Tensor, u: Tensor) -> Tensor:
        """The shape and dtype of x; u is (n,), or (1,) for one level that all rows share."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16 and x.is_cuda):
            return self._predict(x, u).to(x.dtype)

    def _predict(self, x: Tensor, u: Tensor) -> Tensor:
        turn = u[:, None] * self.rates
        time = self.time(torch.cat([turn.sin(), turn.cos()], 1))
        h = self.stem(x)
        skips = [h]
        for layer in self.down:
            h = layer(h, time)
            skips.append(h)
        for layer in self.middle:
            h = layer(h, time)
        for layer in self.up:
            if isinstance(layer, Stage):
                h = torch.cat([h, skips.pop()], 1)
            h = layer(h, time)
        return cast(Tensor, self.out(silu(self.norm(h))))


def level_sizes(shape: Sequence[int], levels: int) -> list[tuple[int, int]]:
    """(height, width) of each level; Unsupported where `shape` is no image, or cannot be halved so often."""
    if len(shape) != 3:
        raise Unsupported(f"a U-Net is for images (channels, height, width), not for shape {tuple(shape)}")
    _, height, width = shape
    sizes = [(height >> level, width >> level) for level in range(levels)]
    for level in range(1, levels):
        above, below = sizes[level - 1], sizes[level]
        if above != (2 * below[0], 2 * below[1]):
            raise Unsupported(
                f"images of {height} x {width}: {above[0]} x {above[1]} cannot be halved; "
                f"multipliers: at most {level} of them, not {levels}"
            )
    return sizes


class Stage(nn.Module):
    """A residual block, and self-attention after it where `attends`."""

    def __init__(self, inputs: int, outputs: int, embedding: int, dropout: float, attends: bool) -> None:
        super().__init__()
        self.block = Residual(inputs, outputs, embedding, dropout)
        self.attention = Attention(outputs) if attends else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return cast(Tensor, self.attention(self.block(x, time)))


class Residual(nn.Module):
    """Two convolutions around the time's scale and shift of the normalised features, beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, inputs)
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.from_time = nn.Linear(embedding, 2 * outputs)
        self.inner_norm = nn.GroupNorm(GROUPS, outputs)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.conv(silu(self.norm(x)))
        scale, shift = self.from_time(time)[:, :, None, None].chunk(2, 1)
        h = silu(torch.addcmul(shift, self.inner_norm(h), 1 + scale))
        return cast(Tensor, self.shortcut(x) + self.out(self.dropout(h)))


class Attention(nn.Module):
    """Self-attention between the pixels, in heads of 32 channels, added to x (Vaswani et al. 2017)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = max(1, channels // HEAD_CHANNELS)
        while channels % self.heads:
            self.heads -= 1
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.out(seen).transpose(1, 2).reshape(x.shape)


class Down(nn.Module):
    """Half the size, by a convolution with stride 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return cast(Tensor, self.conv(x))


class Up(nn.Module):
    """Twice the size: every pixel repeated, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return cast(Tensor, self.conv(interpolate(x, scale_factor=2, mode="nearest")))
