"""`plugin list` tells what is broken, `plugin new` writes what works, `plugin check` says so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from mfbench.cards import KINDS
from mfbench.cli import _scaffold, main
from mfbench.registry import load_registry, sources

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "mfbench" / "cli" / "templates"


def test_list_shows_what_each_plugin_registers(capsys):
    assert main(["plugin", "list"]) == 0
    out = capsys.readouterr().out
    for plugin in load_registry().plugins:
        assert re.search(rf"^{plugin.name} {plugin.version} \({plugin.source}\)$", out, re.MULTILINE)
        for card in plugin.cards:
            assert re.search(rf"^  {card.kind} +{re.escape(card.name)} ", out, re.MULTILINE)


def test_list_shows_hooks_and_broken_plugins_and_exits_1(install, write, capsys):
    logger = "import mfbench\n@mfbench.hookimpl\ndef mfbench_run_finished(summary): pass\n"
    install("two", {"two_sound": logger, "two_broken": "1 / 0"})
    assert main(["plugin", "list"]) == 1
    out = capsys.readouterr().out
    assert "two_sound 1.0 (entry point)\n  mfbench_run_finished\n" in out
    assert "two_broken 1.0 (entry point)\n  broken: ZeroDivisionError: division by zero (" in out
    assert main(["plugin", "list", "--plugin", str(write("file.py", logger))]) == 1
    assert re.search(
        r"file\.py sha256:\w{12} \(/.*file\.py\)\n  mfbench_run_finished\n", capsys.readouterr().out
    )


# -- new ----------------------------------------------------------------------------------------------------


def test_there_is_a_scaffold_of_every_kind_and_no_other():
    common = {"pyproject.toml", "README.md", "init.py", "test.py"}
    found = {path.name.removesuffix(".txt") for path in TEMPLATES.glob("*.txt")}
    assert found == common | {f"{kind}.py" for kind in KINDS}
    assert set(_scaffold.SUMMARIES) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_scaffold_passes_its_own_test(kind, tmp_path, monkeypatch, mfbench_check):
    assert main(["plugin", "new", f"my-{kind}", "--kind", kind, "--folder", str(tmp_path)]) == 0
    package = f"mfbench_my_{kind}"
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {
        "pyproject.toml",
        "README.md",
        f"src/{package}/__init__.py",
        f"src/{package}/{kind}.py",
        f"tests/test_my_{kind}.py",
    }
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["mfbench"] == {package: package}
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    monkeypatch.syspath_prepend(str(tmp_path / "tests"))
    sources.forget()
    import_module(f"test_my_{kind}").test_contract(mfbench_check)


def test_a_scaffolds_test_fails_when_the_scaffold_is_broken(tmp_path):
    """Run as its author runs it: with pytest, in its own folder."""
    _scaffold.scaffold("my_sampler", "sampler", tmp_path)
    module = tmp_path / "src" / "mfbench_my_sampler" / "sampler.py"
    module.write_text(module.read_text().replace("return x", "return x[1:]"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "mfbench_my_sampler does not keep mfbench's contract:" in done.stdout
    assert "1 failed" in done.stdout


def test_scaffolds_are_well_kept_code(tmp_path):
    for kind in KINDS:
        _scaffold.scaffold(f"my_{kind}", kind, tmp_path / kind)
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for command in (["check", "--select", "E,F,W,B,UP"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", str(tmp_path)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


def test_a_scaffold_installs_and_is_found_by_its_entry_point(tmp_path):
    folder, site = tmp_path / "made", tmp_path / "site"
    _scaffold.scaffold("my_sampler", "sampler", folder)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(site), str(folder)], check=True, timeout=120)
    done = subprocess.run(
        [sys.executable, "-m", "mfbench", "list", "sampler"],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert re.search(r"^  my_sampler +mfbench_my_sampler +Euler steps", done.stdout, re.MULTILINE)


def test_the_default_folder_is_the_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plugin", "new", "good-one", "--kind", "sampler"]) == 0
    assert (tmp_path / "good-one" / "src" / "mfbench_good_one" / "sampler.py").is_file()
    assert (
        'registry.sampler(\n        "good_one"'
        in (tmp_path / "good-one/src/mfbench_good_one/__init__.py").read_text()
    )
    assert "mfbench show sampler good_one" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("My Sampler", "sampler", "plugin name 'My Sampler': use small letters"),
        ("../up", "sampler", "plugin name '../up': use small letters"),
        ("fine", "samplr", "--kind samplr: there is no such kind; did you mean 'sampler'?"),
        ("rk4", "sampler", "plugin new rk4: plugin mfbench_diffusion has a sampler 'rk4' already"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_written(
    tmp_path, monkeypatch, capsys, name, kind, said
):
    monkeypatch.chdir(tmp_path)
    assert main(["plugin", "new", name, "--kind", kind]) == 2
    assert capsys.readouterr().err.startswith(f"mfbench: {said}")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(write, tmp_path, capsys):
    kept = write("taken/file.txt", "mine")
    assert main(["plugin", "new", "fine", "--kind", "sampler", "--folder", str(tmp_path / "taken")]) == 2
    assert "taken exists already" in capsys.readouterr().err
    assert list((tmp_path / "taken").iterdir()) == [kept]


# -- check --------------------------------------------------------------------------------------------------

SAMPLER = """
    import mfbench

    class It(mfbench.Sampler):
        \"\"\"One jump.\"\"\"
        def sample(self, predictor, x_start, *, step, rng=None):
            return {result}

    @mfbench.hookimpl
    def mfbench_register(registry):
        registry.sampler("jump", It, summary="")
"""


def test_check_exits_1_where_a_promise_is_broken(write, capsys):
    assert main(["plugin", "check", str(write("wrong.py", SAMPLER.format(result="x_start[:1]")))]) == 1
    out = capsys.readouterr().out
    assert re.search(r"^FAILED +sampler jump: samples", out, re.MULTILINE)
    assert re.search(r"checks failed\n$", out)


def test_check_of_a_plugin_that_does_not_load(write, capsys):
    assert main(["plugin", "check", str(write("bad.py", "1 / 0"))]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_check_of_nothing_is_bad_input(capsys):
    assert main(["plugin", "check", "gone.py"]) == 2
    assert "there is no file" in capsys.readouterr().err


def test_check_of_a_folder_in_this_one_says_what_to_give(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good-one").mkdir()
    assert main(["plugin", "check", "good-one"]) == 1
    out = capsys.readouterr().out
    assert "the folder good-one is no plugin: give its Python file" in out
