"""The measurement of robustness: what counts as turned, which attack is worst, what sanity compares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from protocol_fakes import values_of
from robust_fakes import Best, Halves, Linear, Nothing, evaluate

from mfbench.contracts import Attack, Certifies, ClimbsLadder, Rung
from mfbench.protocols.linf_robustness import LinfRobustness
from mfbench.protocols.robust_sanity import FLAG

HALF = {"masks": "top", "area": 0.5}
WHOLE = {"masks": "top", "area": 1.0}
"""On which Best turns every image."""


def flags(measurement):
    return [note for note in measurement.notes if note.startswith(FLAG)]


# -- what counts as turned ----------------------------------------------------------------------------------


def test_a_later_rung_that_fails_does_not_undo_what_an_earlier_one_turned():
    class Again(Attack, ClimbsLadder):
        """The optimum, then nothing on every other image, those that are turned included."""

        def climb(self, defense, x, y, *, threat, rng):
            found = Best().perturb(defense, x, y, threat=threat, rng=rng)
            none = torch.zeros(len(x), dtype=torch.bool)
            some = torch.arange(len(x)) % 2 == 0
            return [Rung("best", found, ~none, none), Rung("nothing", x.clone(), some, none)]

    values = values_of(evaluate(Linear(), [Again()], transfer=Nothing(), **HALF))
    after_one, after_two = (values["attacked_accuracy", name].value for name in ("best", "nothing #2"))
    assert after_one == after_two == values["worst_case_accuracy", ""].value < 1


def test_an_image_that_is_wrong_while_clean_is_wrong_whatever_attacks_make_of_it():
    class Kind(Attack):
        """Changes images into what their labels say."""

        who = "kind"

        def perturb(self, defense, x, y, *, threat, rng):
            return Best().perturb(defense, x, 1 - y, threat=threat, rng=rng)

    mislabelled = Halves(labels=lambda y: 1 - y)
    found = evaluate(Linear(), [Kind()], mislabelled, transfer=Kind(), **WHOLE)
    values = values_of(found)
    assert values["clean_accuracy", ""].value == 0
    assert values["attacked_accuracy", "kind"].value == 1
    assert values["worst_case_accuracy", ""].value == 0
    assert not found.scores["images"].any()


# -- the worst attack ---------------------------------------------------------------------------------------


class On(Best):
    """The optimum on some of the images, nothing on the others."""

    def __init__(self, who, some):
        self.who, self.some = who, some

    def perturb(self, defense, x, y, *, threat, rng):
        some = self.some(torch.arange(len(x))).view(-1, 1, 1, 1)
        return torch.where(some, super().perturb(defense, x, y, threat=threat, rng=rng), x)


def test_the_worst_attack_is_chosen_by_every_other_image_alone_and_measured_on_the_rest():
    """The one that wins on those by which is chosen fails on all that are left."""
    attacks = [On("all but one", lambda row: row > 0), On("every other", lambda row: row % 2 == 0)]
    values = values_of(evaluate(Linear(), attacks, transfer=Nothing(), **WHOLE))
    assert values["attacked_accuracy", "all but one"].value == pytest.approx(1 / 60)
    assert values["attacked_accuracy", "every other"].value == 0.5
    assert values["worst_attack_accuracy", ""].value == 1.0
    assert values["worst_attack_accuracy", ""].n == 30


# -- sanity -------------------------------------------------------------------------------------------------


class GivesUp(Attack):
    """The optimum, but nothing where too much is allowed."""

    def __init__(self, too_much):
        self.too_much = too_much

    def perturb(self, defense, x, y, *, threat, rng):
        attack = Nothing() if self.too_much(threat) else Best()
        return attack.perturb(defense, x, y, threat=threat, rng=rng)


def check_misled(measurement, name):
    """The one flag there is says so of `name`."""
    (said,) = flags(measurement)
    assert f"more accurate under the whole threat than under {name}:" in said


def test_an_attack_that_is_misled_by_a_larger_patch_is_flagged():
    pixels = 32 * 3 / 4  # the whole patch has 32, one of half the area fewer than three quarters of it

    def large(threat):
        return threat.masks is not None and int(threat.masks[0].sum()) > pixels

    found = evaluate(Linear(), probe=GivesUp(large), checked=60, **HALF)
    check_misled(found, "a smaller patch")


def test_an_attack_that_is_misled_by_a_larger_radius_is_flagged():
    def wide(threat):
        return threat.radius is not None and threat.radius > 0.2

    found = evaluate(Linear(), protocol=LinfRobustness, probe=GivesUp(wide), checked=60, radius=0.4)
    check_misled(found, "half the radius")


def test_an_attack_that_is_misled_where_any_value_is_allowed_is_flagged():
    def any_value(threat):
        return threat.masks is not None and (threat.radius is None or threat.radius > 0.5)

    found = evaluate(Linear(), probe=GivesUp(any_value), checked=60, **HALF)
    check_misled(found, "half the radius")


def test_a_certificate_is_wrong_where_any_draw_turns_the_image():
    class Mostly(Linear, Certifies):
        """Right in most draws, and certified all the same."""

        def defended_logits(self, x, *, rng=None):
            scale = torch.rand(len(x), 1, generator=rng)
            return torch.where(scale < 0.02, -1, scale) * self.logits(x)

        def certify(self, x, y, threat):
            return torch.ones(len(x), dtype=torch.bool)

    found = evaluate(Mostly(), [Nothing()], transfer=Nothing(), draws=20)
    worst = found.scores["images"]
    turned = np.count_nonzero(worst < 1)
    assert worst.min() > 0.5
    assert 0 < turned < 60
    assert f"{FLAG}{turned} certified images were turned: the certificate is wrong" in flags(found)
