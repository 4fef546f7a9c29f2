"""Checks what a protocol measured, and turns it into the JSON of a record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from numbers import Integral, Real
from typing import Any

import numpy as np

from mfbench.contracts import EvaluationProtocol, Measurement, Metric, Value
from mfbench.errors import ContractError
from mfbench.identity import encode_float
from mfbench.store import encode_array


def encode_measurement(measurement: Any, metrics: Sequence[Metric]) -> dict[str, Any]:
    """`values`, `scores`, `arrays`, `nfe` and `notes` of a record; ContractError where one is wrong."""
    if not isinstance(measurement, Measurement):
        raise ContractError(f"evaluate returned a {type(measurement).__name__}, not a Measurement")
    return {
        "values": _values(measurement.values, metrics),
        "scores": {name: _scores(name, scores) for name, scores in measurement.scores.items()},
        "arrays": {name: _array(f"arrays[{name!r}]", array) for name, array in measurement.arrays.items()},
        "nfe": _nfe(measurement.nfe),
        "notes": [str(note) for note in measurement.notes],
    }


def describe_protocol(name: str, protocol: EvaluationProtocol) -> dict[str, Any]:
    """What a protocol's numbers mean: stored once, so that a store can be read where the plugin is not."""
    metrics = [asdict(metric) for metric in protocol.metrics]
    return {"name": name, "version": protocol.version, "workload": protocol.workload, "metrics": metrics}


def _values(values: Sequence[Value], metrics: Sequence[Metric]) -> list[dict[str, Any]]:
    known = {metric.name: metric for metric in metrics}
    seen: set[tuple[str, str]] = set()
    encoded = []
    for value in values:
        if value.metric not in known:
            raise ContractError(f"metric {value.metric!r} is none of the protocol's: {', '.join(known)}")
        if (value.metric, value.part) in seen:
            raise ContractError(f"metric {value.metric!r} of {value.part!r} was measured twice")
        seen.add((value.metric, value.part))
        encoded.append(_value(value, known[value.metric]))
    return encoded


def _value(value: Value, metric: Metric) -> dict[str, Any]:
    where = f"metric {value.metric!r}" + (f" of {value.part!r}" if value.part else "")
    number = _number(where, value.value)
    if metric.primary and math.isnan(number):
        raise ContractError(f"{where} is NaN: a method cannot be ranked by it")
    if not isinstance(value.part, str):
        raise ContractError(f"{where}: part is a {type(value.part).__name__}, not a string")
    return {
        "metric": value.metric,
        "part": value.part,
        "value": encode_float(number),
        "n": None if value.n is None else _count(where, value.n),
        "ci_low": None if value.ci_low is None else encode_float(_number(where, value.ci_low)),
        "ci_high": None if value.ci_high is None else encode_float(_number(where, value.ci_high)),
    }


def _number(where: str, value: Any) -> float:
    if isinstance(value, Real | np.number):
        return float(value)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return float(value.item())
    raise ContractError(f"{where} is {_what(value)}, not a number")


def _count(where: str, value: Any) -> int:
    if isinstance(value, Integral | np.integer) and int(value) >= 0:
        return int(value)
    raise ContractError(f"{where}: n is {value!r}, not a number of examples")


def _nfe(value: Any) -> float | None:
    if value is None:
        return None
    number = _number("nfe", value)
    if not (math.isfinite(number) and number >= 0):
        raise ContractError(f"nfe is {number}, not a number of evaluations")
    return number


def _scores(name: str, scores: Any) -> dict[str, Any]:
    blob = _array(f"scores[{name!r}]", scores)
    if len(blob["shape"]) != 1:
        raise ContractError(f"scores[{name!r}] has shape {tuple(blob['shape'])}, not one number an example")
    return blob


def _array(where: str, array: Any) -> dict[str, Any]:
    if not isinstance(array, np.ndarray):
        raise ContractError(f"{where} is {_what(array)}, not a NumPy array")
    try:
        return encode_array(array)
    except TypeError as error:
        raise ContractError(f"{where}: {error}") from None


def _what(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__}" + (f" of shape {tuple(shape)}" if isinstance(shape, Sequence) else "")
