"""Constructors are asked in one child whether they take their parameters; only a UserError is a refusal."""

from __future__ import annotations

import pytest

from mfbench.registry import load_registry, probe
from mfbench.registry.refusals import Trial, read_refusals
from mfbench.registry.signatures import read_signatures

PLUGIN = """
import os
import mfbench
from mfbench import Ref, UserError


class Points(mfbench.Dataset):
    shape = (2,)

    def __init__(self, *, count: int = 8, seed: int = 0) -> None:
        super().__init__(seed=seed)
        if count < 2:
            raise UserError(f"points: count = {count}: at least 2")


class Level(mfbench.Likelihood):
    def __init__(self, level: float = 0.0) -> None:
        if level < 0:
            raise UserError(f"level: level = {level}: at least 0")


class Raises(mfbench.Likelihood):
    def __init__(self) -> None:
        raise ValueError("this is the cell's to tell")


class Dies(mfbench.Likelihood):
    def __init__(self) -> None:
        os._exit(3)


class Twice(mfbench.Likelihood):
    def __init__(self, likelihood: Ref = "level") -> None:
        if not isinstance(likelihood, Level):
            raise UserError(f"twice: {likelihood!r} is no level")


class Cut(mfbench.EvaluationProtocol):
    kind = "likelihood"
    metrics = (mfbench.Metric("share", primary=True),)

    def evaluate(self, method, data, *, rng, clock, at: float = 0.5, against: Ref = "points"):
        return mfbench.Measurement()

    def check_parameters(self, *, at, against):
        if not 0 < at < against.shape[0]:
            raise UserError(f"cut: at = {at}: above 0 and below {against.shape[0]}")


@mfbench.hookimpl
def mfbench_register(registry):
    registry.protocol("cut", Cut, summary="")
    registry.dataset("points", Points, summary="")
    for made in (Level, Raises, Dies, Twice):
        registry.likelihood(made.__name__.lower(), made, summary="")
"""


@pytest.fixture
def ask(write, monkeypatch):
    """`ask(("likelihood", "level", {"level": -1.0}), ...)`: the refusals; `ask.children` counts children."""
    registry = load_registry([str(write("refusing.py", PLUGIN))])
    keys = [
        ("dataset", "points"),
        ("protocol", "cut"),
        *(("likelihood", name) for name in ("level", "raises", "dies", "twice")),
    ]
    signatures = read_signatures(registry, keys)
    run_child = probe._run_child

    def counted(questions, time_limit):
        asking.children += 1
        return run_child(questions, time_limit)

    def trial(kind, name, parameters):
        names = {name, *(each["name"] for each in parameters.values() if isinstance(each, dict))}
        hashes = {key: found.source_hash for key, found in signatures.items() if key[1] in names}
        return Trial(kind, name, parameters, hashes, f"{kind} {name} {parameters}")

    def asking(*asked):
        return read_refusals(registry, [trial(*one) for one in asked])

    asking.children = 0
    monkeypatch.setattr(probe, "_run_child", counted)
    return asking


def level(value: float) -> tuple[str, str, dict]:
    return "likelihood", "level", {"level": value}


def twice(kind: str, name: str, **parameters) -> tuple[str, str, dict]:
    return "likelihood", "twice", {"likelihood": {"kind": kind, "name": name, "parameters": parameters}}


def test_a_user_error_of_the_constructor_is_the_refusal(ask):
    assert ask(level(1.0), level(-1.0), ("dataset", "points", {"count": 1})) == [
        None,
        "level: level = -1.0: at least 0",
        "points: count = 1: at least 2",
    ]
    assert ask.children == 1


def test_references_are_constructed_as_well(ask):
    refusals = ask(
        twice("likelihood", "level", level=1.0),
        twice("likelihood", "level", level=-2.0),
    )
    assert refusals == [None, "level: level = -2.0: at least 0"]
    assert ask.children == 1


def test_protocols_are_asked_about_their_parameters(ask):
    against = {"kind": "dataset", "name": "points", "parameters": {"count": 4}}
    asked = [("protocol", "cut", {"at": at, "against": against}) for at in (0.5, 2.0)]
    assert ask(*asked) == [None, "cut: at = 2.0: above 0 and below 2"]
    assert ask.children == 1


def test_whatever_else_goes_wrong_is_left_to_the_cell(ask):
    asked = [("likelihood", "raises", {}), ("likelihood", "dies", {}), level(-1.0)]
    assert ask(*asked) == [None, None, "level: level = -1.0: at least 0"]
    assert ask.children == 2  # another one after the one that died


def test_what_was_taken_once_is_not_asked_again(ask):
    asked = [level(1.0), level(2.0), ("dataset", "points", {"count": 2})]
    assert ask(*asked) == [None] * 3
    assert ask(*asked) == [None] * 3
    assert ask.children == 1
    assert ask(*asked, level(3.0)) == [None] * 4
    assert ask.children == 2


def test_a_refusal_is_asked_again_the_next_time(ask):
    for children in (1, 2):
        assert ask(level(-1.0)) == ["level: level = -1.0: at least 0"]
        assert ask.children == children


def test_nothing_to_construct_asks_no_child(ask):
    assert ask() == []
    assert ask.children == 0
