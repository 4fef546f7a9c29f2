"""Whose answer an attack goes by: the defense's, in all of its draws, and not the classifier's alone."""

from __future__ import annotations

import pytest
import torch
from attack_fakes import Linear
from mfbench_attacks.answers import Answers
from mfbench_attacks.bpda import BPDA
from mfbench_attacks.counting import counted
from mfbench_attacks.ladder import Ladder
from mfbench_attacks.losses import margin, targeted_dlr
from mfbench_attacks.patch_pgd import PatchPGD
from mfbench_attacks.random_search import PatchRandomSearch
from protocol_fakes import seeded

from mfbench import Threat


class Stubborn(Linear):
    """Answers for itself: of class 0 unless its classifier is very sure of class 1."""

    lead = 3.0

    def defended_logits(self, x, *, rng=None):
        return self.logits(x) + torch.tensor([self.lead, 0.0], dtype=torch.float64)


class Coin(Linear):
    """What the classifier says three times in four, and the contrary otherwise."""

    def defended_logits(self, x, *, rng=None):
        kept = torch.rand(len(x), generator=rng) < 0.75
        return torch.where(kept[:, None], 1.0, -1.0) * self.logits(x)


def of_class_0(defense, count=12):
    x = torch.rand(200, 1, 6, 8, generator=seeded(), dtype=torch.float64)
    x = x[defense.logits(x).argmax(1) == 0][:count]
    return x, torch.zeros(len(x), dtype=torch.int64)


BALL = Threat(radius=0.3)


def test_bpda_goes_on_where_the_answer_is_more_than_that_of_the_classifier():
    defense = Stubborn()
    x, y = of_class_0(defense)
    found = [
        BPDA(steps=30, stop=stop).perturb(defense, x, y, threat=BALL, rng=seeded()) for stop in (0.1, None)
    ]
    assert torch.equal(*found)
    assert (margin(defense.defended_logits(found[0]), y) > 0).all()


def test_bpda_leaves_images_alone_that_it_has_turned():
    defense = Linear()
    x, y = of_class_0(defense)
    found = [
        margin(defense.logits(BPDA(steps=30, stop=stop).perturb(defense, x, y, threat=BALL, rng=seeded())), y)
        for stop in (0.1, None)
    ]
    assert (found[0] > 0).all()
    assert (found[0] < found[1]).any()


@pytest.mark.parametrize(("kind", "alone"), [(Linear, True), (Stubborn, False)])
def test_answers_know_whether_purifying_is_all_that_is_done(kind, alone):
    defense = kind()
    x, y = of_class_0(defense)
    assert Answers(defense, x, y, seeded()).purify_only is alone


def test_the_ratio_of_two_logits_is_their_difference():
    logits = torch.randn(5, 2, generator=seeded(), dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0, 1, 0, 1, 1])
    found = targeted_dlr(logits, y, 1 - y)
    assert torch.equal(found, margin(logits, y))
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    assert (gradient.abs() == 1).all()


def test_a_ladder_tries_everything_on_all_images_of_a_random_defense():
    defense = Coin()
    x, y = of_class_0(defense)
    attacks = [PatchRandomSearch(queries=2), PatchPGD(steps=3), PatchRandomSearch(queries=3)]
    rungs = Ladder(attacks=attacks).climb(defense, x, y, threat=BALL, rng=seeded())
    assert [bool(rung.tried.all()) for rung in rungs] == [True, True, True]


def test_a_search_leaves_nobody_alone_whom_one_draw_has_turned():
    defense = Coin()
    x, y = of_class_0(defense)
    with counted(defense) as count:
        PatchRandomSearch(queries=20).perturb(defense, x, y, threat=Threat(radius=1e-6), rng=seeded())
    assert count.defended - 2 * 8 == 20 * len(x)  # twice it is asked whether it is random


def test_probabilities_are_told_call_by_call():
    class Halfway(Linear):
        def logits(self, x):
            return super().logits(x).softmax(1)

        def defended_logits(self, x, *, rng=None):
            return Linear.logits(self, x)

    defense = Halfway()
    x, y = of_class_0(defense)
    answers = Answers(defense, x, y, seeded())
    assert torch.allclose(answers.undefended(x).exp(), defense.logits(x))
    assert torch.equal(answers.defended(x), defense.defended_logits(x))
