"""The loop itself: the best iterate is kept, more steps never hurt, budgets are kept, restarts differ."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from attack_fakes import Linear, Noisy, Open, images, one_quarter, quarters, seeded
from mfbench_attacks.apgd import APGD, _checkpoints
from mfbench_attacks.ascent import ascend
from mfbench_attacks.bpda import BPDA
from mfbench_attacks.counting import counted
from mfbench_attacks.eot import EOT
from mfbench_attacks.losses import margin, targeted_dlr
from mfbench_attacks.oracles import LogitOracle
from mfbench_attacks.patch_pgd import NesterovPatchPGD, PatchPGD
from mfbench_attacks.rows import rows_of
from torch.nn.functional import cross_entropy

from mfbench import Threat


class Recording(LogitOracle):
    """Remembers what it was asked about."""

    def __init__(self, *args):
        super().__init__(*args)
        self.seen, self.scores = [], []

    def look(self, x, rows):
        found = super().look(x, rows)
        self.seen.append(x)
        self.scores.append(found.score)
        return found

    def score(self, x, rows):
        found = super().score(x, rows)
        self.seen.append(x)
        self.scores.append(found)
        return found


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("loss", ["margin", "cross_entropy"])
def test_the_best_iterate_is_kept(momentum, loss, network, digits):
    """Steps of half the range jump about: the last iterate is not the best."""
    x, y = digits.test.x[:40], digits.test.y[:40]
    oracle = Recording(network.logits, loss)
    rows = rows_of(x, y, Threat(radius=0.3))
    best = ascend(oracle, rows, x, steps=15, step_size=0.5, momentum=momentum, rng=seeded())
    scores = torch.stack(oracle.scores)
    assert len(scores) == 16
    assert torch.equal(best.score, scores.amax(0))
    first = scores.argmax(0)
    assert torch.equal(best.x, torch.stack(oracle.seen)[first, torch.arange(40)])
    assert bool((scores[-1] < best.score).any())


@pytest.mark.parametrize("kind", [PatchPGD, NesterovPatchPGD, BPDA])
def test_more_iterations_never_hurt(kind, network, digits):
    x, y = digits.test.x[:30], digits.test.y[:30]
    threat = Threat(torch.stack([torch.ones(8, 8, dtype=torch.bool).tril(), torch.ones(8, 8).triu().bool()]))
    found = []
    for steps in (5, 10, 20, 40):
        attack = kind(steps=steps, step_size=0.1, probe=5)
        changed = attack.perturb(network, x, y, threat=threat, rng=seeded())
        found.append(margin(network.logits(changed), y))
    for few, many in pairwise(found):
        assert bool((many >= few - 1e-4).all())


def test_more_restarts_never_hurt(network, digits):
    x, y = digits.test.x[:30], digits.test.y[:30]
    once, often = (
        PatchPGD(steps=5, step_size=0.2, restarts=count).perturb(
            network, x, y, threat=Threat(radius=0.2), rng=seeded()
        )
        for count in (1, 6)
    )
    gain = margin(network.logits(often), y) - margin(network.logits(once), y)
    assert bool((gain >= -1e-4).all())
    assert bool((gain > 0.01).any())


@pytest.mark.parametrize(
    ("attack", "budget", "backward"),
    [
        (PatchPGD(steps=7), {}, 7),
        (PatchPGD(steps=7), {"steps": 3}, 3),
        (PatchPGD(steps=7, restarts=4), {"restarts": 2}, 14),
        (NesterovPatchPGD(steps=7), {}, 7),
        (EOT(steps=7, samples=3, stop=None), {"steps": 5}, 5),
        (APGD(steps=7, objective="cross_entropy"), {}, 8),
    ],
)
def test_what_it_spends(attack, budget, backward):
    """Gradients an image; forward evaluations are one more each restart, and the first look."""
    defense = Open()
    x, y = images(defense)
    with counted(defense) as count:
        attack.perturb(defense, x, y, threat=Threat(one_quarter().masks, budget=budget), rng=seeded())
    assert count.over(len(x))["backward"] == backward
    assert "logits" not in vars(defense)


def test_randomness_costs_its_draws():
    defense = Noisy()
    x, y = images(defense)
    with counted(defense) as count:
        attack = EOT(steps=7, samples=3)
        attack.perturb(defense, x, y, threat=one_quarter(), rng=seeded())
    assert count.backward == 21 * len(x)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_what_is_turned_is_left_alone_and_the_rest_is_not_disturbed(momentum, network, digits):
    x, y = digits.test.x[:60], digits.test.y[:60]
    rows = rows_of(x, y, Threat(radius=0.25))
    asked = []

    class Asking(LogitOracle):
        def look(self, x, rows):
            asked.append(len(x))
            return super().look(x, rows)

    found = {
        enough: ascend(
            Asking(network.logits, "margin"),
            rows,
            x,
            steps=20,
            step_size=0.02,
            rng=seeded(),
            momentum=momentum,
            enough=enough,
        )
        for enough in (None, 0.1)
    }
    assert asked[:20] == [60] * 20
    assert asked[-1] < 48
    assert torch.equal(found[None].score > 0.1, found[0.1].score > 0.1)
    rest = found[0.1].score <= 0.1
    assert torch.allclose(found[0.1].score[rest], found[None].score[rest], atol=1e-4)
    again = margin(network.logits(found[0.1].x), y)
    assert torch.allclose(again, found[0.1].score, atol=1e-4)


def test_counts_within_counts():
    defense = Linear()
    x, _ = images(defense)
    with counted(defense) as outer:
        with counted(defense) as inner:
            defense.logits(x)
        defense.logits(x)
    assert (inner.forward, outer.forward) == (len(x), 2 * len(x))
    assert "logits" not in vars(defense)


def test_masks_cost_the_probe_each():
    defense = Linear()
    x, y = images(defense)
    with counted(defense) as count:
        attack = PatchPGD(steps=20, probe=5)
        attack.perturb(defense, x, y, threat=Threat(quarters()), rng=seeded())
    assert count.backward == len(x) * (4 * 5 + 20)


# -- losses -------------------------------------------------------------------------------------------------


def test_margins():
    logits = torch.tensor([[3.0, 1.0, 2.0], [0.0, 4.0, 1.0]])
    assert margin(logits, torch.tensor([0, 2])).tolist() == [-1.0, 3.0]


def test_the_ratio_of_differences():
    logits = torch.tensor([[5.0, 4.0, 2.0, 1.0, 0.0]], dtype=torch.float64)
    label, target = torch.tensor([0]), torch.tensor([1])
    assert float(targeted_dlr(logits, label, target)) == pytest.approx(-1 / 3.5)
    scaled = targeted_dlr(40 * logits + 7, label, target)
    assert float(scaled) == pytest.approx(-1 / 3.5)
    assert targeted_dlr(logits[:, :2], label, target).isfinite().all()


def test_the_checkpoints_are_those_of_the_paper():
    """p = .22, .41, .57, .70, .80, .87, .93, .99 (Croce and Hein 2020, section 3.2)."""
    assert sorted(_checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]


def test_auto_pgd_gets_at_least_as_far_as_pgd(network, digits):
    """At equal steps and a small radius, where the size of steps matters."""
    x, y = digits.test.x[:100], digits.test.y[:100]
    threat = Threat(radius=0.12)
    losses = []
    for attack in (APGD(steps=30, objective="cross_entropy"), PatchPGD(steps=30, loss="cross_entropy")):
        changed = attack.perturb(network, x, y, threat=threat, rng=seeded())
        losses.append(cross_entropy(network.logits(changed), y).item())
    assert losses[0] > losses[1] - 0.02
