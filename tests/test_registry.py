"""Plugins are found by every door, broken ones are told in one line, and names lead to classes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mfbench
from mfbench.cards import Card, Plugin
from mfbench.errors import UserError
from mfbench.registry import KINDS, Registry, load_registry, probe

SOUND = """
    import mfbench

    class Halves(mfbench.Sampler):
        \"\"\"Halves.\"\"\"
        def __init__(self, *, factor: float = 0.5):
            self.factor = factor

    @mfbench.hookimpl
    def mfbench_register(registry):
        registry.sampler("halves", Halves, summary="halves its input", reference="nobody 2023")
"""

REGISTER = "import mfbench\n@mfbench.hookimpl\ndef mfbench_register(registry):\n    "


def plugin(registry: Registry, name: str) -> Plugin:
    return next(plugin for plugin in registry.plugins if plugin.name == name)


# -- what is there ------------------------------------------------------------------------------------------


def test_the_bench_and_the_first_party_plugins_are_found():
    registry = load_registry()
    assert plugin(registry, "mfbench").source == "built in"
    assert {"circles", "moons", "s_curve", "swiss_roll"} <= set(registry.names("dataset"))
    assert {"ddim", "ddpm", "rk4"} <= set(registry.names("sampler"))
    assert registry.broken == []


def test_names_are_sorted_and_cards_come_by_kind():
    registry = load_registry()
    for kind in KINDS:
        assert registry.names(kind) == sorted(registry.names(kind))
    kinds = [card.kind for card in registry.cards()]
    assert kinds == sorted(kinds, key=KINDS.index)


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("sampler", "rk5", "there is no sampler 'rk5'; did you mean 'rk4'"),
        ("sampler", "moons", "there is no sampler 'moons'; 'moons' is a dataset"),
        ("samplr", "rk4", "there is no kind 'samplr'; did you mean 'sampler'?"),
        ("dataset", "xxxxxxxx", "there is no dataset 'xxxxxxxx'; there are celeba, checkerboard, "),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(kind, name, said):
    with pytest.raises(UserError, match=f"^{said.replace('?', '[?]')}"):
        load_registry().card(kind, name)


def test_an_entry_point_registers_under_its_distributions_version(install):
    install("halving", {"halving": SOUND}, version="3.1")
    registry = load_registry()
    assert registry.card("sampler", "halves") == Card(
        kind="sampler",
        name="halves",
        target="halving:Halves",
        summary="halves its input",
        reference="nobody 2023",
        plugin="halving",
        plugin_version="3.1",
    )
    assert registry.load(registry.card("sampler", "halves")).__name__ == "Halves"


def test_removing_an_entry_point_removes_its_names_and_nothing_else(install):
    before = {(card.kind, card.name) for card in load_registry().cards()}
    site = install("removable", {"removable": SOUND})
    assert {(card.kind, card.name) for card in load_registry().cards()} == before | {("sampler", "halves")}
    (site / "removable-1.0.dist-info" / "entry_points.txt").write_text("")
    assert {(card.kind, card.name) for card in load_registry().cards()} == before


# -- broken plugins -----------------------------------------------------------------------------------------

BROKEN = {
    "missing import": ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
    "raises": ("1 / 0", "ZeroDivisionError: division by zero (broken.py, line 1)"),
    "exits": ("raise SystemExit(3)", "SystemExit: 3 (broken.py, line 1)"),
    "syntax": ("def f(:", "SyntaxError: invalid syntax (broken.py, line 1)"),
    "raises late": (REGISTER + "raise RuntimeError('a\\nb')", "RuntimeError: a b (broken.py, line 4)"),
    "no hook": ("x = 1", "has no function marked @mfbench.hookimpl"),
    "unknown hook": (
        "import mfbench\n@mfbench.hookimpl\ndef mfbench_regster(registry): pass",
        "mfbench_regster is not a hook; did you mean 'mfbench_register'",
    ),
    "wrong argument": (
        "import mfbench\n@mfbench.hookimpl\ndef mfbench_register(registry, extra): pass",
        "hookimpl definition: mfbench_register(registry, extra); Argument(s) {'extra'} are declared",
    ),
    "no summary": (REGISTER + "registry.sampler('a', 'b:C')", "missing 1 required keyword-only argument"),
    "bad target": (
        REGISTER + "registry.sampler('a', 'b.C', summary='')",
        "sampler 'a': target 'b.C' is neither a class at the top of a module nor 'module:Class'",
    ),
    "local class": (
        REGISTER + "registry.sampler('a', type('C', (), {'__qualname__': 'f.<locals>.C'}), summary='')",
        "sampler 'a': target 'broken:f.<locals>.C' is neither a class",
    ),
    "bad name": (REGISTER + "registry.sampler('a,b', 'b:C', summary='')", "sampler 'a,b': a name is made of"),
    "unknown kind": (REGISTER + "registry.smpler('a', 'b:C', summary='')", "has no attribute 'smpler'"),
    "twice": (
        REGISTER + "[registry.sampler('a', 'b:C', summary='') for _ in range(2)]",
        "sampler 'a' is registered twice by this plugin",
    ),
    "taken": (
        REGISTER + "[registry.sampler(name, 'b:C', summary='') for name in ('fresh', 'rk4')]",
        "sampler 'rk4' is already registered by plugin mfbench_diffusion",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_dropped_whole_with_one_line_and_the_rest_goes_on(install, monkeypatch, case):
    source, said = BROKEN[case]
    before = load_registry().cards()
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    install("a-broken-one", {"broken": source})
    registry = load_registry()
    error = plugin(registry, "broken").error
    assert said in error
    assert "\n" not in error
    assert plugin(registry, "broken").cards == ()
    assert registry.cards() == before
    registry.require_sources()  # nobody asked for it: a warning, no error


def test_an_interrupt_is_not_the_plugins_fault(install):
    install("interrupted", {"interrupted": "import signal\nsignal.raise_signal(signal.SIGINT)"})
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        load_registry()
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_that_a_plugin_raises_itself_is_no_interrupt(install):
    install("interrupting", {"interrupting": "raise KeyboardInterrupt"})
    assert plugin(load_registry(), "interrupting").error.startswith("KeyboardInterrupt")


# -- files and modules --------------------------------------------------------------------------------------


def test_a_file_is_read_in_a_child_and_imported_only_when_its_class_is_wanted(write):
    path = write("my plugin.py", SOUND)
    registry = load_registry([str(path)])
    card = registry.card("sampler", "halves")
    module = card.target.partition(":")[0]
    assert module.isidentifier()
    assert module not in sys.modules
    assert card.plugin == "my plugin.py"
    assert card.plugin_version.startswith("sha256:")
    assert registry.create("sampler", "halves", factor=2).factor == 2.0
    assert module in sys.modules
    assert registry.sources == (str(path.resolve()),)


def test_a_files_cards_are_kept_by_its_content(write, monkeypatch):
    path = write("kept.py", SOUND)
    first = load_registry([str(path)]).cards()
    with monkeypatch.context() as patched:
        patched.setattr(probe, "ask", lambda questions: pytest.fail("asked a child again"))
        assert load_registry([str(path)]).cards() == first
    write("kept.py", SOUND.replace('"halves"', '"quarters"'))
    assert "quarters" in load_registry([str(path)]).names("sampler")


def test_the_same_target_loads_in_another_process(write):
    path = write("elsewhere.py", SOUND)
    code = (
        "import sys; from mfbench.registry import load_registry\n"
        "registry = load_registry(sys.argv[1:])\n"
        "print(registry.card('sampler', 'halves').target, registry.create('sampler', 'halves').factor)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    target = load_registry([str(path)]).card("sampler", "halves").target
    assert found.stdout.split() == [target, "0.5"]


def test_two_files_of_one_name_are_two_plugins(write):
    one = write("a/plugin.py", SOUND)
    two = write("b/plugin.py", SOUND.replace('"halves"', '"thirds"'))
    registry = load_registry([str(one), str(two)])
    targets = {registry.card("sampler", name).target for name in ("halves", "thirds")}
    assert len(targets) == 2


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashed with SIGSEGV while importing"),
        ("import os; os._exit(7)", "ended its process with code 7 while importing"),
        ("print('noise on standard output')\n1 / 0", "ZeroDivisionError: division by zero (bad.py, line 2)"),
    ],
)
def test_a_file_that_cannot_be_imported_is_broken_and_refused_where_it_was_asked_for(write, source, said):
    path = write("bad.py", source)
    registry = load_registry([str(path)])
    assert plugin(registry, "bad.py").error == said
    with pytest.raises(UserError, match=r"^plugin .*bad.py: "):
        registry.require_sources()
    assert "rk4" in registry.names("sampler")


def test_a_failure_is_not_kept(write, monkeypatch):
    path = write("moody.py", "import os\nassert 'MOOD' in os.environ\n" + SOUND.replace("\n    ", "\n"))
    assert load_registry([str(path)]).broken
    monkeypatch.setenv("MOOD", "good")
    assert not load_registry([str(path)]).broken


def test_a_hanging_import_is_given_up_and_the_next_question_answered(write):
    hanging = write("hanging.py", "import time\ntime.sleep(60)")
    sound = write("sound.py", SOUND)
    questions = [{"ask": "cards", "source": str(path), "version": ""} for path in (hanging, sound)]
    slow, fast = probe.ask(questions, time_limit=4)
    assert slow == {"error": "was still importing after 4 s"}
    assert [card["name"] for card in fast["cards"]] == ["halves"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_no_child_outlives_a_killed_parent(write, tmp_path):
    pid = tmp_path / "pid"
    source = (
        f"import os, time, pathlib\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\ntime.sleep(60)"
    )
    path = write("waiting.py", source)
    code = "import sys; from mfbench.registry import load_registry; load_registry(sys.argv[1:])"
    parent = subprocess.Popen([sys.executable, "-c", code, str(path)])
    wait_for(lambda: pid.is_file() and pid.read_text())
    parent.kill()
    parent.wait()
    wait_for(lambda: not Path(f"/proc/{pid.read_text()}").exists() or is_dead(int(pid.read_text())))


def wait_for(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_dead(pid: int) -> bool:
    """Whether a process is a zombie: ended, and not waited for by whoever inherited it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("hangs", [True, False])
def test_what_a_plugin_starts_at_import_neither_stalls_nor_stays(write, tmp_path, monkeypatch, apart, hangs):
    pid = tmp_path / "pid"
    source = f"""
    import pathlib, subprocess, time
    started = subprocess.Popen(["sleep", "60"], start_new_session={apart})
    pathlib.Path({str(pid)!r}).write_text(str(started.pid))
    {"time.sleep(60)" if hangs else ""}
    """
    path = write("starts.py", source + SOUND)
    began = time.monotonic()
    monkeypatch.setattr(probe.ask, "__defaults__", (2.0,))
    (found,) = (each for each in load_registry([str(path)]).plugins if each.name == "starts.py")
    assert time.monotonic() - began < 10
    assert found.error == ("was still importing after 2 s" if hangs else None)
    wait_for(lambda: not Path(f"/proc/{pid.read_text()}").exists() or is_dead(int(pid.read_text())))


def test_what_a_plugin_prints_does_not_disturb_the_answers(write):
    path = write(
        "talkative.py", "import os\nprint('{}')\nos.write(1, b'{}')\n" + SOUND.replace("\n    ", "\n")
    )
    assert "halves" in load_registry([str(path)]).names("sampler")


def test_a_module_is_named_without_installing_an_entry_point(write, tmp_path, monkeypatch):
    write("modular.py", SOUND)
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = load_registry(["modular", "modular"])
    assert registry.card("sampler", "halves").target == "modular:Halves"
    assert registry.sources == ("modular",)
    registry.require_sources()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os; os._exit(0)", "ended its process with code 0 while importing"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise SystemExit(0)", "SystemExit"),
    ],
)
def test_a_module_that_ends_the_process_is_broken_in_one_line(write, tmp_path, monkeypatch, source, said):
    write("ends_it_all.py", source)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=said) as caught:
        load_registry(["ends_it_all"]).require_sources()
    assert "\n" not in str(caught.value)


def test_a_module_with_life_cycle_hooks_is_imported_when_they_are_wanted(write, tmp_path, monkeypatch):
    write("module_logger.py", LOGGER)
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = load_registry(["module_logger"])
    assert "module_logger" not in sys.modules
    registry.hook.mfbench_run_started(plan={"suite": "quick"})
    assert sys.modules.pop("module_logger").heard == ["quick"]


def test_naming_an_installed_plugin_again_is_no_conflict():
    registry = load_registry(["mfbench_diffusion"])
    assert registry.broken == []
    assert [plugin.name for plugin in registry.plugins].count("mfbench_diffusion") == 1


def test_a_missing_module_is_told_with_the_file_that_may_be_meant(write, tmp_path, monkeypatch):
    write("beside_me.py", SOUND)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UserError, match=r"no module named 'beside_me' is installed; for the file, say beside_me.py"
    ):
        load_registry(["beside_me"]).require_sources()


def test_a_missing_file_is_a_users_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"plugin 'gone.py': there is no file"):
        load_registry(["gone.py"])


# -- life cycle ---------------------------------------------------------------------------------------------

LOGGER = """
    import mfbench
    heard = []

    @mfbench.hookimpl
    def mfbench_run_started(plan):
        heard.append(plan["suite"])
"""


def test_a_file_with_life_cycle_hooks_is_imported_when_they_are_wanted(write):
    path = write("logger.py", LOGGER)
    registry = load_registry([str(path)])
    assert plugin(registry, "logger.py").hooks == ("mfbench_run_started",)
    registry.hook.mfbench_run_started(plan={"suite": "quick"})
    (module,) = (module for name, module in sys.modules.items() if name.startswith("mfbench_file_logger"))
    assert module.heard == ["quick"]


def test_a_broken_plugin_hears_nothing(install):
    install("deaf", {"deaf": LOGGER + "\n    1 / 0"})
    registry = load_registry()
    registry.hook.mfbench_run_started(plan={"suite": "quick"})
    assert plugin(registry, "deaf").error


# -- instances ----------------------------------------------------------------------------------------------


def test_parameters_are_checked_before_the_class_is_called():
    with pytest.raises(UserError, match=r"dataset 'moons' has no parameter 'cuont'; did you mean 'count'?"):
        mfbench.get("dataset", "moons", cuont=3)
    with pytest.raises(
        UserError, match=r"dataset 'moons', parameter 'count': expected an integer, got 'many'"
    ):
        mfbench.get("dataset", "moons", count="many")


def test_a_data_set_is_told_its_name_seed_and_complete_parameters():
    data = mfbench.get("dataset", "moons", count=50, noise=1, seed=3)
    assert (data.name, data.seed) == ("moons", 3)
    assert data.parameters["count"] == 50
    assert data.parameters["noise"] == 1.0
    assert isinstance(data.parameters["noise"], float)
    assert data.digest == mfbench.get("dataset", "moons", seed=3, noise=1.0, count=50).digest
    assert data.digest != mfbench.get("dataset", "moons", seed=4, noise=1.0, count=50).digest


def test_references_become_instances_by_name_by_table_and_as_they_are():
    by_default = mfbench.get("likelihood", "diffusion_markov")
    assert isinstance(by_default.generator, mfbench.DiffusionModel)
    table = {"name": "exact_diffusion", "num_steps": 100}
    by_table = mfbench.get("likelihood", "diffusion_markov", generator=table)
    assert by_table.generator.num_steps == 100
    same = mfbench.get("likelihood", "diffusion_markov", generator=by_table.generator)
    assert same.generator is by_table.generator
    choice = {"kind": "generator", "name": "exact_diffusion", "parameters": {"num_steps": 7}}
    assert mfbench.get("likelihood", "diffusion_markov", generator=choice).generator.num_steps == 7


def test_a_protocol_takes_its_parameters_later():
    assert isinstance(mfbench.get("protocol", "ood_auroc"), mfbench.EvaluationProtocol)
    with pytest.raises(UserError, match=r"protocol 'ood_auroc' takes its parameters in `evaluate`"):
        mfbench.get("protocol", "ood_auroc", against=["moons"])


def test_a_class_that_is_not_there_is_a_users_error(install):
    install("promising", {"promising": REGISTER + "registry.sampler('soon', 'promising:Soon', summary='')"})
    with pytest.raises(
        UserError, match=r"sampler 'soon' of plugin promising: module 'promising' has no 'Soon'"
    ):
        load_registry().create("sampler", "soon")


def test_a_class_of_another_kind_is_a_users_error(install):
    source = REGISTER + "registry.sampler('odd', 'mfbench:Defense', summary='')"
    install("odd", {"odd": source})
    with pytest.raises(UserError, match=r"Defense is not a subclass of mfbench.Sampler"):
        load_registry().create("sampler", "odd")


def test_sources_are_relative_to_where_they_were_named(write, tmp_path):
    from mfbench.registry.loading import resolve_source

    path = write("suites/plugins/mine.py", SOUND)
    assert resolve_source("plugins/mine.py", tmp_path / "suites") == str(path.resolve())
    assert resolve_source("some.module") == "some.module"
    assert Path(resolve_source(str(path))).is_absolute()
