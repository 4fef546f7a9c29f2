"""Sets of ood_auroc that can hold the same samples take rows of their own, and their intervals then cover."""

from __future__ import annotations

import math

import pytest
import torch
from protocol_fakes import QualityClock, seeded, values_of
from scipy.stats import norm

from mfbench import measures
from mfbench.contracts import Dataset, Likelihood, Split
from mfbench.errors import UserError
from mfbench.protocols.ood_auroc import OODAuroc
from mfbench.protocols.ood_twins import dealt_rows

SHIFT = 0.5


class Turned(Dataset):
    """SHIFT + N(0, 1); upside down, the same samples with their signs changed: as dependent as can be."""

    shape = (1,)
    name = "turned"

    def __init__(self, size=60, upside_down=False, draw=0, identity=None, **parameters):
        super().__init__(seed=0)
        self.parameters = {"upside_down": upside_down, **parameters}
        self.size, self.sign, self.draw, self.identity = size, (-1 if upside_down else 1), draw, identity

    def make_split(self, split):
        salt = {"train": 1, "val": 2, "test": 3}[split] + 10 * self.draw
        return Split(self.sign * (SHIFT + torch.randn(self.size, 1, generator=seeded(salt))), None)


class Value(Likelihood):
    bound = "score"

    def score(self, x, *, rng=None):
        return x[:, 0]


def evaluate(seen, against, **parameters):
    return OODAuroc().evaluate(
        Value(), seen, rng=seeded(), clock=QualityClock(), against=against, **parameters
    )


def test_intervals_cover_where_the_seen_samples_are_shown_again():
    """AUROC of N(m, 1) against N(-m, 1) is Phi(sqrt(2) m). Shown the same samples, DeLong's interval would be
    too short by sqrt(2): it would cover 83 times of 100.
    """
    exact = norm.cdf(math.sqrt(2) * SHIFT)
    covered = {"dealt": 0, "the same": 0}
    rounds = 400
    for draw in range(rounds):
        seen, twin = Turned(draw=draw), Turned(upside_down=True, draw=draw)
        value = values_of(evaluate(seen, [twin]))["auroc", ""]
        same = measures.delong(seen.test.x[:, 0].numpy(), twin.test.x[:, 0].numpy())
        covered["dealt"] += value.ci_low < exact < value.ci_high
        covered["the same"] += same.low < exact < same.high
    assert 0.925 * rounds < covered["dealt"] < 0.98 * rounds  # 0.95, three standard errors of 0.011 below
    assert covered["the same"] < 0.88 * rounds


def test_twins_are_dealt_rows_in_turn_and_others_keep_theirs():
    twins = [Turned(7), Turned(7, upside_down=True), Turned(7, tilted=True)]
    other = Turned(5)
    other.name = "other"
    rows = dealt_rows([twins[0], other, *twins[1:]], [Split(torch.zeros(n, 1)) for n in (7, 5, 7, 7)])
    assert [each.tolist() for each in rows] == [[0, 3, 6], [0, 1, 2, 3, 4], [1, 4], [2, 5]]
    seen, aside = Turned(4, classes=[0, 1]), Turned(4, classes=[2])
    rows = dealt_rows([seen, aside], [Split(torch.zeros(4, 1))] * 2)
    assert [each.tolist() for each in rows] == [[0, 1, 2, 3]] * 2


def test_people_are_dealt_where_it_is_known_who_is_on_an_image():
    split = Split(torch.zeros(6, 1), identity=torch.tensor([5, 2, 5, 9, 2, 9]))
    rows = dealt_rows([Turned(6), Turned(6, upside_down=True)], [split, split])
    assert [each.tolist() for each in rows] == [[0, 2, 3, 5], [1, 4]]


def test_each_side_takes_at_most_count_of_its_rows():
    seen, twin = Turned(10), Turned(10, upside_down=True)
    scores = evaluate(seen, [twin], count=3).scores
    assert {name: len(group) for name, group in scores.items()} == {
        "in": 3,
        "out:turned(upside_down=true)": 3,
    }
    values = values_of(evaluate(seen, [twin]))
    assert values["auroc", ""].n == 10
    in_front, behind = seen.test.x[0::2, 0], twin.test.x[1::2, 0]
    above = (in_front[:, None] > behind).double().mean()
    assert values["auroc", ""].value == pytest.approx(float(above))


def test_validation_sets_of_one_name_are_dealt_their_validation_rows():
    seen = Turned(8)
    seen.name = "seen"
    far = Turned(8, draw=9)
    far.name = "far"
    choosing = [Turned(8, draw=5), Turned(8, upside_down=True, draw=5)]
    values = values_of(evaluate(seen, [far], validation=choosing))
    assert values["auroc", "validation: turned(upside_down=false)"].n == 8 + 4
    assert values["auroc", "validation: turned(upside_down=true)"].n == 8 + 4


def test_sets_that_share_some_of_their_classes_are_refused():
    seen, mixed = Turned(classes=[0, 1]), Turned(classes=[1, 2], upside_down=True)
    said = r"two sets called turned share images: classes are \[0, 1\] and \[1, 2\]; name the same ones"
    with pytest.raises(UserError, match=said):
        evaluate(seen, [mixed])
    with pytest.raises(UserError, match=r"classes are \[0, 1\] and all"):
        evaluate(seen, [Turned(upside_down=True)])
    with pytest.raises(UserError, match="labels are all and coarse"):
        evaluate(seen, [Turned(classes=[2], labels="coarse")])


def test_too_few_rows_for_both_sides_are_refused():
    with pytest.raises(UserError, match=r"turned\(upside_down=true\): 1 sample to test"):
        evaluate(Turned(3), [Turned(3, upside_down=True)])
