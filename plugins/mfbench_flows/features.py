"""What a conditional flow sees of the lower-resolution image that it is conditional on."""

from __future__ import annotations

from torch import Tensor, nn

from mfbench_flows.sizes import Size, resized


class ConditionFeatures(nn.Module):
    """Two 3x3 convolutions at the condition's own resolution; their features are brought to `size`."""

    def __init__(self, channels: int, features: int, size: Size) -> None:
        super().__init__()
        self.size = size
        self.network = nn.Sequential(
            nn.Conv2d(channels, features, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(features, features, 3, padding=1),
        )

    def forward(self, condition: Tensor) -> Tensor:
        """(n, features, *size) of condition (n, channels, h, w)."""
        return resized(self.network(condition), self.size)
