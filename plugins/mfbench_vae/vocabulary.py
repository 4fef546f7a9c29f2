"""Messages as a network takes them: one-hot by position."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Vocabulary(nn.Module):
    """The symbols known at each position of messages (n, length), int64."""

    words: Tensor
    used: Tensor

    def __init__(self, words: Sequence[Sequence[int]]) -> None:
        super().__init__()
        most = max(map(len, words))
        self.register_buffer("words", torch.tensor([[*known, *[0] * (most - len(known))] for known in words]))
        self.register_buffer("used", torch.tensor([[i < len(known) for i in range(most)] for known in words]))

    @property
    def size(self) -> int:
        """Numbers in an encoded message."""
        return self.words.numel()

    def forward(self, messages: Tensor, dtype: torch.dtype) -> Tensor:
        """(n, size): 1 for the symbol at each position, all 0 at a position whose symbol is not known."""
        return ((messages[:, :, None] == self.words) & self.used).to(dtype).flatten(1)
