"""What a disentangler promises: a code of each sample, and a sample of each code."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mfbench.contracts import Dataset, Disentangler, Split
from mfbench.protocols.checked import checked_samples
from mfbench.testing.findings import NotApplicable, require
from mfbench.testing.methods import Check, MethodChecks
from mfbench.testing.sameness import largest_gap
from mfbench.testing.workshop import Workshop


class DisentanglerChecks(MethodChecks):
    """Asked for the codes of test images."""

    kind = "disentangler"

    def respond(self, method: Any, x: Tensor, rng: torch.Generator) -> Tensor:
        codes: Tensor = method.encode(x)
        return codes

    def own(self) -> list[Check]:
        return [self.codes, self.decoding, self.symbols, self.labels]

    def codes(self) -> str | None:
        """`encode`: (n, d), finite, the same at every call."""
        codes = self.method.encode(self.inputs.clone())
        shape = tuple(codes.shape) if isinstance(codes, Tensor) else ()
        require(len(shape) == 2 and shape[1] > 0, f"encode must return (n, d), not {shape}")
        checked_samples(codes, (len(self.inputs), shape[1]), self.method, "encode")
        require(len(codes.detach().unique(dim=0)) > 1, "encode gives every sample the same code")
        return f"{shape[1]} dimensions"

    def decoding(self) -> None:
        """`decode`: codes back to samples, finite."""
        decoded = self.method.decode(self.method.encode(self.inputs.clone()))
        checked_samples(decoded, tuple(self.inputs.shape), self.method, "decode")

    def symbols(self) -> None:
        """`symbols`, where there are some: (n, d) int64."""
        if type(self.method).symbols is Disentangler.symbols:
            raise NotApplicable("no discrete message")
        symbols = self.method.symbols(self.inputs.clone())
        require(isinstance(symbols, Tensor), f"symbols must return a tensor, not {type(symbols).__name__}")
        shape, dtype = tuple(symbols.shape), symbols.dtype
        right = len(shape) == 2 and shape[0] == len(self.inputs) and dtype == torch.int64
        require(right, f"symbols must return (n, d) int64, not {shape} {dtype}")

    def labels(self) -> str | None:
        """`labels_used` is a share; where it is 0, the fit is the same without labels of any kind."""
        used = self.method.labels_used
        require(0 <= used <= 1, f"labels_used is {used}: a share of the labels, from 0 to 1")
        if used:
            return f"{used:.3g} of the labels"
        without = type(self)(Workshop(self.workshop.registry, _Unlabelled(self.data)), self.name)
        try:
            gap = largest_gap(without.answer(x=self.inputs), self.answer())
        except Exception as error:
            gap = float("nan")
            told = f"without labels it fails ({type(error).__name__}: {error})"
        else:
            told = "without labels it is fitted otherwise"
        require(gap == 0, f"labels_used is 0, but {told}")
        return "no labels"


class _Unlabelled(Dataset):
    """The same samples and names; whoever asks for attributes, classes or identities finds none."""

    def __init__(self, base: Dataset) -> None:
        super().__init__(seed=base.seed)
        self.base, self.name, self.shape, self.parameters = base, base.name, base.shape, base.parameters

    def make_split(self, split: str) -> Split:
        made: Split = getattr(self.base, split)
        return Split(made.x, names=made.names)
