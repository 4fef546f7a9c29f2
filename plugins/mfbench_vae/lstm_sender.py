"""The sequential sender, replaced by GridVAE's code (Havrylov and Titov 2017; Chaabouni et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from mfbench_vae.arguments import above_zero, at_least
from mfbench_vae.autoencoder import Autoencoder
from mfbench_vae.quantised import straight_through
from mfbench_vae.training import Batch


@dataclass(kw_only=True, eq=False)
class LSTMSender(Autoencoder):
    """An encoder that begins an LSTM, which says `length` symbols of `vocabulary`, one after the other.

    Symbols are drawn by the Gumbel-softmax at `temperature`, one-hot, with gradients straight through; after
    training the likeliest symbol is said. The decoder hears them one-hot by position, as `receiver` does, and
    is trained along; the reconstruction error is the objective. All messages have the same length, without an
    end symbol.
    """

    length: int = 2
    vocabulary: int = 6
    hidden: int = 128
    temperature: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self._registered, 1, length=self.length, hidden=self.hidden)
        at_least(self._registered, 2, vocabulary=self.vocabulary)
        above_zero(self._registered, temperature=self.temperature)

    def make_networks(self) -> nn.ModuleDict:
        networks = {
            "encoder": self.new_encoder(self.hidden),
            "speaker": Speaker(self.hidden, self.vocabulary),
        }
        return nn.ModuleDict({**networks, "decoder": self.new_decoder(self.length * self.vocabulary)})

    def objective(self, batch: Batch) -> Tensor:
        thought = self.networks["encoder"](batch.seen)
        message = self.networks["speaker"](thought, self.length, self.temperature, batch.rng)
        outputs = self.networks["decoder"](message.flatten(1))
        return self.reconstruction(outputs, batch.x).mean()

    def codes(self, outputs: Tensor) -> Tensor:
        message: Tensor = self.networks["speaker"](outputs, self.length)
        return message.argmax(dim=2).to(outputs.dtype)

    def decoded(self, z: Tensor) -> Tensor:
        message = one_hot(z.round().clamp(0, self.vocabulary - 1).long(), self.vocabulary)
        return super().decoded(message.to(z.dtype).flatten(1))

    def symbols(self, x: Tensor) -> Tensor:
        """The likeliest message."""
        return self.encode(x).long()


class Speaker(nn.Module):
    """Hidden states (n, hidden) to messages (n, length, vocabulary), one-hot, symbol by symbol."""

    def __init__(self, hidden: int, vocabulary: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(vocabulary, hidden)
        self.says = nn.Linear(hidden, vocabulary)

    def forward(
        self, hidden: Tensor, length: int, temperature: float = 1.0, rng: torch.Generator | None = None
    ) -> Tensor:
        """With `rng`, symbols drawn by the Gumbel-softmax, straight through; without it the likeliest."""
        symbol = hidden.new_zeros(len(hidden), self.says.out_features)  # nothing said yet
        state, message = (hidden, torch.zeros_like(hidden)), []
        for _ in range(length):
            state = self.cell(symbol, state)
            logits = self.says(state[0])
            symbol = _likeliest(logits) if rng is None else _gumbel_softmax(logits, temperature, rng)
            message.append(symbol)
        return torch.stack(message, dim=1)


def _likeliest(logits: Tensor) -> Tensor:
    return one_hot(logits.argmax(dim=1), logits.shape[1]).to(logits.dtype)


def _gumbel_softmax(logits: Tensor, temperature: float, rng: torch.Generator) -> Tensor:
    """Jang et al. 2017: one-hot draws from softmax(logits), with the gradient of the tempered softmax."""
    waiting = torch.empty(logits.shape, dtype=logits.dtype, device=rng.device).exponential_(generator=rng)
    gumbel = -waiting.clamp_min(torch.finfo(logits.dtype).tiny).log().to(logits.device)
    soft = ((logits + gumbel) / temperature).softmax(dim=1)
    return straight_through(_likeliest(soft), soft)
