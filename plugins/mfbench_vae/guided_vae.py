"""Guided-VAE, supervised (Ding et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from mfbench import Dataset, DataSpec
from mfbench_vae.arguments import at_least
from mfbench_vae.attributes import attribute_axes, given_attributes, places, required, required_names
from mfbench_vae.classifiers import AttributeClassifiers
from mfbench_vae.posterior import Posterior
from mfbench_vae.training import Batch
from mfbench_vae.vae import Variational


@dataclass(kw_only=True, eq=False)
class GuidedVAE(Variational):
    """A VAE whose dimension t tells attribute t (excitation), which the others are kept from (inhibition).

    Beside the ELBO, with KL weighed by beta: the cross-entropy of attribute t given z_t alone, by a
    classifier trained along, and that between the uniform law and what a second classifier, trained as an
    adversary, says of attribute t given all dimensions but z_t; both weighed by `guidance`. A dimension for
    each attribute, those `left_out` (not guided) too, then `rest` free ones. The uniform target is that of
    the authors' code; the cross-entropy with its sign changed, as their text has it, knows no bound.
    """

    adversarial: ClassVar[bool] = True
    critic_rate: ClassVar[float] = 1e-3

    beta: float = 1.0
    guidance: float = 10.0
    rest: int = 10
    left_out: Sequence[str] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self._registered, 0, beta=self.beta, guidance=self.guidance, rest=self.rest)

    def build(self, spec: DataSpec) -> None:
        names = required_names(spec, self._registered)
        self._attributes = len(names)
        self.latent = len(names) + self.rest
        self._left_out = places(names, self.left_out, self._registered)
        self.labels_used = 1 - len(self._left_out) / len(names)
        super().build(spec)

    def attributes_for(self, data: Dataset, rng: torch.Generator) -> Tensor:
        return given_attributes(data, self._left_out, 1.0, rng)

    def make_critics(self, attributes: Tensor | None) -> nn.ModuleDict:
        if attributes is None:
            return nn.ModuleDict()
        axes = attribute_axes(attributes)
        return nn.ModuleDict(
            {"heads": AttributeClassifiers(1, axes), "adversary": AttributeClassifiers(self.latent, axes)}
        )

    def penalty(self, q: Posterior, z: Tensor, batch: Batch) -> Tensor:
        return self.beta * q.divergence().sum(1).mean()

    def loss(self, batch: Batch) -> Tensor:
        q, z = self.drawn(batch)
        own = self.reconstruction(self.decoded(z), batch.x).mean() + self.penalty(q, z, batch)
        told = required(batch.attributes)
        excitation = self._classifiers("heads").told(z[:, : self._attributes, None], told)
        inhibition = self._classifiers("adversary").confusion(self._others(z), told)
        return own + self.guidance * (excitation + inhibition)

    def critic_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            z = self.drawn(batch)[1]
        return self._classifiers("adversary").told(self._others(z), required(batch.attributes))

    def _classifiers(self, name: str) -> AttributeClassifiers:
        return cast(AttributeClassifiers, self.critics[name])

    def _others(self, z: Tensor) -> Tensor:
        """(n, k, d): for each attribute t the code with 0 in place of z_t."""
        kept = 1 - torch.eye(self._attributes, self.latent, dtype=z.dtype, device=z.device)
        return z[:, None] * kept
