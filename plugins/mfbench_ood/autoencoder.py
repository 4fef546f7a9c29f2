"""The networks of `conv_vae`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from mfbench_ood.pixels import PixelLaw

HALVINGS = 2


class Encoder(nn.Module):
    """Images (n, c, h, w) to mean and log-standard-deviation of their codes, (n, latent) each."""

    def __init__(self, shape: Sequence[int], latent: int, width: int) -> None:
        super().__init__()
        sizes, channels = _pyramid(shape, width)
        self.layers = nn.Sequential(
            nn.Conv2d(shape[0], channels[0], 3, padding=1),
            nn.SiLU(),
            *(layer for pair in pairwise(channels) for layer in (nn.Conv2d(*pair, 3, 2, 1), nn.SiLU())),
            nn.Flatten(),
            nn.Linear(channels[-1] * sizes[-1][0] * sizes[-1][1], 2 * latent),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self.layers(x - 0.5).chunk(2, dim=1)
        return mean, log_std


class Decoder(nn.Module):
    """Codes (n, latent) to the law's parameters, (n, parameters, c, h, w)."""

    def __init__(self, shape: Sequence[int], latent: int, width: int, parameters: int) -> None:
        super().__init__()
        sizes, channels = _pyramid(shape, width)
        sizes, channels = sizes[::-1], channels[::-1]
        self.shape = (parameters, *shape)
        self.layers = nn.Sequential(
            nn.Linear(latent, channels[0] * sizes[0][0] * sizes[0][1]),
            nn.SiLU(),
            nn.Unflatten(1, (channels[0], *sizes[0])),
            *(
                layer
                for size, pair in zip(sizes[1:], pairwise(channels))
                for layer in (nn.Upsample(size), nn.Conv2d(*pair, 3, padding=1), nn.SiLU())
            ),
            nn.Conv2d(channels[-1], parameters * shape[0], 3, padding=1),
        )

    def forward(self, z: Tensor) -> Tensor:
        output: Tensor = self.layers(z).unflatten(1, self.shape[:2])
        return output


class Autoencoder(nn.Module):
    """Encoder, decoder and the law of pixels between them."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, law: PixelLaw) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.law = law


def _pyramid(shape: Sequence[int], width: int) -> tuple[list[tuple[int, int]], list[int]]:
    """Sizes (h, w) and channels, from the image's own size down."""
    sizes = [(shape[1], shape[2])]
    for _ in range(HALVINGS):
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes, [width * 2**k for k in range(HALVINGS + 1)]
