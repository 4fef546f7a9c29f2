"""An embedding learnt by contrast: images of one person together, those of others apart.

Supervised contrastive learning (Khosla et al. 2020) with two images of each person in a batch, where it is
the normalised temperature-scaled cross-entropy of Chen et al. 2020:

    loss_i = -log exp(z_i . z_i' / tau) / sum_{k != i} exp(z_i . z_k / tau),   |z| = 1

Identities are labels: `labels_used` is 1. Where the data have none, the two are changed copies of one image
(SimCLR), and it is 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, pad

from mfbench import Dataset, DataSpec, Disentangler, Progress, Role, Unsupported, UserError
from mfbench_recognition.linear_decoder import LinearDecoder

BATCH = 256
"""Images embedded at once."""
GROUPS = 4
SMALLEST = 4
"""The network halves an image until neither side is longer."""
_PROGRESS_EVERY = 20


class Contrastive(Disentangler):
    """Unit vectors whose neighbours are images of the same person.

    `dimensions` of the code; `width`: channels at half size, doubled twice on the way down; `iterations` of
    Adam on `people` pairs of images, at a rate that falls from `learning_rate` to 0 as a cosine;
    `temperature` tau. Images are moved by up to an eighth of their side and made lighter or darker by up to a
    tenth. The weights of the last step are used.
    """

    def __init__(
        self,
        dimensions: int = 64,
        width: int = 24,
        iterations: int = 1500,
        people: int = 64,
        temperature: float = 0.1,
        learning_rate: float = 5e-3,
    ) -> None:
        least = {"dimensions": (dimensions, 2), "width": (width, GROUPS), "iterations": (iterations, 0)}
        for name, (value, bound) in (least | {"people": (people, 2)}).items():
            if value < bound:
                raise UserError(f"contrastive: {name} = {value}: at least {bound}")
        if width % GROUPS:
            raise UserError(f"contrastive: width = {width}: a multiple of {GROUPS}")
        for name, rate in (("temperature", temperature), ("learning_rate", learning_rate)):
            if not rate > 0:
                raise UserError(f"contrastive: {name} = {rate:g}: above 0")
        self.dimensions, self.width, self.iterations = dimensions, width, iterations
        self.people, self.temperature, self.learning_rate = people, temperature, learning_rate

    def build(self, spec: DataSpec) -> None:
        """Unsupported where the data are no images."""
        if len(spec.shape) != 3:
            raise Unsupported(f"contrastive is for images (channels, height, width), not for {spec.shape}")
        with torch.random.fork_rng(devices=[]):  # layers draw when made; `fit` draws again, from its rng
            network = _network(spec.shape, self.width, self.dimensions)
        self.network = network.to(spec.device, spec.dtype or torch.float32)
        self.network.eval().requires_grad_(False)
        self.decoder = LinearDecoder(spec.shape)
        self.labels_used = float(self.iterations > 0)

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        self.labels_used = float(self.iterations > 0 and data.train.identity is not None)
        x, pairs = data.train.x, _Pairs(data.train.identity, len(data.train), rng)
        _initialise(self.network, rng)
        self.network.train().requires_grad_(True)
        optimizer = torch.optim.Adam(self.network.parameters(), lr=self.learning_rate)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, self.iterations))
        for done in range(1, self.iterations + 1):
            rows = pairs.draw(self.people).to(x.device)
            codes = normalize(self.network(_changed(x[rows.flatten()], rng)), dim=1)
            loss = contrast(codes.unflatten(0, (2, -1)), self.temperature)  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            decay.step()
            if done % _PROGRESS_EVERY == 0 or done == self.iterations:
                progress(done, self.iterations)
        self.network.eval().requires_grad_(False)
        codes = torch.cat([self.encode(x[start : start + BATCH]) for start in range(0, len(x), BATCH)])
        self.decoder.fit(codes, x)

    def encode(self, x: Tensor) -> Tensor:
        return normalize(self.network(x), dim=1)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def state_dict(self) -> Mapping[str, Tensor | float]:
        return {
            **self.network.state_dict(),
            **self.decoder.state_dict(),
            "labels_used": self.labels_used,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.decoder.load_state_dict(state)
        self.labels_used = float(state["labels_used"])
        own = self.network.state_dict()
        weights = {name: value for name, value in state.items() if name in own}
        self.network.load_state_dict(weights)
        self.network.eval().requires_grad_(False)


class RandomEmbedding(Contrastive):
    """The network of `contrastive` with random weights: what the architecture alone sees."""

    role: ClassVar[Role] = "control"

    def __init__(self, dimensions: int = 64, width: int = 24) -> None:
        super().__init__(dimensions, width, iterations=0)


def contrast(codes: Tensor, temperature: float) -> Tensor:
    """The loss of unit vectors (2, pairs, d), [0, i] and [1, i] of one person: a mean over all 2 x pairs."""
    pairs = codes.shape[1]
    flat = codes.flatten(0, 1)
    alike = (flat @ flat.T / temperature).fill_diagonal_(-torch.inf)
    partner = torch.arange(2 * pairs, device=codes.device).roll(pairs)
    return cross_entropy(alike, partner)


class _Pairs:
    """Rows (2, pairs) of images to be alike: of two of a person's, or of one image twice."""

    def __init__(self, identity: Tensor | None, count: int, rng: torch.Generator) -> None:
        people = torch.arange(count) if identity is None else identity.cpu().unique(return_inverse=True)[1]  # type: ignore[no-untyped-call]
        self.order = people.argsort(stable=True)
        self.sizes = people.bincount()
        self.starts = self.sizes.cumsum(0) - self.sizes
        self.rng = rng

    def draw(self, pairs: int) -> Tensor:
        """Of different people, as many as asked for or as there are; two images of each where it has two."""
        device = self.rng.device
        chosen = torch.randperm(len(self.sizes), generator=self.rng, device=device)[:pairs].cpu()
        u = torch.rand(2, len(chosen), generator=self.rng, device=device).cpu()
        size = self.sizes[chosen]
        first = (u[0] * size).long().minimum(size - 1)
        step = 1 + (u[1] * (size - 1)).long().minimum((size - 2).clamp(min=0))
        second = (first + step) % size
        return self.order[self.starts[chosen] + torch.stack([first, second])]


def _changed(x: Tensor, rng: torch.Generator) -> Tensor:
    """Each image moved by whole pixels, up to an eighth of its side, and made lighter or darker."""
    n, _, height, width = x.shape
    most = max(1, max(height, width) // 8)
    by = torch.randint(2 * most + 1, (2, n, 1), generator=rng, device=rng.device).to(x.device)
    gain = 0.9 + 0.2 * torch.rand(n, 1, 1, 1, generator=rng, device=rng.device).to(x)
    rows = by[0] + torch.arange(height, device=x.device)
    columns = by[1] + torch.arange(width, device=x.device)
    wide = pad(x, (most, most, most, most), mode="replicate").movedim(1, -1)
    which = torch.arange(n, device=x.device)[:, None, None]
    return gain * wide[which, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def _network(shape: tuple[int, ...], width: int, dimensions: int) -> nn.Sequential:
    """Convolutions that halve the image, group norms, the mean over what is left, and a linear layer."""
    layers: list[nn.Module] = []
    channels, side, level = shape[0], max(shape[1:]), 0
    while side > SMALLEST or not level:
        outputs = width * min(2**level, 4)
        layers += [
            nn.Conv2d(channels, outputs, 3, stride=2, padding=1),
            nn.GroupNorm(GROUPS, outputs),
            nn.GELU(),
        ]
        channels, side, level = outputs, -(-side // 2), level + 1
    layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.GELU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(4 * channels, dimensions))


@torch.no_grad()
def _initialise(network: nn.Module, rng: torch.Generator) -> None:
    """Weights uniform within sqrt(6 / inputs) (He et al. 2015), drawn from `rng`; biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = math.sqrt(6 / module.weight[0].numel())
            module.weight.uniform_(-bound, bound, generator=rng)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, nn.GroupNorm):
            module.reset_parameters()
