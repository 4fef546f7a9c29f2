"""Methods whose classes cannot even be imported: their own cells fail, and the rest of the matrix goes on."""

import pytest
from engine_fakes import PLUGIN

from mfbench.cli import main
from mfbench.store import Store

REGISTRATION = """
import mfbench

@mfbench.hookimpl
def mfbench_register(registry):
    registry.likelihood("crashes", "unreadable_crash:Crashes", summary="takes the interpreter with it")
    registry.likelihood("raises_at_import", "unreadable_raise:Raises", summary="lacks a package")
    registry.likelihood("untyped", "unreadable_untyped:Untyped", summary="breaks the contract")
"""

UNTYPED = """
import mfbench

class Untyped(mfbench.Likelihood):
    def __init__(self, *, width=3):
        self.width = width
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    modules = {
        "unreadable_plugin": REGISTRATION,
        "unreadable_crash": "import ctypes\nctypes.string_at(0)\n",
        "unreadable_raise": "import a_package_that_is_not_installed\n",
        "unreadable_untyped": UNTYPED,
    }
    for name, text in modules.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "unreadable_plugin"


def test_an_unreadable_method_costs_its_own_cells(plugin, tmp_path, capsys):
    suite = tmp_path / "suite.toml"
    suite.write_text(
        f"""
        [suite]
        name = "unreadable"
        seeds = [0]
        timing = false
        plugins = ["{PLUGIN}", "{plugin}"]
        [[run]]
        protocol = "mean_score"
        data = "line"
        methods = ["crashes", "raises_at_import", "untyped", "good"]
        """
    )
    store = tmp_path / "results.sqlite"
    assert main(["run", str(suite), "--store", str(store)]) == 1
    warned = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(warned) == 3
    with Store(store) as opened:
        records = {record["method"]["name"]: record for record in opened.results().values()}
    statuses = {name: record["status"] for name, record in records.items()}
    expected = {"crashes": "crashed", "raises_at_import": "failed", "untyped": "failed", "good": "ok"}
    assert statuses == expected
    assert "SIGSEGV" in records["crashes"]["error"]["message"]
    assert "a_package_that_is_not_installed" in records["raises_at_import"]["error"]["message"]
    assert records["untyped"]["error"]["type"] == "ContractError"
    assert "width" in records["untyped"]["error"]["message"]
