"""From a name and parameters to an instance, references and all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from mfbench.cards import Card, PluginError
from mfbench.contracts.dataset import Dataset
from mfbench.contracts.protocol import EvaluationProtocol
from mfbench.errors import UserError
from mfbench.registry.inspection import read
from mfbench.registry.schema import Parameter, Signature


class Source(Protocol):
    """What an instance is created from: a registry, whose cards lead to classes."""

    def card(self, kind: str, name: str) -> Card: ...

    def load(self, card: Card) -> type: ...


def create(registry: Source, kind: str, name: str, given: Mapping[str, Any]) -> Any:
    """An instance of what is registered as (kind, name), its parameters checked and completed.

    A protocol is created without parameters: they are given to `evaluate`. A data set also takes `seed`, and
    is told its `name` and `parameters`, which make its digest.
    """
    card = registry.card(kind, name)
    target = registry.load(card)
    if kind == "protocol":
        if given:
            raise UserError(f"protocol {name!r} takes its parameters in `evaluate`, not when it is created")
        return target()
    try:
        signature = read(target, kind, name)
    except PluginError as error:
        raise UserError(f"{kind} {name!r} of plugin {card.plugin}: {error}") from None
    if kind == "dataset":
        return _create_data(registry, target, signature, given)
    return target(**_arguments(registry, signature, signature.complete(given)))


def check_parameters(registry: Source, name: str, given: Mapping[str, Any]) -> None:
    """Whatever the protocol of that name raises when it is asked about the parameters of an evaluation."""
    protocol: EvaluationProtocol = create(registry, "protocol", name, {})
    signature = read(type(protocol), "protocol", name)
    protocol.check_parameters(**_arguments(registry, signature, signature.complete(given)))


def _create_data(registry: Source, target: type, signature: Signature, given: Mapping[str, Any]) -> Dataset:
    values = signature.complete({name: value for name, value in given.items() if name != "seed"})
    data: Dataset = target(**_arguments(registry, signature, values), seed=given.get("seed", 0))
    data.name, data.parameters = signature.name, values
    return data


def _arguments(registry: Source, signature: Signature, values: Mapping[str, Any]) -> dict[str, Any]:
    """Completed values as the class wants them: instances for references, paths for files."""

    def convert(parameter: Parameter, value: Any) -> Any:
        if isinstance(value, list):
            return [convert(parameter, item) for item in value]
        if parameter.type == "file" and isinstance(value, Mapping):
            return value["file"]
        if parameter.type == "ref" and isinstance(value, str | Mapping):
            return _refer(registry, parameter.kind, value)
        return value

    return {parameter.name: convert(parameter, values[parameter.name]) for parameter in signature.parameters}


def _refer(registry: Source, kind: str, reference: str | Mapping[str, Any]) -> Any:
    """The instance that a name, a table `{name, ...}` or a choice `{kind, name, parameters}` means."""
    if isinstance(reference, str):
        return create(registry, kind, reference, {})
    if set(reference) == {"kind", "name", "parameters"}:
        return create(registry, reference["kind"], reference["name"], reference["parameters"])
    return create(
        registry, kind, reference["name"], {key: v for key, v in reference.items() if key != "name"}
    )
