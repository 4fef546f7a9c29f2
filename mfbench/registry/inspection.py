"""Reads a registered class: its signature is its schema.

`probe_child` calls this in a child process; `Registry.create` in this one, where the class is wanted anyway.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Annotated, Any, Literal, Optional, Union, get_args, get_origin

from mfbench import contracts
from mfbench.cards import KINDS, PluginError
from mfbench.contracts.method import FileRef, Marker, Ref, Role
from mfbench.contracts.protocol import Metric
from mfbench.registry.schema import Parameter, Signature

CONTRACTS: dict[str, type] = {
    "generator": contracts.GenerativeModel,
    "sampler": contracts.Sampler,
    "likelihood": contracts.Likelihood,
    "disentangler": contracts.Disentangler,
    "defense": contracts.Defense,
    "dataset": contracts.Dataset,
    "attack": contracts.Attack,
    "protocol": contracts.EvaluationProtocol,
}

FACTS = ("deterministic", "evaluations_per_step", "bound")
"""Class attributes that `mfbench show` prints."""

_REFERENCE_NAMES = {
    **{kind: kind for kind in KINDS},
    **{f"{kind}s": kind for kind in KINDS},
    "data": "dataset",
    "against": "dataset",
}
"""The kind that a reference refers to, by the parameter's name."""

_PLAIN: dict[Any, str] = {int: "int", float: "float", bool: "bool", str: "str"}

_TAKEN = ("kind", "name")
"""What no parameter can be called: a table in a suite says with these what it is."""

_CATCH_ALL = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

_ALWAYS_KNOWN = {
    "Annotated": Annotated,
    "Any": Any,
    "FileRef": FileRef,
    "Literal": Literal,
    "Optional": Optional,
    "Ref": Ref,
    "Sequence": Sequence,
    "Union": Union,
    "mfbench": contracts,
}
"""Names that an annotation may use although its module imports them for the type checker only."""


def import_target(target: str) -> type:
    """The class at "module:QualName"."""
    module, _, path = target.partition(":")
    found: Any = import_module(module)
    for name in path.split("."):
        if not hasattr(found, name):
            raise PluginError(f"module {module!r} has no {path!r}")
        found = getattr(found, name)
    if not isinstance(found, type):
        raise PluginError(f"{target} is not a class")
    return found


def read(target: type, kind: str, name: str) -> Signature:
    """The class as `Signature` tells it, without source hash; PluginError where it breaks its contract."""
    contract = CONTRACTS[kind]
    if not issubclass(target, contract):
        raise PluginError(f"{target.__name__} is not a subclass of mfbench.{contract.__name__}")
    return Signature(
        kind=kind,
        name=name,
        parameters=tuple(_parameters(target, kind)),
        doc=(inspect.getdoc(target) or "").partition("\n")[0] if "__doc__" in vars(target) else "",
        role=_role(target),
        fits=_overrides(target, "fit"),
        stateful=_overrides(target, "state_dict"),
        version=getattr(target, "version", 1) if kind in ("protocol", "dataset") else 1,
        measures=_measures(target) if kind == "protocol" else "",
        metrics=_metrics(target) if kind == "protocol" else (),
        workload=getattr(target, "workload", ""),
        facts=_facts(target),
        reads_files=kind == "dataset" and _overrides(target, "files"),
        checks_parameters=kind == "protocol" and _overrides(target, "check_parameters"),
    )


def _overrides(target: type, name: str) -> bool:
    """Whether a class has something else under this name than what the contracts give it."""
    for base in target.__mro__:
        if name in vars(base):
            return not base.__module__.startswith("mfbench.contracts")
    return False


def _role(target: type) -> str:
    role = getattr(target, "role", "method")
    if role not in get_args(Role):
        raise PluginError(
            f"{target.__name__}.role is {role!r}; it must be one of {', '.join(get_args(Role))}"
        )
    return str(role)


def _facts(target: type) -> dict[str, Any]:
    """The facts that the class states (and does not leave to its instances, as a property does)."""
    stated = {fact: getattr(target, fact) for fact in FACTS if hasattr(target, fact)}
    return {
        fact: value for fact, value in stated.items() if value is None or isinstance(value, bool | int | str)
    }


def _measures(target: type) -> str:
    kind = getattr(target, "kind", None)
    if kind not in KINDS:
        raise PluginError(f"{target.__name__}.kind is {kind!r}; it must be one of {', '.join(KINDS)}")
    return str(kind)


def _metrics(target: type) -> tuple[Metric, ...]:
    metrics = tuple(getattr(target, "metrics", ()))
    if not all(isinstance(metric, Metric) for metric in metrics):
        raise PluginError(f"{target.__name__}.metrics must be a tuple of mfbench.Metric")
    if sum(metric.primary for metric in metrics) != 1:
        raise PluginError(f"exactly one of {target.__name__}.metrics must be primary")
    return metrics


def _parameters(target: type, kind: str) -> Iterator[Parameter]:
    """The schema: keyword arguments of the class, or of a protocol's `evaluate` after `clock`."""
    function: Any = getattr(target, "evaluate" if kind == "protocol" else "__init__")
    skip = {"self", "method", "data", "rng", "clock"} if kind == "protocol" else {"self"}
    if kind == "dataset":
        skip.add("seed")
    asked = [p for p in inspect.signature(function).parameters.values() if p.name not in skip]
    if all(parameter.kind in _CATCH_ALL for parameter in asked):
        return  # an `__init__(*args, **kwargs)` of a base class, or the protocols' own `evaluate`
    for parameter in asked:
        yield _parameter(parameter, function, target)


def _parameter(parameter: inspect.Parameter, function: Any, target: type) -> Parameter:
    where = f"{target.__name__}, parameter {parameter.name!r}"
    if parameter.kind in (*_CATCH_ALL, inspect.Parameter.POSITIONAL_ONLY):
        raise PluginError(f"{where}: name each parameter; {parameter} cannot be checked")
    if parameter.name in _TAKEN:
        raise PluginError(
            f"{where}: suites use the word {parameter.name!r} themselves; call it something else"
        )
    if parameter.annotation is inspect.Parameter.empty:
        raise PluginError(f"{where} has no type hint")
    try:
        found = _parse(_resolve(parameter.annotation, function, target), parameter.name)
        return _with_default(found, parameter.default)
    except (TypeError, ValueError, NameError) as error:
        raise PluginError(f"{where}: {error}") from error


def _resolve(annotation: Any, function: Any, target: type) -> Any:
    """An annotation with its names looked up in the function's module, then in those of the class's bases."""
    names = dict(_ALWAYS_KNOWN)
    for base in reversed(target.__mro__):
        names.update(vars(import_module(base.__module__)))
    names.update(getattr(inspect.unwrap(function), "__globals__", {}))
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    return typing.get_type_hints(holder, globalns=names, include_extras=True)["it"]


def _parse(hint: Any, name: str) -> Parameter:
    inner, nullable, notes = _unwrap(hint)
    many = get_origin(inner) in (list, tuple, Sequence)
    if many:
        items = [argument for argument in get_args(inner) if argument is not Ellipsis]
        if len(items) != 1:
            raise TypeError(f"type hint {_show(hint)}: the items of a list are of one type")
        inner, nullable_items, item_notes = _unwrap(items[0])
        notes += item_notes
        if nullable_items:
            raise TypeError(f"type hint {_show(hint)}: the items of a list cannot be None")
    if get_origin(inner) is Literal:
        return Parameter(name, "literal", many, nullable, choices=get_args(inner))
    marker = next((note for note in notes if isinstance(note, Marker)), None)
    if marker is not None:
        kind = _reference_kind(name, notes) if marker.type == "ref" else ""
        return Parameter(name, marker.type, many, nullable, kind=kind)
    if inner not in _PLAIN:
        raise TypeError(
            f"type hint {_show(hint)} is not int, float, bool, str, Literal, Ref, FileRef or a list of these"
        )
    return Parameter(name, _PLAIN[inner], many, nullable)


def _unwrap(hint: Any) -> tuple[Any, bool, tuple[Any, ...]]:
    """What is inside `X | None` and `Annotated[X, ...]`, nested either way; whether None; the annotations."""
    nullable, notes = False, ()
    while get_origin(hint) in (Union, types.UnionType, Annotated):
        if get_origin(hint) is Annotated:
            hint, *found = get_args(hint)
            notes += tuple(found)
        else:
            hint, nullable = _without_none(hint), True
    return hint, nullable, notes


def _without_none(union: Any) -> Any:
    rest = [argument for argument in get_args(union) if argument is not type(None)]
    if len(rest) != 1:
        raise TypeError(f"type hint {_show(union)}: the only union is with None")
    return rest[0]


def _reference_kind(name: str, notes: Sequence[Any]) -> str:
    said = [note for note in notes if isinstance(note, str)]
    kind = said[0] if said else _REFERENCE_NAMES.get(name)
    if kind not in KINDS:
        what = f"{kind!r} is not a kind" if said else "a reference to what?"
        raise TypeError(f'{what}: say it as in Annotated[Ref, "likelihood"]')
    return kind


def _with_default(found: Parameter, default: Any) -> Parameter:
    """The parameter with its default, which must itself be a legal value."""
    if default is inspect.Parameter.empty:
        return replace(found, required=True)
    try:
        return replace(found, default=found.conform(default))
    except ValueError as error:
        raise ValueError(f"the default does not fit the type hint: {error}") from None


def _show(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)
