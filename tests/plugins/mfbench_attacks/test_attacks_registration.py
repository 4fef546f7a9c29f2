"""What the plugin registers, without torch; docs/attacks.md tells of all of it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
import torch

import mfbench
from mfbench.registry import load_registry
from mfbench.testing.kit import check_registered

ATTACKS = {
    "patch_pgd",
    "patch_pgd_nag",
    "bpda",
    "eot",
    "unrolled",
    "joint_elbo",
    "evasion",
    "apgd",
    "paste",
    "patch_random_search",
    "torchattacks",
    "pool",
    "ladder",
}
TEXT = (Path(__file__).parents[3] / "docs" / "attacks.md").read_text()


@pytest.fixture(scope="module")
def cards():
    return {card.name: card for card in load_registry().cards() if card.plugin == "mfbench_attacks"}


def test_everything_is_there(cards):
    assert set(cards) == ATTACKS
    assert {card.kind for card in cards.values()} == {"attack"}


def test_every_attack_is_called_as_it_is_registered(cards):
    registry = load_registry()
    for name, card in cards.items():
        target = registry.load(card)
        assert target.who == name
        assert target.__doc__


def test_the_document_names_every_attack_and_every_parameter(cards):
    registry = load_registry()
    for name, card in cards.items():
        assert f"`{name}`" in TEXT
        for field in fields(registry.load(card)):
            assert f"`{field.name}`" in TEXT, f"{name}: {field.name}"


def test_the_suite_of_the_document_can_be_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pools").mkdir()
    clean = torch.zeros(1, 1, 4, 4)
    pool = mfbench.AdversarialPool.collect(clean, torch.zeros(1, dtype=torch.int64), clean + 0.5)
    pool.write(tmp_path / "pools" / "published.npz")
    for block in re.findall(r"^```toml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL):
        for run in tomllib.loads(block)["run"]:
            for attack in run["attacks"]:
                asked = {"name": attack} if isinstance(attack, str) else dict(attack)
                assert mfbench.get("attack", asked.pop("name"), **asked) is not None


def test_reading_the_registrations_imports_no_torch():
    code = "import sys, mfbench_attacks; assert not {'torch', 'numpy', 'torchattacks'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ATTACKS - {"pool", "torchattacks"}))
def test_conformance(name, cards):
    findings = check_registered(load_registry(), [cards[name]])
    assert [str(finding) for finding in findings if not finding.ok] == []
