"""docs/flows.md: every flow and every density is in its tables, and what it asks for can be had."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import get_args, get_type_hints

from mfbench_flows.hierarchical_density import HierarchicalFlowDensity
from mfbench_flows.sizes import can_halve, halved

import mfbench
from mfbench.registry import load_registry

TEXT = (Path(__file__).parents[3] / "docs" / "flows.md").read_text()
ROWS = set(re.findall(r"^\| (`.*?`) \|", TEXT, re.MULTILINE))


def test_every_flow_is_in_a_table():
    ours = {card.name for card in load_registry().cards() if card.plugin == "mfbench_flows"}
    assert {f"`{name}`" for name in ours} <= ROWS


def test_every_density_is_in_a_table():
    hints = get_type_hints(HierarchicalFlowDensity.__init__)
    modes = [f"`log_px`, `{mode}`" for mode in get_args(hints["mode"])]
    others = [f"`{name}`" for name in get_args(hints["density"]) if name != "log_px"]
    assert {*modes, *others} <= ROWS


def test_the_methods_of_the_suites_can_be_had():
    densities, resolution = re.findall(r"^```toml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    for method in tomllib.loads(densities)["methods"]:
        asked = dict(method)
        assert mfbench.get("likelihood", asked.pop("name"), **asked).generator.levels == 2
    (run,) = tomllib.loads(resolution)["run"]
    for method in run["methods"]:
        asked = dict(method) if isinstance(method, dict) else {"name": method}
        assert isinstance(mfbench.get("generator", asked.pop("name"), **asked), mfbench.SuperResolver)


def test_the_sizes_halve_as_often_as_it_says():
    said = re.findall(r"(\d+) x \1 (?:are halved )?(\d+) times", TEXT)
    assert len(said) == 2
    for side, times in said:
        assert not can_halve(halved((int(side), int(side)), "the document", int(times)))
