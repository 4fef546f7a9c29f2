"""What an attack goes by: the defense rather than its stand-in, and more than one lucky draw."""

from __future__ import annotations

import pytest
import torch
from attack_fakes import Linear, Voting, images, seeded
from mfbench_attacks.bpda import BPDA
from mfbench_attacks.counting import counted
from mfbench_attacks.eot import EOT
from mfbench_attacks.ladder import Ladder
from mfbench_attacks.losses import margin
from mfbench_attacks.unrolled import Unrolled

from mfbench import Attack, Threat


class Misleading(Voting):
    """Its stand-in says the contrary of what it answers."""

    def defended_logits(self, x, *, rng=None):
        return self.logits(x)

    def surrogate_logits(self, x, *, rng=None):
        return -self.logits(x)


def test_restarts_are_compared_by_the_defense_and_not_by_its_stand_in():
    defense = Misleading()
    x, y = images(defense, count=30)
    once, often = (
        margin(
            defense.defended_logits(
                Unrolled(steps=1, restarts=count).perturb(
                    defense, x, y, threat=Threat(radius=0.2), rng=seeded()
                )
            ),
            y,
        )
        for count in (1, 6)
    )
    assert bool((often >= once - 1e-9).all())
    assert bool((often > once + 0.01).any())


class Flipping(Linear):
    """Purifies to the negative, whose answer is the other one, in a quarter of the draws."""

    def purify(self, x, *, rng=None):
        flipped = torch.rand(len(x), generator=rng) < 0.25
        return torch.where(flipped.view(-1, 1, 1, 1), 1 - x, x)


class Nothing(Attack):
    def perturb(self, defense, x, y, *, threat, rng):
        return x.clone()


def test_a_ladder_does_not_drop_a_random_defense_after_a_lucky_draw():
    defense = Flipping()
    x, y = images(defense, count=40)
    ladder = Ladder(attacks=[Nothing(), Nothing()], draws=64)
    first, second = ladder.climb(defense, x, y, threat=Threat(radius=0.01), rng=seeded())
    assert first.tried.all()
    assert second.tried.all()


@pytest.mark.parametrize("kind", [BPDA, EOT])
def test_a_random_defense_is_climbed_to_the_end_whatever_single_draws_say(kind):
    """The radius is too small to turn any image in more than a quarter of the draws."""
    defense = Flipping()
    x, y = images(defense, count=40)
    clear = margin(defense.logits(x), y) < -0.1
    x, y = x[clear], y[clear]
    attack = kind(steps=20, step_size=1e-5, samples=2)
    with counted(defense) as count:
        attack.perturb(defense, x, y, threat=Threat(radius=1e-4), rng=seeded())
    assert count.backward >= 20 * 2 * len(x)
