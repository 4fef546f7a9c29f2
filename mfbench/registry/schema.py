"""What may be asked of a registered class, its parameters and their types, and what the bench shows of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mfbench.contracts.dataset import Dataset
from mfbench.contracts.method import Method
from mfbench.contracts.protocol import Metric
from mfbench.errors import UserError
from mfbench.spelling import did_you_mean


@dataclass(frozen=True)
class Parameter:
    """A hyper-parameter.

    type: "int", "float", "bool", "str", "literal" (see `choices`), "ref" (to the kind `kind`) or "file"; that
        of the items where `many` (a list).
    default: as JSON has it; meaningless where `required`.
    """

    name: str
    type: str
    many: bool = False
    nullable: bool = False
    required: bool = False
    default: Any = None
    choices: tuple[Any, ...] = ()
    kind: str = ""

    def conform(self, value: Any) -> Any:
        """`value` as the parameter has it (1 is 1.0 for a float), or ValueError saying what was expected.

        References and files are checked for their form only: a name, a table with a `name`, a path.
        """
        if value is None and self.nullable:
            return None
        if not self.many:
            return self._conform_item(value)
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise ValueError(f"expected {self.describe()}, got {value!r}")
        return [self._conform_item(item) for item in value]

    def _conform_item(self, value: Any) -> Any:
        if self.type == "literal":
            fits = any(value == choice and type(value) is type(choice) for choice in self.choices)
        else:
            fits = _FITS[self.type](value)
        if not fits:
            raise ValueError(f"expected {self.describe()}, got {value!r}")
        return float(value) if self.type == "float" else value

    def describe(self) -> str:
        """The type in words: "a list of integers or nothing", "one of 'beta', 'beta_tilde'"."""
        if self.type == "literal":
            choices = ", ".join(map(repr, self.choices))
            words = f"a list of items among {choices}" if self.many else f"one of {choices}"
        else:
            one, several = _WORDS[self.type]
            kind = f" of a {self.kind}" if self.kind else ""
            words = (f"a list of {several}" if self.many else one) + kind
        return f"{words} or nothing" if self.nullable else words


_WORDS = {
    "int": ("an integer", "integers"),
    "float": ("a number", "numbers"),
    "bool": ("true or false", "true and false"),
    "str": ("a text", "texts"),
    "ref": ("the name", "names"),
    "file": ("a path", "paths"),
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_reference(value: Any) -> bool:
    """A name, a table with a name, or (from Python) the instance itself."""
    if isinstance(value, Mapping):
        return isinstance(value.get("name"), str)
    return isinstance(value, str | Method | Dataset)


_FITS: dict[str, Callable[[Any], bool]] = {
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": _is_number,
    "bool": lambda value: isinstance(value, bool),
    "str": lambda value: isinstance(value, str),
    "ref": _is_reference,
    "file": lambda value: isinstance(value, str) or (isinstance(value, Mapping) and "file" in value),
}


@dataclass(frozen=True)
class Signature:
    """What importing a registered class tells about it.

    doc: first line of the class's docstring.
    fits: has a `fit` of its own.
    stateful: overrides `state_dict`, so its fit is an artifact.
    version: of protocols and data sets; 1 otherwise.
    measures: of protocols, the kind of method measured.
    facts: class attributes worth showing.
    reads_files: of data sets, whether `files` is overridden.
    checks_parameters: of protocols, whether `check_parameters` is overridden.
    unreadable: why nothing but the name is known; empty for a signature that was read.
    """

    kind: str
    name: str
    parameters: tuple[Parameter, ...] = ()
    doc: str = ""
    role: str = "method"
    fits: bool = False
    stateful: bool = False
    version: int = 1
    measures: str = ""
    metrics: tuple[Metric, ...] = ()
    workload: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    reads_files: bool = False
    checks_parameters: bool = False
    source_hash: str = ""
    unreadable: str = ""

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name, if there is one."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every parameter's value: the given ones, checked, and the defaults of the others.

        UserError names the method and the parameter.
        """
        known = [parameter.name for parameter in self.parameters]
        for name in given:
            if name not in known:
                raise UserError(
                    f"{self.kind} {self.name!r} has no parameter {name!r}{did_you_mean(name, known)}"
                )
        return {parameter.name: self._value(parameter, given) for parameter in self.parameters}

    def _value(self, parameter: Parameter, given: Mapping[str, Any]) -> Any:
        if parameter.name not in given:
            if parameter.required:
                raise UserError(f"{self.kind} {self.name!r} needs a value for {parameter.name!r}")
            return parameter.default
        try:
            return parameter.conform(given[parameter.name])
        except ValueError as error:
            raise UserError(f"{self.kind} {self.name!r}, parameter {parameter.name!r}: {error}") from None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> Signature:
        parameters = tuple(
            Parameter(**{**parameter, "choices": tuple(parameter["choices"])})
            for parameter in fields["parameters"]
        )
        metrics = tuple(Metric(**metric) for metric in fields["metrics"])
        return Signature(**{**fields, "parameters": parameters, "metrics": metrics})
