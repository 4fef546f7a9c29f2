"""docs/measures.md names every public measure with the parameters that it has."""

import inspect
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from mfbench import measures

PAGE = (Path(__file__).parents[2] / "docs" / "measures.md").read_text()
CELLS = [re.split(r"(?<!\\)\|", line)[1:-1] for line in PAGE.splitlines() if line.startswith("| `")]
ROWS = {re.match(r"`(\w+)", cells[0].strip())[1]: [cell.strip() for cell in cells] for cells in CELLS}


def written_signature(function):
    """The parameters as the page writes them: names only, `*` before those given by name."""
    parts = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        parts.append(parameter.name)
    return f"{function.__name__}({', '.join(parts)})"


def test_the_page_names_every_measure_and_no_other():
    assert sorted(ROWS) == measures.__all__
    assert len(CELLS) == len(ROWS)


@pytest.mark.parametrize(
    "name", [name for name in measures.__all__ if inspect.isfunction(getattr(measures, name))]
)
def test_a_row_has_the_signature_and_says_all(name):
    signature, scale, definition, _, weaknesses = ROWS[name]
    assert signature == f"`{written_signature(getattr(measures, name))}`"
    assert definition
    assert weaknesses
    assert re.search("[↑↓–]|`Interval`", scale), f"{name}: which way is better?"


@pytest.mark.parametrize("name", [name for name in measures.__all__ if is_dataclass(getattr(measures, name))])
def test_a_class_has_its_fields(name):
    listed = re.findall(r"`(\w+)`", ROWS[name][1])
    assert listed[: len(fields(getattr(measures, name)))] == [
        field.name for field in fields(getattr(measures, name))
    ]


def test_links_within_the_page_lead_somewhere():
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\(#([\w-]+)\)", PAGE)) <= anchors
