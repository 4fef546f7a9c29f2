"""References that methods' names repeat stand there by number, and a legend says what they are."""

from __future__ import annotations

from mfbench.boards.shorthand import make_shorthand, shorten, used_in
from mfbench.plan.labels import choice_label


def choice(name, kind="generator", **parameters):
    return {"kind": kind, "name": name, "parameters": parameters}


def usual(kind, name):
    return {"width": 32, "rounds": 1} if kind == "generator" else {}


def records_of(*methods):
    return [{"label": choice_label(method, usual), "method": method} for method in methods]


UNET = choice("unet", width=16, iterations=2500, multipliers=[1, 2])
UNET_LABEL = "unet(iterations=2500, multipliers=[1, 2], width=16)"


def scores(*generators):
    return [choice(f"score_{n}", "likelihood", generator=g) for n, g in enumerate(generators)]


def test_a_long_reference_of_two_methods_gets_a_number():
    records = records_of(*scores(UNET, UNET), choice("kde", "likelihood"))
    shorthand = make_shorthand(records, usual)
    assert shorthand == {UNET_LABEL: "unet[1]"}
    names = [shorten(record["label"], shorthand) for record in records]
    assert names == ["score_0(generator=unet[1])", "score_1(generator=unet[1])", "kde"]
    assert used_in(names, shorthand) == {"unet[1]": UNET_LABEL}
    assert used_in(names[2:], shorthand) == {}


def test_one_use_a_short_reference_and_the_method_itself_stay_as_they_are():
    short = choice("gmm", components=8)
    records = records_of(*scores(UNET, short, short), UNET)
    assert make_shorthand(records, usual) == {}
    shorthand = {UNET_LABEL: "unet[1]"}
    assert shorten(UNET_LABEL, shorthand) == UNET_LABEL


def test_of_references_within_references_the_innermost_are_numbered():
    inner = choice("elbo", "likelihood", generator=UNET)
    records = records_of(choice("corrected", "likelihood", likelihood=inner), *scores(UNET))
    shorthand = make_shorthand(records, usual)
    assert shorthand == {UNET_LABEL: "unet[1]"}
    assert shorten(records[0]["label"], shorthand) == "corrected(likelihood=elbo(generator=unet[1]))"


def test_numbers_go_by_first_appearance_and_never_run_together():
    other = choice("my_unet", width=16, iterations=2500, multipliers=[1, 2])  # ends as the other's label does
    records = records_of(*scores(other, UNET, UNET, other))
    shorthand = make_shorthand(records, usual)
    assert list(shorthand.values()) == ["my_unet[1]", "unet[2]"]
    names = [shorten(record["label"], shorthand) for record in records]
    assert len(set(names)) == 4
    assert names[0] == "score_0(generator=my_unet[1])"


def test_a_label_made_with_other_defaults_is_left_alone():
    """Records say what they were called when they were made; what is not found there is not replaced."""
    records = records_of(*scores(UNET, UNET))
    assert make_shorthand(records, lambda kind, name: {"width": 16}) == {}
