"""Short names that tell rows apart: `grid_vae(kl=nearest)`, without what all rows of `grid_vae` share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_OPENS, _CLOSES = "([{", ")]}"


def set_apart(labels: Iterable[str]) -> dict[str, str]:
    """By label its name, with those of its parameters in which labels of this name differ.

    Different labels have different short names. A parameter that is itself a method with parameters is
    shortened in the same way. What is no name with parameters in brackets stays as it is.
    """
    groups: dict[str, dict[str, dict[str, str]]] = {}
    for label in labels:
        name, parameters = _parsed(label)
        groups.setdefault(name, {})[label] = parameters
    return {label: short for name, group in groups.items() for label, short in _apart(name, group).items()}


def _apart(name: str, group: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Short names of the labels of one name, given the parameters of each."""
    every = dict.fromkeys(key for parameters in group.values() for key in parameters)
    differing = sorted(key for key in every if len({given.get(key) for given in group.values()}) > 1)
    values = {key: set_apart(given[key] for given in group.values() if key in given) for key in differing}
    shorts = {}
    for label, given in group.items():
        told = ", ".join(f"{key}={values[key][given[key]]}" for key in differing if key in given)
        shorts[label] = f"{name}({told})" if told else name
    return shorts


def _parsed(label: str) -> tuple[str, dict[str, str]]:
    """Name and parameters of `name(a=1, b=c(d=2))`; the whole label and none where it is not so written."""
    name, bracket, rest = label.partition("(")
    if not (bracket and rest.endswith(")")):
        return label, {}
    pairs = [part.partition("=") for part in _parts(rest[:-1])]
    parameters = {key: value for key, _, value in pairs}
    written = all(key.isidentifier() and equals for key, equals, _ in pairs)
    return (name, parameters) if written and len(parameters) == len(pairs) else (label, {})


def _parts(text: str) -> list[str]:
    """What stands between commas that no bracket holds."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in _OPENS) - (letter in _CLOSES)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]
