"""A class's signature is its schema: types, defaults, references; read in a child that may die of it."""

from __future__ import annotations

import pytest

from mfbench.cards import PluginError
from mfbench.errors import UserError
from mfbench.registry import load_registry, probe
from mfbench.registry.inspection import import_target, read
from mfbench.registry.schema import Parameter, Signature
from mfbench.registry.signatures import data_manifest, read_signatures

HEAD = """
from __future__ import annotations
from typing import *
import dataclasses
import mfbench
from mfbench import FileRef, Ref

@mfbench.hookimpl
def mfbench_register(registry):
    registry.{kind}("it", It, summary="it")

"""


@pytest.fixture
def signature(write):
    """`signature("sampler", text)`: the signature of the class `It` in `text`, read in a child."""

    def of(kind: str, text: str, head: str = HEAD) -> Signature:
        path = write("under_test.py", head.format(kind=kind) + text)
        return read_signatures(load_registry([str(path)]), [(kind, "it")])[kind, "it"]

    return of


def parameters_of(signature: Signature) -> dict[str, Parameter]:
    return {parameter.name: parameter for parameter in signature.parameters}


def test_every_type_that_a_parameter_may_have(signature):
    found = signature(
        "sampler",
        '''class It(mfbench.Sampler):
    """Does it.

    And more.
    """
    def __init__(self, needed: int, *, count: int = 3, rate: float = 1, on: bool = True, word: str = "a",
                 mode: Literal["x", "y"] = "x", widths: list[int] = [1, 2], pair: Sequence[float] = (1, 2.5),
                 modes: list[Literal["x", "y"]] = [], maybe: float | None = None, either: Optional[int] = 4,
                 checkpoint: FileRef | None = None, folder: FileRef = "weights"): ...
''',
    )
    assert found.doc == "Does it."
    assert list(found.parameters) == [
        Parameter("needed", "int", required=True),
        Parameter("count", "int", default=3),
        Parameter("rate", "float", default=1.0),
        Parameter("on", "bool", default=True),
        Parameter("word", "str", default="a"),
        Parameter("mode", "literal", default="x", choices=("x", "y")),
        Parameter("widths", "int", many=True, default=[1, 2]),
        Parameter("pair", "float", many=True, default=[1.0, 2.5]),
        Parameter("modes", "literal", many=True, default=[], choices=("x", "y")),
        Parameter("maybe", "float", nullable=True, default=None),
        Parameter("either", "int", nullable=True, default=4),
        Parameter("checkpoint", "file", nullable=True, default=None),
        Parameter("folder", "file", default="weights"),
    ]
    assert isinstance(parameters_of(found)["rate"].default, float)


def test_references_know_their_kind_by_name_or_by_annotation(signature):
    found = signature(
        "likelihood",
        """class It(mfbench.Likelihood):
    def __init__(self, *, generator: Ref = "ddpm_mlp", data: Ref | None = None, samplers: list[Ref] = [],
                 against: list[Ref] = ["moons"], base: Annotated[Ref, "likelihood"] = {"name": "kde"},
                 foes: Annotated[list[Ref], "attack"] = [], others: list[Annotated[Ref, "defense"]] = [],
                 last: Annotated[Ref | None, "sampler"] = None): ...
""",
    )
    kinds = {name: (p.type, p.kind, p.many, p.nullable) for name, p in parameters_of(found).items()}
    assert kinds == {
        "generator": ("ref", "generator", False, False),
        "data": ("ref", "dataset", False, True),
        "samplers": ("ref", "sampler", True, False),
        "against": ("ref", "dataset", True, False),
        "base": ("ref", "likelihood", False, False),
        "foes": ("ref", "attack", True, False),
        "others": ("ref", "defense", True, False),
        "last": ("ref", "sampler", False, True),
    }
    assert parameters_of(found)["base"].default == {"name": "kde"}


def test_hints_imported_for_the_type_checker_only(signature):
    head = (
        "from __future__ import annotations\nfrom typing import TYPE_CHECKING\nimport mfbench as m\n"
        "if TYPE_CHECKING:\n    from typing import Literal, Annotated\n    from mfbench import Ref\n"
        "@m.hookimpl\ndef mfbench_register(registry):\n    registry.{kind}('it', It, summary='')\n"
    )
    found = signature(
        "sampler",
        "class It(m.Sampler):\n    def __init__(self, *, a: Literal['u'] = 'u', sampler: Ref = 'rk4'): ...",
        head,
    )
    assert [parameter.type for parameter in found.parameters] == ["literal", "ref"]


def test_a_dataclass_and_its_inherited_fields(signature):
    found = signature(
        "generator",
        """@dataclasses.dataclass
class Base(mfbench.GenerativeModel):
    width: int = 8

@dataclasses.dataclass
class It(Base):
    rate: float = 0.5
""",
    )
    assert list(found.parameters) == [
        Parameter("width", "int", default=8),
        Parameter("rate", "float", default=0.5),
    ]


def test_a_base_class_that_takes_anything_has_no_parameters(signature):
    text = """class Module:
    def __init__(self, *args, **kwargs): ...

class It(Module, mfbench.Sampler): ...
"""
    assert signature("sampler", text).parameters == ()


REFUSED = {
    "no hint": ("x=1", "parameter 'x' has no type hint"),
    "unknown name": ("x: Nowhere = 1", "parameter 'x': name 'Nowhere' is not defined"),
    "odd type": ("x: dict = {}", "parameter 'x': type hint dict is not int, float, bool, str, Literal"),
    "union": ("x: int | str = 1", "parameter 'x': type hint int | str: the only union is with None"),
    "list of what": ("x: list = []", "parameter 'x': type hint list"),
    "nested list": ("x: list[list[int]] = []", "parameter 'x': type hint list[list[int]] is not"),
    "default none": (
        "x: int = None",
        "parameter 'x': the default does not fit the type hint: expected an integer",
    ),
    "default type": ("x: int = 1.5", "the default does not fit the type hint: expected an integer, got 1.5"),
    "default choice": ("x: Literal['a'] = 'b'", "expected one of 'a', got 'b'"),
    "infinite": ("x: float = float('inf')", "expected a number, got inf"),
    "catch-all": ("x: int = 1, **rest: int", "parameter 'rest': name each parameter; **rest"),
    "positional only": ("x: int = 1, /", "parameter 'x': name each parameter"),
    "reference to what": (
        "x: Ref = 'a'",
        "parameter 'x': a reference to what?: say it as in Annotated[Ref, ",
    ),
    "reference to nothing": ("x: Annotated[Ref, 'smpler'] = 'a'", "'smpler' is not a kind: say it as in"),
    "taken": ("name: str = 'a'", "parameter 'name': suites use the word 'name' themselves"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_a_schema_is_refused_naming_the_parameter(signature, case):
    parameter, said = REFUSED[case]
    with pytest.raises(UserError) as refused:
        signature("sampler", f"class It(mfbench.Sampler):\n    def __init__(self, {parameter}): ...")
    assert said in str(refused.value)
    assert str(refused.value).startswith("sampler 'it' of plugin under_test.py (mfbench_file_under_test_")
    assert "\n" not in str(refused.value)


def test_what_the_bench_must_know_of_a_method(signature):
    plain = signature("likelihood", "class It(mfbench.Likelihood): ...")
    assert (plain.role, plain.fits, plain.stateful, plain.facts) == (
        "method",
        False,
        False,
        {"bound": "exact"},
    )
    found = signature(
        "likelihood",
        """class Base(mfbench.Likelihood):
    def fit(self, data, *, rng, progress): ...

class It(Base):
    role = "control"
    bound = "score"
    def state_dict(self): return {}
""",
    )
    assert (found.role, found.fits, found.stateful, found.facts) == (
        "control",
        True,
        True,
        {"bound": "score"},
    )


def test_a_fact_that_depends_on_the_parameters_is_left_out(signature):
    text = "class It(mfbench.Sampler):\n    @property\n    def deterministic(self): return True"
    assert signature("sampler", text).facts == {"evaluations_per_step": 1}


def test_a_wrong_role_is_refused(signature):
    with pytest.raises(UserError, match=r"It.role is 'boss'; it must be one of method, ceiling"):
        signature("sampler", "class It(mfbench.Sampler):\n    role = 'boss'")


def test_a_data_sets_seed_is_the_benchs_to_give(signature):
    found = signature(
        "dataset",
        """class It(mfbench.Dataset):
    version = 3
    def __init__(self, *, seed: int = 0, count: int = 5): ...
    def files(self): return {}
""",
    )
    assert [parameter.name for parameter in found.parameters] == ["count"]
    assert (found.version, found.reads_files) == (3, True)


PROTOCOL = """class It(mfbench.EvaluationProtocol):
    kind = "sampler"
    version = 2
    workload = "draws one sample"
    metrics = ({metrics})
    def evaluate(self, method, data, *, rng, clock, generator: Ref, step: float = 1.0, **parameters): ...
"""
PRIMARY = 'mfbench.Metric("a", "nats", "lower", primary=True), mfbench.Metric("b", better=None),'


def test_a_protocols_parameters_are_those_of_its_evaluation(signature):
    text = PROTOCOL.format(metrics=PRIMARY).replace(", **parameters", "")
    found = signature("protocol", text)
    assert [p.name for p in found.parameters] == ["generator", "step"]
    assert parameters_of(found)["generator"].required
    assert (found.measures, found.version, found.workload) == ("sampler", 2, "draws one sample")
    assert [(m.name, m.unit, m.better, m.primary) for m in found.metrics] == [
        ("a", "nats", "lower", True),
        ("b", "", None, False),
    ]


def test_a_protocol_without_parameters_may_keep_the_base_classs_catch_all(signature):
    text = f"""class It(mfbench.EvaluationProtocol):
    kind = "sampler"
    metrics = ({PRIMARY})
    def evaluate(self, method, data, *, rng, clock, **parameters): ...
"""
    assert signature("protocol", text).parameters == ()


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ("", "exactly one of It.metrics must be primary"),
        ('mfbench.Metric("a"),', "exactly one of It.metrics must be primary"),
        ('"a",', "It.metrics must be a tuple of mfbench.Metric"),
    ],
)
def test_metrics_are_checked(signature, metrics, said):
    with pytest.raises(UserError, match=said):
        signature("protocol", PROTOCOL.format(metrics=metrics).replace(", **parameters", ""))


def test_a_signature_survives_json():
    found = read(import_target("mfbench.protocols.step_consistency:StepConsistency"), "protocol", "it")
    assert Signature.from_json(found.to_json()) == found


def test_a_target_that_is_not_a_class():
    with pytest.raises(PluginError, match=r"mfbench.identity:canonical is not a class"):
        import_target("mfbench.identity:canonical")


def test_the_warm_path_starts_no_child_and_a_new_source_does(write, monkeypatch):
    text = (
        HEAD.format(kind="sampler") + "class It(mfbench.Sampler):\n    def __init__(self, a: int = {}): ..."
    )
    path = write("warm.py", text.replace("{}", "1"))
    registry = load_registry([str(path)])
    first = read_signatures(registry, [("sampler", "it")])
    with monkeypatch.context() as patched:
        patched.setattr(probe, "ask", lambda questions: pytest.fail("asked a child again"))
        assert read_signatures(registry, [("sampler", "it")]) == first
    write("warm.py", text.replace("{}", "22"))
    again = read_signatures(load_registry([str(path)]), [("sampler", "it")])
    assert again["sampler", "it"].parameters[0].default == 22


def test_the_guilty_ones_are_named_and_the_others_read(install):
    install(
        "mixed",
        {
            "mixed_plugin": """
                import mfbench
                @mfbench.hookimpl
                def mfbench_register(registry):
                    for name in ("one", "crash", "two", "leave", "fail", "three"):
                        registry.sampler(f"t_{name}", f"mixed.{name}:It", summary="")
            """,
            **{
                f"mixed.{name}": "import mfbench\nclass It(mfbench.Sampler): ..."
                for name in ("one", "two", "three")
            },
            "mixed.crash": "import ctypes\nctypes.string_at(0)",
            "mixed.leave": "import os, sys\nprint('so long', file=sys.stderr)\nos._exit(4)",
            "mixed.fail": "raise ValueError('no\\nluck')",
        },
    )
    registry = load_registry()
    keys = [("sampler", f"t_{name}") for name in ("one", "crash", "two", "leave", "fail", "three")]
    failures: dict[tuple[str, str], str] = {}
    found = read_signatures(registry, keys, failures)
    assert {name for _, name in found} == {"t_one", "t_two", "t_three"}
    assert failures == {
        ("sampler", "t_crash"): "crashed with SIGSEGV while importing",
        ("sampler", "t_leave"): "ended its process with code 4 while importing (so long)",
        ("sampler", "t_fail"): "ValueError: no luck (fail.py, line 1)",
    }
    with pytest.raises(
        UserError, match=r"sampler 't_crash' of plugin mixed_plugin .* cannot be used: crashed"
    ):
        read_signatures(registry, keys[:2])


def test_all_that_comes_with_the_bench_can_be_read():
    registry = load_registry()
    cards = registry.cards()
    found = read_signatures(registry, [(card.kind, card.name) for card in cards])
    assert len(found) == len(cards)
    assert all(signature.doc and len(signature.source_hash) == 64 for signature in found.values())


def test_the_files_of_a_data_set_are_asked_in_a_child(write):
    path = write(
        "filed.py",
        HEAD.format(kind="dataset")
        + """class It(mfbench.Dataset):
    def __init__(self, *, seed: int = 0, part: str = "a"):
        super().__init__(seed=seed)
        self.part = part
    def files(self):
        return {f"{self.part}/{self.seed}": "00ff"}
""",
    )
    registry = load_registry([str(path)])
    assert data_manifest(registry, "it", {"part": "b"}, seed=4) == {"b/4": "00ff"}
    with pytest.raises(UserError, match=r"dataset 'it' of plugin filed.py .* cannot be used: TypeError"):
        data_manifest(registry, "it", {"prat": "b"}, seed=4)


# -- values -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "value", "conformed"),
    [
        (Parameter("x", "float"), 1, 1.0),
        (Parameter("x", "int", many=True), (1, 2), [1, 2]),
        (Parameter("x", "str", nullable=True), None, None),
        (Parameter("x", "ref", kind="sampler"), {"name": "rk4"}, {"name": "rk4"}),
        (Parameter("x", "literal", choices=(1, "a")), 1, 1),
    ],
)
def test_values_conform(parameter, value, conformed):
    found = parameter.conform(value)
    assert found == conformed
    assert type(found) is type(conformed)


@pytest.mark.parametrize(
    ("parameter", "value", "said"),
    [
        (Parameter("x", "int"), True, "expected an integer, got True"),
        (Parameter("x", "int"), 1.0, "expected an integer, got 1.0"),
        (Parameter("x", "float"), "1", "expected a number, got '1'"),
        (Parameter("x", "float"), float("nan"), "expected a number, got nan"),
        (Parameter("x", "bool"), 1, "expected true or false, got 1"),
        (Parameter("x", "int", many=True), 3, "expected a list of integers, got 3"),
        (Parameter("x", "str", many=True), "abc", "expected a list of texts, got 'abc'"),
        (Parameter("x", "str"), None, "expected a text, got None"),
        (Parameter("x", "literal", choices=(1,)), True, "expected one of 1, got True"),
        (Parameter("x", "ref", kind="sampler"), {"nam": "rk4"}, "expected the name of a sampler, got"),
        (Parameter("x", "int", nullable=True), "a", "expected an integer or nothing, got 'a'"),
    ],
)
def test_values_that_do_not_conform_are_told_what_was_expected(parameter, value, said):
    with pytest.raises(ValueError, match=r"^" + said.replace("[", r"\[")):
        parameter.conform(value)
