"""docs/semantics.md: every method is in its table, and what it asks for can be had."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import mfbench
from mfbench.registry import load_registry

TEXT = (Path(__file__).parents[3] / "docs" / "semantics.md").read_text()


def test_every_method_is_in_the_table():
    rows = set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))
    ours = {card.name for card in load_registry().cards("disentangler") if card.plugin == "mfbench_vae"}
    assert ours <= rows


def test_methods_that_are_named_with_parameters_can_be_had():
    blocks = re.findall(r"^```toml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        for asked in tomllib.loads(block)["methods"]:
            parameters = dict(asked)
            mfbench.get("disentangler", parameters.pop("name"), **parameters)
