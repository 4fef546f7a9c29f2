"""[define] in suites: what "$name" becomes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfbench.errors import UserError
from mfbench.suite import parse_suite
from mfbench.wording import Where

HEAD = """
[suite]
name = "tiny"
seeds = [0]
"""
RUN = """
[[run]]
protocol = "ood_auroc"
data     = "swiss_roll"
against  = ["circles"]
"""


def parse(defined, run, *settings):
    return parse_suite(f"{HEAD}\n[define]\n{defined}\n{RUN}{run}", Path(), Where("t.toml"), settings)


def complaint(defined, run, *settings):
    with pytest.raises(UserError) as caught:
        parse(defined, run, *settings)
    assert str(caught.value).isprintable()
    return str(caught.value)


def methods(suite):
    return [entry.raw for entry in suite.runs[0].methods]


def test_definitions_are_what_would_be_written_out():
    defined = """
    unet   = { name = "ddpm_unet", width = 16 }
    most   = 3
    scores = ["lof", { name = "msma", generator = "$unet", count = "$most" }]
    every  = ["png_size", "$scores"]
    """
    large = '{ name = "msma", generator = { name = "$unet", width = 32, iterations = 9 } }'
    suite = parse(defined, f'methods = ["kde", "$every", {large}]\ngrid.step = ["$most", 5]')
    network = {"name": "ddpm_unet", "width": 16}
    assert methods(suite) == [
        {"name": "kde"},
        {"name": "png_size"},
        {"name": "lof"},
        {"name": "msma", "generator": network, "count": 3},
        {"name": "msma", "generator": {"name": "ddpm_unet", "width": 32, "iterations": 9}},
    ]
    assert suite.runs[0].grid == {"step": (3, 5)}
    whole = parse('all = ["kde", "lof"]', 'methods = "$all"')
    assert methods(whole) == [{"name": "kde"}, {"name": "lof"}]
    named = parse('which = "kde"', 'methods = [{ name = "$which", bandwidth = 1.0 }]')
    assert methods(named) == [{"name": "kde", "bandwidth": 1.0}]


def test_the_text_keeps_its_definitions_and_settings_count_what_they_became():
    suite = parse('some = ["kde", "lof"]', 'methods = ["$some", "gmm"]', "run.0.methods.1.neighbours=5")
    assert methods(suite)[1] == {"name": "lof", "neighbours": 5}
    assert 'some = ["kde", "lof"]' in suite.text


def test_a_setting_at_one_use_leaves_the_others():
    suite = parse('m = { name = "kde" }', 'methods = ["$m", "$m"]', "run.0.methods.0.bandwidth=2.0")
    assert methods(suite) == [{"name": "kde", "bandwidth": 2.0}, {"name": "kde"}]


@pytest.mark.parametrize(
    ("defined", "run", "expected"),
    [
        ('some = ["kde"]', 'methods = ["$sone"]', "not above; did you mean 'some'?"),
        ('a = "$b"\nb = "kde"', 'methods = ["$a"]', 'define.a: "$b" is not defined'),
        ('a = "$a"', 'methods = ["$a"]', '"$a" is not defined in [define], or not above; there are none'),
        ('a = "kde"\nb = 3', 'methods = ["$a"]', 'define.b: nothing uses it: write "$b" where it belongs'),
        ('"a b" = "kde"', 'methods = ["kde"]', 'define."a b": a definition\'s name is made of letters'),
        ('a = ["kde"]', 'methods = [{ name = "$a" }]', "run[0].methods[0].name: expected a text"),
        ("a = 1979-05-27", 'methods = ["$a"]', "define.a"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_line(defined, run, expected):
    assert expected in complaint(defined, run)


def test_define_must_be_a_table():
    with pytest.raises(UserError, match="define: expected a table, found 3"):
        parse_suite(f'define = 3\n{HEAD}{RUN}methods = ["kde"]', Path(), Where("t.toml"))


def test_definitions_that_double_each_other_end_soon():
    doubling = "\n".join(f'a{i} = ["$a{i - 1}", "$a{i - 1}"]' for i in range(1, 60))
    assert "become more than 100,000 values" in complaint(f'a0 = ["kde"]\n{doubling}', 'methods = "$a59"')
    nesting = "\n".join(f'a{i} = {{ name = "kde", a = "$a{i - 1}" }}' for i in range(1, 60))
    assert "nested too deeply" in complaint(f'a0 = "kde"\n{nesting}', 'methods = ["$a59"]')


def test_without_definitions_a_dollar_is_a_letter():
    suite = parse_suite(f'{HEAD}{RUN}methods = ["$kde"]', Path(), Where("t.toml"))
    assert methods(suite) == [{"name": "$kde"}]
