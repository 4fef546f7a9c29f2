"""What protocols of disentanglers ask: codes, images and messages, batch by batch and checked.

A method without a message of its own is read one from its codes: each dimension is cut into as many parts,
equally frequent on validation images, as the factor of most values has; a dimension of no more different
values than that is its own message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Disentangler, KnowsAttributes, Split
from mfbench.errors import ContractError, Unsupported, UserError
from mfbench.protocols.checked import checked_samples
from mfbench.spelling import did_you_mean

Array = NDArray[Any]

BATCH = 256
"""Images or codes that are handed over at once."""
FEWEST = 10
"""Held-out images that differ from an attribute's most frequent value: with fewer nothing is measured."""


@dataclass(frozen=True)
class Factors:
    """The attributes that are asked about: their names, and which columns of `Split.attributes` they are."""

    names: tuple[str, ...]
    columns: tuple[int, ...]

    def of(self, split: Split) -> Array:
        """Their values, (n, k) int64."""
        assert split.attributes is not None
        values: Array = split.attributes[:, list(self.columns)].cpu().numpy().astype(np.int64)
        return values

    def keep(self, chosen: Sequence[int]) -> Factors:
        """These of them, by place."""
        return Factors(tuple(self.names[j] for j in chosen), tuple(self.columns[j] for j in chosen))


def factors_of(split: Split, data: str, wanted: Sequence[str] | None = None) -> Factors:
    """The attributes of a data set, or the wanted ones of them.

    Unsupported where it has none, UserError for a name that it does not have.
    """
    if split.attributes is None or split.attributes.ndim != 2 or not split.attributes.shape[1]:
        raise Unsupported(f"data set {data!r} has no attributes, which codes are held against")
    names = tuple(split.names.get("attributes", ()))
    names = names or tuple(f"attribute {j}" for j in range(split.attributes.shape[1]))
    for name in wanted or ():
        if name not in names:
            raise UserError(f"data set {data!r} has no attribute {name!r}{did_you_mean(name, names)}")
    chosen = range(len(names)) if wanted is None else [names.index(name) for name in wanted]
    return Factors(names, tuple(range(len(names)))).keep(list(chosen))


def distinct(who: str, key: str, names: Sequence[str] | None) -> None:
    """UserError for a name that is given twice."""
    twice = sorted({name for name in names or () if list(names or ()).count(name) > 1})
    if twice:
        raise UserError(f"{who}: {key} names {twice[0]!r} twice: each once")


def varying(factors: Factors, *samples: Array) -> tuple[Factors, list[str]]:
    """Those that vary in each of the samples (n, k) of their values, and a note on the others.

    At least `FEWEST` images differ from the most frequent value. Unsupported where no factor is left.
    """
    kept = [
        j
        for j in range(len(factors.names))
        if all(len(each) - np.unique(each[:, j], return_counts=True)[1].max() >= FEWEST for each in samples)
    ]
    if not kept:
        raise Unsupported(f"no attribute varies among the held-out images: at least {FEWEST} of them differ")
    others = [name for j, name in enumerate(factors.names) if j not in kept]
    return factors.keep(kept), [f"left out, hardly varying: {', '.join(others)}"] if others else []


def in_batches(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """The answers to all rows of the inputs, `BATCH` at a time, without gradient."""
    with torch.no_grad():
        parts = [
            function(*(each[start : start + BATCH] for each in inputs))
            for start in range(0, len(inputs[0]), BATCH)
        ]
    return torch.cat(parts)


def encode(method: Disentangler, split: Split, count: int | None = None) -> Tensor:
    """Codes (n, d) of the first `count` images; a method that knows the attributes is shown them."""
    x = split.x[:count]
    if isinstance(method, KnowsAttributes):
        if split.attributes is None:
            raise Unsupported(f"{type(method).__name__} needs attributes, and the data set has none")
        codes = in_batches(method.encode_knowing, x, split.attributes[:count])
        return _checked_codes(codes, len(x), method, "encode_knowing")
    return encode_images(method, x)


def encode_images(method: Disentangler, x: Tensor) -> Tensor:
    """Codes (n, d) of images alone."""
    return _checked_codes(in_batches(method.encode, x), len(x), method, "encode")


def decode(method: Disentangler, codes: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Images (n, *shape) of codes (n, d), clamped to [0, 1]: as they would be shown."""
    images = in_batches(method.decode, codes)
    return checked_samples(images, (len(codes), *shape), method, "decode").clamp(0, 1)


def as_codes(codes: Tensor) -> Array:
    """A float64 array on the CPU."""
    array: Array = codes.detach().cpu().double().numpy()
    return array


def has_message(method: Disentangler) -> bool:
    """Whether it has symbols of its own."""
    return type(method).symbols is not Disentangler.symbols


@dataclass(frozen=True)
class Reader:
    """Reads a message (n, d), int64, off images: the method's own, or one cut from its codes.

    edges: of each dimension's parts, ascending; None where the method has symbols.
    """

    method: Disentangler
    edges: tuple[Array, ...] | None

    def message(self, x: Tensor, codes: Tensor) -> Array:
        """Of images (n, ...) with these codes (n, d)."""
        if self.edges is None:
            return _checked_symbols(in_batches(self.method.symbols, x), codes, self.method)
        columns = [np.searchsorted(edge, code) for edge, code in zip(self.edges, as_codes(codes).T)]
        return np.stack(columns, axis=1).astype(np.int64)

    def note(self, parts: int) -> list[str]:
        """What the board must say of a message that is not the method's own."""
        if self.edges is None:
            return []
        return [f"message read from the codes: at most {parts} equally frequent parts a dimension"]


def reader(method: Disentangler, codes: Tensor, values: int) -> Reader:
    """Fitted on validation codes (n, d); `values`: of the factor that has most."""
    if has_message(method):
        return Reader(method, None)
    return Reader(method, tuple(_edges(column, max(2, values)) for column in as_codes(codes).T))


def _edges(column: Array, parts: int) -> Array:
    """Ends between the parts of one dimension."""
    distinct = np.unique(column)
    if len(distinct) <= parts:
        between: Array = (distinct[1:] + distinct[:-1]) / 2
        return between
    return np.unique(np.quantile(column, np.arange(1, parts) / parts))


def _checked_codes(codes: Tensor, count: int, who: object, call: str) -> Tensor:
    if codes.ndim != 2 or not codes.shape[1]:
        raise ContractError(f"{type(who).__name__}.{call} must return (n, d), not {tuple(codes.shape)}")
    return checked_samples(codes, (count, codes.shape[1]), who, call)


def _checked_symbols(symbols: Tensor, codes: Tensor, who: object) -> Array:
    if symbols.ndim != 2 or len(symbols) != len(codes) or torch.is_floating_point(symbols):
        told = f"{tuple(symbols.shape)} {symbols.dtype}"
        raise ContractError(f"{type(who).__name__}.symbols must return (n, d) int64, not {told}")
    array: Array = symbols.cpu().numpy().astype(np.int64)
    return array
