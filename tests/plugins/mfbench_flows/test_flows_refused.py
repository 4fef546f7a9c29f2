"""What flows cannot do, as a suite tells it: before anything is fitted, in one line."""

from __future__ import annotations

import pytest

from mfbench.cli import main

SUITE = """
[suite]
name = "asked"
seeds = [0]
timing = false

[define]
faces = {{ name = "synthetic_faces", size = {size}, channels = "grey", count = 40 }}
flow  = {{ name = "{flow}", {parameters}, iterations = 1 }}

[[run]]
protocol = "ood_auroc"
data     = "$faces"
against  = [{{ name = "synthetic_faces", size = {size}, channels = "grey", count = 40, nuisance = 0.0 }}]
methods  = [{{ name = "{flow}", {asked}generator = "$flow" }}]
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the suite of these; exit code and standard error."""
    monkeypatch.setenv("MFBENCH_CACHE", str(tmp_path / "cache"))  # nothing is fitted already

    def run_suite(flow, parameters, asked="", size=8):
        suite = tmp_path / "asked.toml"
        suite.write_text(SUITE.format(flow=flow, parameters=parameters, asked=asked, size=size))
        code = main(["run", str(suite), "--workers", "1", "--store", str(tmp_path / "store.sqlite")])
        return code, capsys.readouterr().err

    return run_suite


@pytest.mark.parametrize(
    ("parameters", "asked", "told"),
    [
        (
            "levels = 2",
            "level = 9, ",
            "run[0].methods[0]: hierarchical_flow: level = 9: between 1 and 2 (levels)",
        ),
        ("levels = 2", "level = 0, ", "run[0].methods[0]: hierarchical_flow: level = 0: at least 1"),
        (
            "levels = 2, code_factor = 4",
            'density = "log_px", mode = "exact", ',
            '"exact", level = 1: 1.25 latent dimensions for each of the pixels\' are more than 1; '
            "code_factor = 4 is too large",
        ),
    ],
)
def test_parameters_that_cannot_be_end_the_command(run, parameters, asked, told):
    code, error = run("hierarchical_flow", parameters, asked)
    assert code == 2
    assert told in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("flow", "parameters", "told"),
    [
        ("glow", "scales = 3", "glow: images of 12 x 12 are halved 2 times at most, not 3"),
        ("wavelet_flow", "levels = 3", "wavelet_flow: images of 12 x 12 are halved 2 times at most, not 3"),
        (
            "hierarchical_flow",
            "levels = 4",
            "hierarchical_flow: levels = 4: images of 12 x 12 are halved 2 t",
        ),
        (
            "hierarchical_flow",
            "levels = 3",
            "hierarchical_flow: the codes: images of 3 x 3 are halved 0 times",
        ),
    ],
)
def test_sizes_that_do_not_halve_are_unsupported_and_not_fitted(run, flow, parameters, told):
    code, error = run(flow, parameters, size=12)
    assert code == 0
    assert f"Unsupported: {told}" in error
    assert "fitted" not in error
    assert "Traceback" not in error
