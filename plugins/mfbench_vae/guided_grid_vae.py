"""GridVAE guided by attributes: all, some, or those of a few images (Tu et al. 2023, Eq. 28)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from mfbench import Dataset, DataSpec
from mfbench_vae.arguments import above_zero, at_least, within
from mfbench_vae.attributes import attribute_axes, given_attributes, places, required_names
from mfbench_vae.beta_vae import warmed
from mfbench_vae.grid import Grid
from mfbench_vae.grid_vae import GridVariational
from mfbench_vae.posterior import Posterior
from mfbench_vae.training import Batch, shuffled_rows

GENTLE = 0.1
"""`begin` of means that are near the middle of their axes: labels will draw each to its side."""


@dataclass(kw_only=True, eq=False)
class GuidedGridVAE(GridVariational):
    """GridVAE whose dimension i is drawn to the value of attribute i: Eq. 28 with a_i in place of R(mean_i).

    A dimension for each attribute; its centres are the attribute's values, so that codes are read without an
    assignment. left_out: attributes whose labels are not read (partially guided); their axes have the
    centres 0 and 1. label_fraction: of the training images, drawn at random, whose labels are read; they
    make up `labelled_share` of each batch. Where no label is given, `kl` is as in `grid_vae`: "nearest", or
    "conditional" to the mixture. prior_std: the paper's 1/16, as a variance, is 1/4, the default. free: so
    many dimensions more, each with the prior N(0, 1), for what no attribute says (places, colours); they have
    one centre, so that no message tells of them.
    """

    prior_std: float = 0.25
    kl: Literal["nearest", "conditional"] = "nearest"
    beta: float = 4.0
    warm_up: float = 0.0
    left_out: Sequence[str] = ()
    label_fraction: float = 1.0
    labelled_share: float = 0.5
    free: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(self._registered, prior_std=self.prior_std, label_fraction=self.label_fraction)
        at_least(self._registered, 0, beta=self.beta, free=self.free)
        within(self._registered, 0, 1, label_fraction=self.label_fraction, labelled_share=self.labelled_share)
        within(self._registered, 0, 1, warm_up=self.warm_up)

    def build(self, spec: DataSpec) -> None:
        names = required_names(spec, self._registered)
        self.latent = len(names) + self.free
        self._left_out = places(names, self.left_out, self._registered)
        self._axes = [[0.0, 1.0]] * len(names)
        self.labels_used = self.label_fraction * (1 - len(self._left_out) / len(names))
        super().build(spec)

    def make_grid(self) -> Grid:
        stds = [self.prior_std] * len(self._axes) + [1.0] * self.free
        return Grid([*self._axes, *[[0.0]] * self.free], stds)

    def prepare(self, x: Tensor) -> None:
        if self.head == "centres":
            self.begin(x, GENTLE)

    def attributes_for(self, data: Dataset, rng: torch.Generator) -> Tensor:
        given = given_attributes(data, self._left_out, self.label_fraction, rng)
        self._axes = attribute_axes(given)
        return given

    def rows(self, count: int, attributes: Tensor | None, rng: torch.Generator) -> Iterator[Tensor]:
        if attributes is not None:
            shown = (~attributes.isnan()).any(dim=1)
            if shown.any() and not shown.all():
                return self._mixed(shown.nonzero()[:, 0], (~shown).nonzero()[:, 0], rng)
        return super().rows(count, attributes, rng)

    def _mixed(self, labelled: Tensor, others: Tensor, rng: torch.Generator) -> Iterator[Tensor]:
        share = round(self.labelled_share * self.batch_size)
        pairs = zip(shuffled_rows(labelled, share, rng), shuffled_rows(others, self.batch_size - share, rng))
        return (torch.cat(pair) for pair in pairs)

    def penalty(self, q: Posterior, z: Tensor, batch: Batch) -> Tensor:
        told = self._told(q, batch.attributes)
        guided = self.grid_prior.nearest_divergence(q, told)
        if self.kl == "conditional":
            guided = torch.where(told.isnan(), self.grid_prior.divergence(q, z), guided)
        return warmed(self.beta, self.warm_up, batch) * guided.sum(1).mean()

    def _told(self, q: Posterior, attributes: Tensor | None) -> Tensor:
        """The attributes (n, d), NaN where none is given, and in free dimensions."""
        told = torch.full_like(q.mean, torch.nan)
        if attributes is not None:
            told[:, : attributes.shape[1]] = attributes
        return told

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        axes = zip(state["grid.centres"].tolist(), state["grid.used"].tolist())
        self._axes = [[c for c, used in zip(*axis) if used] for axis in axes][: self.latent - self.free]
        self._new_networks(None)  # with the centres' head, the encoder's size depends on the grid
        super().load_state_dict(state)
