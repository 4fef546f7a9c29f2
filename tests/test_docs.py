"""Runs the code of the documentation, block after block, in an empty folder.

A block with a title is a file; `sh` is run by bash and must succeed; `python` without a title is executed and
the tests it defines are called; `toml` must parse. A plugin in `kinds/` must keep the contract.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = ["docs/plugins.md"]

_FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def blocks(document: str) -> list[tuple[str, str, str]]:
    """(language, title or "", code) of every block, in order."""
    text = (ROOT / document).read_text()
    found = [(match[1], match[2] or "", match[3]) for match in _FENCE.finditer(text)]
    assert 2 * len(found) == len(re.findall(r"^ *```", text, re.MULTILINE)), (
        f"{document}: a fence that is not read"
    )
    return found


def run_shell(code: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", "-e", "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_code_of_a_document_runs(document, tmp_path, monkeypatch, mfbench_check):
    monkeypatch.chdir(tmp_path)
    for language, title, code in blocks(document):
        if title:
            (tmp_path / title).parent.mkdir(exist_ok=True)
            (tmp_path / title).write_text(code)
            if title.startswith("kinds/"):
                mfbench_check(title)
        elif language == "sh":
            run_shell(code, tmp_path)
        elif language == "python":
            names: dict = {}
            exec(compile(code, document, "exec"), names)
            for name, value in names.items():
                if name.startswith("test_"):
                    value(mfbench_check)
        else:
            assert language == "toml", f"{document}: what is to be done with {language}?"
            tomllib.loads(code)
    check = {"docs/plugins.md": check_plugin_guide}
    check[document](tmp_path)


def check_plugin_guide(folder: Path) -> None:
    """The guide's claims: the single file is short and ranked on the board, and the tracker hears the run."""
    source = (folder / "my_method.py").read_text().splitlines()
    assert len(source) < 25
    board = (folder / "boards" / "tiny" / "README.md").read_text()
    for row in ("boxcar", "boxcar(radius=0.4)", "gaussian", "oracle_bayes"):
        assert re.search(rf"\| *`?{re.escape(row)}`? *\|", board), f"{row} is not on the board:\n{board}"
    run_shell("mfbench run tiny.toml --plugin tracker.py", folder)
    events = (folder / "tracker.jsonl").read_text()
    assert '"event": "started", "suite": "tiny", "cells": 4' in events
    assert '"event": "finished", "statuses": {"ok": 4}' in events
