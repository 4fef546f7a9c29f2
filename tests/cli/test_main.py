"""The command line's frame: verbs, help, one line a mistake, exit codes, and what is not imported."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types

import pytest

import mfbench
from mfbench.cli import _main, main
from mfbench.cli._options import add_data_root_option

HEAVY = {"torch", "pandas", "scipy", "sklearn", "numpy", "rich", "matplotlib"}


def run_and_list_modules(*arguments: str) -> set[str]:
    """The modules that a fresh process has imported once it has run `mfbench ...`."""
    code = (
        "import sys\n"
        "from mfbench.cli import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list"], ["list", "--help"], ["run", "--help"], ["--version"]]
)
def test_help_and_list_import_nothing_heavy(arguments):
    assert not HEAVY & run_and_list_modules(*arguments)


def test_importing_mfbench_imports_nothing_heavy():
    code = "import mfbench, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_every_verb_has_a_help_line(capsys):
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for verb in _main._verbs():
        assert any(re.match(rf"    {verb} +(\S+ ){{3}}", line) for line in lines), f"{verb} needs a docstring"


def test_without_a_verb_the_help_is_printed(capsys):
    assert main([]) == 0
    assert "usage: mfbench" in capsys.readouterr().out


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mfbench {mfbench.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lst"], "there is no verb 'lst'; did you mean 'list'?"),
        (["list", "--nope"], "unrecognized arguments: --nope; see mfbench --help"),
        (["list", "sampler", "more"], "unrecognized arguments: more; see mfbench --help"),
        (["list", "samplers"], "there is no kind 'samplers'; did you mean 'sampler'?"),
        (["data"], "the following arguments are required: ACTION; see mfbench data --help"),
        (["show", "sampler", "rk44"], "there is no sampler 'rk44'; did you mean 'rk4'"),
        (["show", "a", "b", "c"], "show a b c: expected KIND NAME, or the id of a CELL"),
        (["list", "--plugin", "gone.py"], "plugin 'gone.py': there is no file "),
        (["list", "--plugin", ""], "plugin '': is neither a file nor a module's name; give its Python file"),
        (["list", "--plugin", "."], "plugin '.': is neither a file nor a module's name; give its"),
        (["list", "--plugin", "a..b"], "plugin 'a..b': is neither a file nor a module's name; give its"),
        (["list", "--plugin", "/"], "plugin '/': / is a folder; give its Python file (mine.py), or the name"),
        (["plugin", "check", ""], "plugin '': is neither a file nor a module's name; give its Python file"),
        (["plugin", "check", "/"], "plugin '/': / is a folder; give its Python file (mine.py), or the name"),
        (["show", "attack"], "show attack: a NAME is missing after the kind; there are: "),
        (["import", "x", "--store", "/no/d/s"], "argument --store: '/no/d/s': there is no folder '/no/d'"),
        (["import", "x", "--store", ""], "argument --store: the name is empty; give a file"),
        (["data", "check", "mons"], "there is no dataset 'mons'; did you mean 'moons'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys, arguments, said):
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"mfbench: {said}")
    assert printed.err.count("\n") == 1


@pytest.fixture
def verb(monkeypatch):
    """`verb(function)`: `mfbench list` does something else."""

    def replace(function, add_arguments=lambda parser: None):
        module = types.ModuleType("list", "Does something else.")
        module.add_arguments, module.run = add_arguments, function
        monkeypatch.setattr(_main, "import_module", lambda name: module)

    return replace


def test_an_interrupt_is_exit_code_130(verb, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    verb(interrupted)
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "mfbench: interrupted\n"


def test_a_bug_keeps_its_traceback(verb):
    verb(lambda args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["list"])


@pytest.mark.parametrize("action", ["check", "download"])
def test_what_the_system_refuses_is_one_line(capsys, tmp_path, action):
    root = tmp_path / ("long" * 100)  # no folder can be called that, whoever asks
    assert main(["data", action, "mnist", "--data-root", str(root)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"mfbench: {root}/mnist/")
    assert said.endswith(": File name too long\n")
    assert said.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="no folder is locked for root")
@pytest.mark.parametrize("action", ["check", "download"])
def test_a_locked_folder_is_one_line(capsys, tmp_path, action):
    (tmp_path / "mnist").mkdir(mode=0)
    assert main(["data", action, "mnist", "--data-root", str(tmp_path)]) == 2
    file = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    assert capsys.readouterr().err == f"mfbench: {file}: Permission denied\n"


def test_an_error_of_the_system_that_names_no_file_keeps_its_traceback(verb):
    def failing(args):
        raise OSError(5, "Input/output error")

    verb(failing)
    with pytest.raises(OSError, match="Input/output"):
        main(["list"])


def test_a_verbs_exit_code_is_the_commands(verb):
    verb(lambda args: 1)
    assert main(["list"]) == 1


def test_the_data_root_reaches_child_processes(verb, monkeypatch, tmp_path):
    monkeypatch.setenv("MFBENCH_DATA", "elsewhere")
    monkeypatch.chdir(tmp_path)
    seen = []
    verb(lambda args: seen.append(os.environ["MFBENCH_DATA"]) or 0, add_data_root_option)
    assert main(["list", "--data-root", "here"]) == 0
    assert seen == [str(tmp_path / "here")]


def test_a_reader_that_stops_reading_gets_no_traceback():
    command = f"{sys.executable} -m mfbench list | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.returncode in (0, 141)
    assert done.stdout.count("\n") == 1


def test_python_m_mfbench_is_mfbench():
    done = subprocess.run(
        [sys.executable, "-m", "mfbench", "lst"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr == "mfbench: there is no verb 'lst'; did you mean 'list'?\n"


def test_a_warning_is_one_line_and_a_librarys_says_where_it_comes_from(verb):
    import warnings

    usual, lines = warnings.formatwarning, []

    def warned(args):
        site = "/home/me/mfbench/.venv/lib/site-packages"
        for file in (f"{site}/mfbench_mine/hooks.py", f"{site}/numpy/core.py"):
            lines.append(warnings.formatwarning("a\n  b", RuntimeWarning, file, 7))
        return 0

    verb(warned)
    assert main(["list"]) == 0
    assert lines == ["mfbench: warning: a b\n", "mfbench: warning: RuntimeWarning: a b (core.py, line 7)\n"]
    assert warnings.formatwarning is usual
