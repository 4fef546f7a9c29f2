"""The emergent-language frame (Tu et al. 2023, section 3): who hears only the message draws the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from mfbench import Dataset, DataSpec, Disentangler, Progress, Ref, Unsupported
from mfbench_vae.autoencoder import Autoencoder
from mfbench_vae.training import Batch
from mfbench_vae.vocabulary import Vocabulary


@dataclass(kw_only=True, eq=False)
class Receiver(Autoencoder):
    """A decoder trained on the messages of a fitted `sender` alone: what do its symbols say?

    Encoding is the sender's (`symbols`); decoding is learned anew, from the symbols one-hot by position, so
    that it can use nothing but the message. A symbol that no training message has at its place is not heard.
    The same receiver hears every sender, so that senders are compared by what they say.
    """

    sender: Annotated[Ref, "disentangler"] = "grid_vae"

    def build(self, spec: DataSpec) -> None:
        self._words = [[0]]
        self.labels_used = self.sender.labels_used
        super().build(spec)

    def make_networks(self) -> nn.ModuleDict:
        vocabulary = Vocabulary(self._words)
        return nn.ModuleDict({"vocabulary": vocabulary, "decoder": self.new_decoder(vocabulary.size)})

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        self._words = [column.unique().tolist() for column in self.symbols(data.train.x).T]
        super().fit(data, rng=rng, progress=progress)

    def objective(self, batch: Batch) -> Tensor:
        return self.reconstruction(self.decoded(self.encode(batch.x)), batch.x).mean()

    def encode(self, x: Tensor) -> Tensor:
        """The message, as numbers (n, length)."""
        return self.symbols(x).to(x.dtype)

    def decoded(self, z: Tensor) -> Tensor:
        return super().decoded(self.networks["vocabulary"](z.round().long(), z.dtype))

    def symbols(self, x: Tensor) -> Tensor:
        """The sender's message."""
        if type(self.sender).symbols is Disentangler.symbols:
            raise Unsupported(f"receiver hears messages, and {type(self.sender).__name__} sends none")
        message: Tensor = self.sender.symbols(x)
        return message

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        words, used = state["vocabulary.words"], state["vocabulary.used"]
        self._words = [row[kept].tolist() for row, kept in zip(words, used)]
        self._new_networks(None)
        super().load_state_dict(state)
