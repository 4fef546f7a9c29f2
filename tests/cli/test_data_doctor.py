"""`data` says what is computed and checks what is read; `doctor` says what this machine can run."""

from __future__ import annotations

import re

import pytest
import torch

from mfbench.cli import doctor, main

FILES = """
    import mfbench

    class Shelf(mfbench.Dataset):
        \"\"\"Reads one file.\"\"\"
        shape = (2,)

        def files(self):
            return {"shelf.txt": "00"}

        @classmethod
        def download(cls, folder):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "shelf.txt").write_text("books")

        @classmethod
        def check(cls, folder):
            file = folder / "shelf.txt"
            return () if file.is_file() and file.read_text() == "books" else (f"{file} is not what it was",)

    @mfbench.hookimpl
    def mfbench_register(registry):
        registry.dataset("shelf", Shelf, summary="books")
"""


def test_data_list_says_where_each_comes_from(write, capsys):
    path = write("shelf.py", FILES)
    assert main(["data", "list", "--plugin", str(path)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  moons +computed +mfbench ", out, re.MULTILINE)
    assert re.search(r"^  shelf +files +shelf\.py +books$", out, re.MULTILINE)


def test_a_data_set_that_cannot_be_read_is_listed_as_broken(write, capsys):
    path = write("shelf.py", FILES.replace("(mfbench.Dataset)", ""))
    assert main(["data", "list", "--plugin", str(path)]) == 0
    printed = capsys.readouterr()
    assert re.search(r"^  shelf +broken ", printed.out, re.MULTILINE)
    assert "data set 'shelf' cannot be used: Shelf is not a subclass of mfbench.Dataset" in printed.err


@pytest.mark.parametrize("action", ["download", "check"])
def test_a_computed_data_set_needs_nothing(action, capsys, tmp_path):
    assert main(["data", action, "moons", "--data-root", str(tmp_path)]) == 0
    assert "moons is computed: there " in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_files_are_downloaded_and_checked(write, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MFBENCH_DATA", "")
    root = tmp_path / "data"
    options = ["shelf", "--plugin", str(write("shelf.py", FILES)), "--data-root", str(root)]
    assert main(["data", "check", *options]) == 1
    assert main(["data", "download", *options]) == 0
    assert (root / "shelf.txt").read_text() == "books"
    assert main(["data", "check", *options]) == 0
    (root / "shelf.txt").write_text("dust")
    capsys.readouterr()
    assert main(["data", "check", *options]) == 1
    assert capsys.readouterr().out == f"shelf: {root / 'shelf.txt'} is not what it was\n"


def test_doctor_tells_machine_packages_folders_and_plugins(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("MFBENCH_DATA", str(tmp_path / "nowhere"))
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert re.search(rf"^  torch +ok +{re.escape(torch.__version__)}", out, re.MULTILINE)
    assert re.search(r"^  cuda(:0)? ", out, re.MULTILINE)
    assert re.search(rf"^  MFBENCH_DATA +none +{tmp_path}/nowhere \(made when needed\)$", out, re.MULTILINE)
    assert re.search(r"^  mfbench_diffusion +ok +registers \d+$", out, re.MULTILINE)


def test_doctor_exits_1_where_something_needed_is_missing_or_broken(install, capsys, monkeypatch):
    install("sick", {"sick": "1 / 0"})
    assert main(["doctor"]) == 1
    assert re.search(r"^  sick +broken +ZeroDivisionError", capsys.readouterr().out, re.MULTILINE)
    monkeypatch.setattr(doctor, "REQUIRED", ("no-such-package",))
    monkeypatch.setattr(doctor, "_plugins", lambda sources: iter(()))
    assert main(["doctor"]) == 1
    assert re.search(r"^  no-such-package +missing", capsys.readouterr().out, re.MULTILINE)


def test_a_missing_optional_package_is_no_failure(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "OPTIONAL", {"no-such-package": "does magic"})
    assert main(["doctor"]) == 0
    assert re.search(r"^  no-such-package +none +does magic$", capsys.readouterr().out, re.MULTILINE)
