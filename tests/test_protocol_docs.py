"""Every protocol of the bench has its paragraph in docs/protocols.md: question, metrics, threats, sources."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from mfbench.registry import load_registry

PAGE = (Path(__file__).parents[1] / "docs/protocols.md").read_text()
SECTIONS = {m[1]: m[2] for m in re.finditer(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)}
REGISTRY = load_registry()
NAMES = [name for name in REGISTRY.names("protocol") if REGISTRY.card("protocol", name).plugin == "mfbench"]


def told(name):
    """The section of a protocol, and those that it refers to for what they have in common."""
    section = SECTIONS[name]
    shared = re.findall(r"Those of \[`(\w+)`\]", section)
    return "\n".join([section, *(SECTIONS[each] for each in shared)])


def test_there_is_a_section_a_protocol_and_no_other():
    assert set(SECTIONS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_protocol_reads_as_an_evaluation_paragraph(name):
    section, text = SECTIONS[name], told(name)
    assert f"](#{name})" in PAGE
    for part in ("Question", "Threats to validity", "References"):
        assert f"**{part}.**" in section
    assert "**Measurement.**" in text
    protocol = REGISTRY.load(REGISTRY.card("protocol", name))
    assert [metric.name for metric in protocol.metrics if f"`{metric.name}`" not in text] == []
    asked = list(inspect.signature(protocol.evaluate).parameters)
    assert [each for each in asked[asked.index("clock") + 1 :] if f"`{each}`" not in text] == []
