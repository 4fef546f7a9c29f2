"""docs/ood.md: every score is in its tables, at the cost that is measured, and its suite can be asked for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from ood_fakes import Exact, gaussian
from protocol_fakes import fitted, seeded

import mfbench
from mfbench.protocols.counting import count_evaluations
from mfbench.registry import load_registry

TEXT = (Path(__file__).parents[3] / "docs" / "ood.md").read_text()
ROWS = {row[1]: row[0] for row in re.finditer(r"^\| `(\w+)`.*\|$", TEXT, re.MULTILINE)}


def test_every_score_is_in_a_table():
    ours = [card for card in load_registry().cards() if card.plugin == "mfbench_ood"]
    assert {card.name for card in ours if card.kind == "likelihood"} <= ROWS.keys()


@pytest.mark.parametrize("name", ["msma", "diffpath", "denoising_reconstruction", "flipd", "diffusion_band"])
def test_the_evaluations_are_as_many_as_it_says(name):
    data = gaussian([1.0, 0.5], count=80)
    method = fitted(mfbench.get("likelihood", name, generator=Exact(data, 100)), data)
    with count_evaluations(method) as counter:
        method.score(data.test.x, rng=seeded())
    said = re.search(r"\| (?:[\w ]+: )?(\d+)(?: x (\d+))?(?: evaluations?| at T)", ROWS[name])
    assert counter.rows / len(data.test) == int(said[1]) * int(said[2] or 1)


def test_the_suite_asks_for_methods_and_parameters_that_there_are():
    (block,) = re.findall(r"^```toml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    (run,) = tomllib.loads(block)["run"]
    for method in run["methods"]:
        asked = {"name": method} if isinstance(method, str) else dict(method)
        assert mfbench.get("likelihood", asked.pop("name"), **asked) is not None
