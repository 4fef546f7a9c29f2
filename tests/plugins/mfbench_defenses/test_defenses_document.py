"""docs/defenses.md names every defense, with what it does at test time, and its settings can be asked for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import mfbench
from mfbench.registry import load_registry

TEXT = (Path(__file__).parents[3] / "docs" / "defenses.md").read_text()
NAMES, _, _ = TEXT.partition("## Measured so far")  # what follows are results
ROWS = {
    name: row[0]
    for row in re.finditer(r"^\| (`\w+`.*?) \|.*\|$", NAMES, re.MULTILINE)
    for name in re.findall(r"`(\w+)`", row[1])
}


def ours():
    return [
        card.name
        for card in load_registry().cards()
        if card.plugin == "mfbench_defenses" and card.kind == "defense"
    ]


def test_every_defense_is_in_a_table():
    assert set(ours()) - {"attribute_cnn"} == set(ROWS)
    assert "attribute_cnn" in TEXT


def test_what_is_random_or_optimises_is_said_in_its_row():
    for name, row in ROWS.items():
        defense = mfbench.get("defense", name)
        assert ("random" in row) or getattr(defense, "deterministic", True), name
        if name != "autoencoder_classifier":
            assert ("optimises" in row) == bool(getattr(defense, "optimises", False)), name


def test_controls_are_those_that_are_called_so():
    controls = TEXT.index("Controls, which stand")
    for name, row in ROWS.items():
        is_control = mfbench.get("defense", name).role == "control"
        assert is_control == (TEXT.index(row) > controls), name


def test_the_settings_can_be_asked_for():
    blocks = re.findall(r"^```toml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    methods = [method for block in blocks for method in tomllib.loads(block)["methods"]]
    assert len(methods) >= 6
    for method in methods:
        asked = {"name": method} if isinstance(method, str) else dict(method)
        assert mfbench.get("defense", asked.pop("name"), **asked) is not None
    combined = {"name": "adversarial_training", "boxes": True}
    assert mfbench.get("defense", "double_masking", classifier=combined).classifier.boxes
