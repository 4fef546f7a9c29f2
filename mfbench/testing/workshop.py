"""Makes what is registered ready to be checked: small budgets, references made and fitted first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from mfbench.contracts import Dataset, Method
from mfbench.errors import UserError
from mfbench.identity import derive_seed
from mfbench.registry import Registry
from mfbench.registry.schema import Parameter, Signature
from mfbench.registry.signatures import read_signatures
from mfbench.testing.data import POINTS
from mfbench.testing.findings import NotApplicable

BUDGETS = {"iterations": 200, "epochs": 2, "steps": 20, "queries": 40, "count": POINTS}
"""Parameters of these names are cut to at most so much; a protocol's `count` to what every split has."""


class Workshop:
    """Everything made here is built for, and fitted on, one data set on one device."""

    def __init__(self, registry: Registry, data: Dataset, device: str = "cpu") -> None:
        self.registry = registry
        self.original = data
        self.device = device
        self.data = data.to(device)
        self._ready: dict[str, Any] = {}

    def on(self, device: str) -> Workshop:
        """The same on another device."""
        return Workshop(self.registry, self.original, device)

    def signature(self, kind: str, name: str) -> Signature:
        """The signature of a registered name."""
        return read_signatures(self.registry, [(kind, name)])[kind, name]

    def create(self, kind: str, name: str, given: Mapping[str, Any] | None = None) -> Any:
        """An instance with its defaults but for `given` and the budgets; its references are ready for use.

        A data set also takes `seed`.
        """
        given = given or {}
        seed = {"seed": given["seed"]} if "seed" in given else {}
        return self.registry.create(kind, name, **self.arguments(self.signature(kind, name), given), **seed)

    def arguments(self, signature: Signature, given: Mapping[str, Any]) -> dict[str, Any]:
        """`given`, with budgets cut and references (the default ones too) replaced by what they name."""
        arguments = {}
        for parameter in signature.parameters:
            value = given.get(parameter.name, parameter.default)
            if parameter.name not in given and parameter.required:
                continue  # refused by name when it is created
            if parameter.type == "int" and parameter.name in BUDGETS and isinstance(value, int):
                budget = POINTS // 4 if signature.kind == "protocol" else BUDGETS[parameter.name]
                arguments[parameter.name] = min(value, budget)
            elif parameter.type == "ref":
                arguments[parameter.name] = self._refer(parameter, value)
            elif parameter.name in given:
                arguments[parameter.name] = value
        return arguments

    def built(self, kind: str, name: str) -> Any:
        """A new instance, built for the data set but not fitted."""
        with _files_may_be_missing(self.signature(kind, name)):
            method = self.create(kind, name)
            method.build(self.data.spec(self.device, self.data.train.x.dtype))
        return method

    def fitted(self, kind: str, name: str, method: Any = None) -> Any:
        """A new instance (or the built one given), fitted where it has a `fit`, in eval mode."""
        method = self.built(kind, name) if method is None else method
        if callable(getattr(method, "fit", None)):
            rng = self.rng("fit", kind, name)
            method.fit(self.data.without_test(), rng=rng, progress=lambda done, total: None)
        return to_eval(method)

    def rng(self, *names: str | int) -> torch.Generator:
        """A generator on the device, seeded by these names."""
        return torch.Generator(self.device).manual_seed(derive_seed(*names))

    def _refer(self, parameter: Parameter, value: Any) -> Any:
        if isinstance(value, list):
            return [self._refer(parameter, item) for item in value]
        if not isinstance(value, str | Mapping):
            return value
        name, given = (value, {}) if isinstance(value, str) else (value["name"], {**value})
        given.pop("name", None)
        return self.reference(parameter.kind, name, given)

    def reference(self, kind: str, name: str, given: Mapping[str, Any] | None = None) -> Any:
        """What a reference names, ready for use: each made once."""
        key = f"{kind} {name} {given or {}}"
        if key not in self._ready:
            made = self.create(kind, name, given)
            if isinstance(made, Method):
                made.build(self.data.spec(self.device, self.data.train.x.dtype))
                made = self.fitted(kind, name, made)
            elif isinstance(made, Dataset):
                made = made.to(self.device)
            self._ready[key] = made
        return self._ready[key]


@contextmanager
def _files_may_be_missing(signature: Signature) -> Iterator[None]:
    """What refuses its defaults, among them a file that nobody can guess, is NotApplicable."""
    try:
        yield
    except UserError as refusal:
        files = [p.name for p in signature.parameters if p.type == "file" and not p.default]
        if not files:
            raise
        raise NotApplicable(f"its {' and '.join(files)} would have to be given: {refusal}") from refusal


def to_eval(method: Any) -> Any:
    """Modules in eval mode, as the bench has them after `fit`: the method itself, and those it holds."""
    for value in (method, *vars(method).values()):
        if isinstance(value, torch.nn.Module):
            value.eval()
    return method


def small_data(registry: Registry) -> list[Dataset]:
    """The point sets on which methods are checked, where they are registered."""
    names = [name for name in ("swiss_roll", "gaussian_mixture") if name in registry.names("dataset")]
    if not names:
        raise UserError(
            "the kit checks on the data sets swiss_roll and gaussian_mixture, which are not registered"
        )
    return [registry.create("dataset", name, count=POINTS) for name in names]


def small_manifolds(registry: Registry) -> list[Dataset]:
    """Where it is registered, the point set of known dimension for what needs to know it."""
    names = [name for name in ("embedded_gaussian",) if name in registry.names("dataset")]
    return [registry.create("dataset", name, count=POINTS) for name in names]
