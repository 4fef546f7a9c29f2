"""A target's hash changes with the code that answers for it, and with nothing else."""

from __future__ import annotations

import sys

import pytest

import mfbench
from mfbench.cards import Card
from mfbench.measures import HOME, MENTIONED, TOGETHER
from mfbench.registry import filemodules, sources


def card(target: str) -> Card:
    return Card("sampler", "it", target, summary="")


def hash_of(module: str) -> str:
    return sources.source_hash(card(f"{module}:Thing"))


@pytest.fixture
def package(write, tmp_path, monkeypatch):
    """`package(name, text)` writes site-packages/name and gives the hash of `alpha.target`."""
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    write("site-packages/alpha/__init__.py", "")

    def change(name: str, text: str) -> str:
        write(f"site-packages/{name}", text)
        sources.forget()
        return hash_of("alpha.target")

    return change


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    return x + 1\n",
        "# a remark\ndef f(x):  # another\n\n    return (x\n        + 1)\n",
        '"""A module."""\ndef f(x):\n    """Adds one."""\n    return x + 1\n',
        'def f(x):\n    return x + 1\n"""what f is for"""\n',
    ],
)
def test_comments_docstrings_and_layout_do_not_count(package, text):
    assert package("alpha/target.py", text) == package("alpha/target.py", "def f(x):\n    return x + 1\n")


def test_what_only_registers_does_not_count(package):
    """A name more in a package makes no result of its other names stale."""
    package("alpha/target.py", "def f(x):\n    return x + 1\n")
    package("alpha/other.py", "y = 1\n")
    imports = "@mfbench.hookimpl\ndef mfbench_register(registry):\n    import alpha.other\n"
    before = package("alpha/__init__.py", f"import mfbench\n{imports}")
    more = "    _more(registry)\n\ndef _more(registry):\n    registry.sampler('b', 'alpha.other:B')\n"
    assert package("alpha/__init__.py", f"import mfbench\n{imports}{more}") == before
    assert package("alpha/other.py", "y = 2\n") == before
    assert package("alpha/__init__.py", f"import mfbench\nx = 1\n{imports}") != before


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    return x + 2\n",
        "def f(x):\n    return x - 1\n",
        "def f(y):\n    return y + 1\n",
        "def f(x):\n    return x + 1.0\n",
        "def f(x):\n    return [x + 1]\n",
        "def f(x, *, z=None):\n    return x + 1\n",
        'def f(x):\n    return "a"\n',
        "async def f(x):\n    return x + 1\n",
        "def f(x):\n    return x + 1\nf = f(f)\n",
    ],
)
def test_code_counts(package, text):
    assert package("alpha/target.py", text) != package("alpha/target.py", "def f(x):\n    return x + 1\n")


def test_a_hash_is_the_same_wherever_and_with_whichever_python_it_is_taken(package):
    """A golden value: results computed elsewhere are found by it."""
    text = """
        import math

        class Thing:
            x: int = None

            def f(self, *a, b=1):
                return f"{a!r}"
    """
    golden = "b78ccd13859aaadaa0efe8e24ead58238674c0013079794ed50cb9a4de645606"
    assert package("alpha/target.py", text) == golden


@pytest.mark.parametrize(
    "statement",
    [
        "import alpha.helper",
        "import alpha.helper as h",
        "from alpha import helper",
        "from alpha.helper import value",
        "from alpha.helper import *",
        "from . import helper",
        "from .helper import value",
        "def f():\n    from .helper import value",
        "class A:\n    def f(self):\n        if self:\n            import alpha.helper",
        "from importlib import import_module\nh = import_module('alpha.helper')",
        "import importlib\nh = importlib.import_module('alpha.helper')",
        "try:\n    import alpha.helper\nexcept ImportError:\n    pass",
    ],
)
def test_a_helper_counts_however_it_is_imported(package, statement):
    package("alpha/target.py", statement)
    before = package("alpha/helper.py", "value = 1")
    assert package("alpha/helper.py", "value = 2") != before
    assert package("alpha/helper.py", "value = 1  # one") == before


def test_helpers_of_helpers_and_circles_of_them_count(package):
    package("alpha/target.py", "from . import one")
    package("alpha/one.py", "from . import two")
    before = package("alpha/two.py", "from . import one, target\nx = 1")
    assert package("alpha/two.py", "from . import one, target\nx = 2") != before


def test_subpackages_resolve_relative_imports_from_where_they_are(package):
    package("alpha/target.py", "from .sub.deep import x")
    package("alpha/sub/__init__.py", "from . import beside")
    package("alpha/sub/deep.py", "from .. import above\nx = 1")
    beside = package("alpha/sub/beside.py", "y = 1")
    assert package("alpha/sub/beside.py", "y = 2") != beside
    above = package("alpha/above.py", "z = 1")
    assert package("alpha/above.py", "z = 2") != above


def test_packages_on_the_way_count(package):
    package("alpha/target.py", "import alpha.sub.deep")
    package("alpha/sub/deep.py", "")
    before = package("alpha/sub/__init__.py", "x = 1")
    assert package("alpha/sub/__init__.py", "x = 2") != before
    before = package("alpha/__init__.py", "x = 1")
    assert package("alpha/__init__.py", "x = 2") != before


def test_what_is_imported_for_the_type_checker_only_does_not_count(package):
    text = """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import alpha.hints
        else:
            import alpha.real
    """
    package("alpha/target.py", text)
    package("alpha/real.py", "x = 1")
    before = package("alpha/hints.py", "x = 1")
    assert package("alpha/hints.py", "x = 2") == before
    assert package("alpha/real.py", "x = 2") != before


def test_a_module_that_is_not_imported_does_not_count(package):
    package("alpha/target.py", "x = 1")
    before = package("alpha/unused.py", "x = 1")
    assert package("alpha/unused.py", "x = 2") == before


def test_another_distribution_does_not_count(package):
    package("alpha/target.py", "import beta")
    before = package("beta/__init__.py", "x = 1")
    assert package("beta/__init__.py", "x = 2") == before


def test_a_sibling_registered_by_the_same_distribution_counts(install):
    modules = {"left_one": "import right_one", "right_one": "x = 1"}
    install("siblings", modules)
    before = hash_of("left_one")
    install("siblings", {**modules, "right_one": "x = 2"})
    assert hash_of("left_one") != before


def test_packages_of_one_source_tree_count(write, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    write("src/gamma/__init__.py", "import delta")
    write("src/delta.py", "x = 1")
    sources.forget()
    before = hash_of("gamma")
    write("src/delta.py", "x = 22")
    assert hash_of("gamma") != before


@pytest.mark.parametrize(
    "text",
    ["from mfbench.measures import auroc", "from mfbench.measures.ranking import auroc"],
)
def test_the_measures_that_are_used_count_and_the_contracts_do_not(package, text):
    package("alpha/target.py", f"import mfbench\n{text}\nx = mfbench.Sampler")
    assert set(sources._closure("alpha.target")) == {
        "alpha",
        "alpha.target",
        *sources._closure("mfbench.measures.ranking"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "import mfbench.measures",
        "from mfbench import measures",
        "import mfbench\nx = mfbench.measures.auroc",
    ],
)
def test_where_it_is_not_said_which_measure_all_of_the_first_count(package, text):
    package("alpha/target.py", text)
    counted = _measures_that_count_for("alpha.target")
    assert set(TOGETHER) <= counted
    assert not counted & {HOME[name] for name in MENTIONED}


def test_a_star_takes_them_all(package):
    package("alpha/target.py", "from mfbench.measures import *")
    assert set(HOME.values()) <= _measures_that_count_for("alpha.target")


@pytest.mark.parametrize("name", sorted(MENTIONED))
@pytest.mark.parametrize(
    "text",
    [
        "from mfbench.measures import {}",
        "from mfbench import measures\nx = measures.{}",
        "import mfbench.measures as m\nx = m.{}",
        "import mfbench\nx = mfbench.measures.{}",
        "from mfbench import measures\nx = getattr(measures, '{}')",
    ],
)
def test_a_later_measure_counts_wherever_it_is_mentioned(package, name, text):
    package("alpha/target.py", text.format(name))
    assert HOME[name] in _measures_that_count_for("alpha.target")


def _measures_that_count_for(target):
    return {module.rpartition(".")[2] for module in sources._closure(target) if "mfbench.measures." in module}


def test_all_modules_of_a_lazy_package_count(package):
    package("alpha/target.py", "from .lazy import anything")
    package("alpha/lazy/__init__.py", "def __getattr__(name): ...")
    before = package("alpha/lazy/module.py", "x = 1")
    assert package("alpha/lazy/module.py", "x = 2") != before


def test_what_mfbench_hands_out_lazily_is_followed():
    """`mfbench.__getattr__` and `sources` must know of the same names."""
    lazy = set(mfbench.__all__) - set(mfbench._INTERFACE) - set(vars(mfbench))
    assert {name for name in lazy if sources._handed_out(f"mfbench.{name}") == [f"mfbench.{name}"]} == set()


@pytest.mark.parametrize(
    "text",
    [
        "from mfbench import LinearSchedule",
        "import mfbench\nx = mfbench.LinearSchedule",
        "import mfbench.schedules",
    ],
)
def test_the_schedule_that_mfbench_hands_out_counts(package, text):
    package("alpha/target.py", text)
    assert "mfbench.schedules" in sources._closure("alpha.target")


def test_a_protocol_of_the_bench_covers_its_helpers_and_not_the_engine():
    followed = set(sources._closure("mfbench.protocols.ood_auroc"))
    assert {"mfbench.protocols.ood_auroc", "mfbench.measures.ranking"} <= followed
    upstairs = ("mfbench.engine", "mfbench.store", "mfbench.cli", "mfbench.registry", "mfbench.interface")
    assert not any(module.startswith(upstairs) for module in followed)


def test_compiled_code_counts_by_its_bytes(package):
    package("alpha/target.py", "from . import fast")
    suffix = sources.EXTENSION_SUFFIXES[0]
    before = package(f"alpha/fast{suffix}", "\0 machine code 1")
    assert package(f"alpha/fast{suffix}", "\0 machine code 2") != before


def test_a_file_plugin_has_one_hash_wherever_it_lies(write):
    hashes = []
    for folder in ("here", "there"):
        module = filemodules.add_file(write(f"{folder}/single.py", "x = 1"))
        hashes.append(hash_of(module))
    assert hashes[0] == hashes[1]
    write("there/single.py", "x = 2")
    assert hash_of(module) != hashes[0]


def test_nothing_is_imported(package):
    package("alpha/target.py", "from . import helper\nraise RuntimeError")
    package("alpha/helper.py", "raise RuntimeError")
    assert not any(module.split(".")[0] == "alpha" for module in sys.modules)


def test_a_file_that_does_not_parse_still_has_a_hash(package):
    assert package("alpha/target.py", "def f(:") != package("alpha/target.py", "def g(:")


def test_which_class_of_a_module_answers_counts(package):
    """A name that is pointed at another class gives other numbers, though only a registration changed."""
    package("alpha/target.py", "class Thing: pass\nclass Other: pass")
    assert sources.source_hash(card("alpha.target:Thing")) != sources.source_hash(card("alpha.target:Other"))


def test_a_helper_beside_a_file_plugin_counts(write):
    """The plugin puts its own folder on the path, but only when it runs."""
    name = filemodules.add_file(write("own/plugin.py", "import helper_beside\nclass Thing: pass"))
    write("own/helper_beside.py", "SIGN = 1")
    before = hash_of(name)
    write("own/helper_beside.py", "SIGN = -1")
    sources.forget()
    assert hash_of(name) != before


def test_a_package_of_the_same_wheel_counts(install, write):
    """One that registers nothing: the wheel's record says that it belongs to it."""
    write("site-packages/core_part.py", "SIGN = 1")
    site = install("wheel", {"front_part": "import core_part"})
    (site / "wheel-1.0.dist-info" / "RECORD").write_text("front_part.py,,\ncore_part.py,,\n")
    sources.forget()
    before = hash_of("front_part")
    write("site-packages/core_part.py", "SIGN = -1")
    sources.forget()
    assert hash_of("front_part") != before
