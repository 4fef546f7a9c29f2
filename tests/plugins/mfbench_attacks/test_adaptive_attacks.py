"""Attacks that know the defense: each does what it is for, against a defense on which that can be told."""

from __future__ import annotations

import pytest
import torch
from attack_fakes import (
    Linear,
    Noisy,
    Open,
    Projecting,
    Rounding,
    Voting,
    images,
    one_quarter,
    seeded,
    wrong,
)
from mfbench_attacks.answers import Answers
from mfbench_attacks.bpda import BPDA
from mfbench_attacks.eot import EOT
from mfbench_attacks.evasion import Evasion
from mfbench_attacks.joint_elbo import JointELBO
from mfbench_attacks.losses import margin
from mfbench_attacks.patch_pgd import PatchPGD
from mfbench_attacks.recomputed import recomputed
from mfbench_attacks.rows import rows_of
from mfbench_attacks.unrolled import Unrolled, _relaxed

from mfbench import Threat, Unsupported


@pytest.mark.parametrize("kind", [BPDA, EOT])
def test_a_purifier_without_gradient_is_passed_straight_through(kind):
    defense = Rounding()
    x, y = images(defense, count=40)
    changed = kind(steps=60).perturb(defense, x, y, threat=Threat(radius=0.3), rng=seeded())
    assert wrong(defense, changed, y) >= 0.95


def test_eot_follows_the_mean_gradient():
    """Of a linear classifier behind noise the mean gradient is the classifier's own; scores are means."""
    defense = Noisy()
    x, y = images(defense)
    rows = rows_of(x, y, Threat())
    found = EOT(samples=400).oracle(Answers(defense, x, y, seeded()), rows).look(x, rows)
    gap = defense.weight[1 - y] - defense.weight[y]
    assert torch.allclose(found.gradient.flatten(1), gap)
    error = defense.noise * gap.norm(dim=1) / 400**0.5
    assert bool(((found.score - margin(defense.logits(x), y)).abs() < 5 * error).all())


def test_eot_beats_a_random_defense():
    defense = Noisy(scale=0.5)
    x, y = images(defense, count=40)
    changed = EOT(steps=40).perturb(defense, x, y, threat=Threat(radius=0.3), rng=seeded())
    assert wrong(defense, changed, y) >= 0.95


def test_the_trajectory_is_the_purifier_s_own():
    defense = Open()
    x, y = images(defense)
    oracle = BPDA(trajectory=4).oracle(Answers(defense, x, y, seeded()), rows_of(x, y, Threat()))
    between = oracle._between(x)
    states = [x]
    for _ in range(defense.purification_steps):
        states.append(defense.purification_step((states[-1], None))[0].detach())
    assert [next(i for i, s in enumerate(states) if torch.equal(s, b)) for b in between] == [0, 3, 6, 9]


def test_the_trajectory_of_others_is_a_straight_line():
    defense = Rounding()
    x, y = images(defense)
    oracle = BPDA(trajectory=3).oracle(Answers(defense, x, y, seeded()), rows_of(x, y, Threat()))
    gap = defense.purify(x) - x
    for point, between in enumerate(oracle._between(x)):
        assert torch.allclose(between, x + gap * point / 4)


# -- unrolling ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("unroll", [0, 3])
def test_the_unrolled_gradient_is_that_of_the_whole_graph(noise, unroll):
    """Steps that are computed again draw the same noise, and hand on the same gradient."""
    defense = Open(noise=noise)
    x, _ = images(defense)
    attack = Unrolled(unroll=unroll)
    count = unroll or defense.purification_steps
    kept, gradients = [], []
    for again in (True, False):
        rng, free = seeded(4), x.clone().requires_grad_()
        if again:
            out = attack._purified(defense, free, rng)
        else:
            step = _relaxed(defense, defense.purification_steps / count, attack.softness, rng)
            state = defense.purification_start(free)
            for _ in range(count):
                state = step(state)
            out = state[0]
        kept.append(out.detach())
        gradients.append(torch.autograd.grad(defense.logits(out).square().sum(), free)[0])
        drawn_on = torch.rand(1, generator=rng)
    assert torch.equal(*kept)
    assert torch.allclose(*gradients, rtol=1e-12, atol=1e-12)
    assert drawn_on.isfinite()


def test_nothing_but_the_state_is_kept():
    calls = []

    def step(state):
        calls.append(torch.is_grad_enabled())
        return (state[0].square(), state[1])

    x = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    state = (x, torch.ones(1, dtype=torch.bool))
    for _ in range(3):
        state = recomputed(step, seeded(), state)
    assert calls == [False] * 3
    (gradient,) = torch.autograd.grad(state[0].sum(), x)
    assert calls == [False] * 3 + [True] * 3
    assert float(gradient) == 8 * 2.0**7


def test_full_and_surrogate_purify_alike():
    """Few long steps end where many short ones do, and both near what `purify` does."""
    defense = Open()
    x, _ = images(defense)
    full, few = (Unrolled(unroll=n, softness=0.01)._purified(defense, x, seeded()) for n in (0, 3))
    assert (full - defense.purify(x)).abs().max() < 0.05
    assert (few - full).abs().max() < 0.1


def test_unrolling_follows_what_is_left_after_purification():
    """The optimum of the defended margin, which is linear; transfer goes to that of the undefended one."""
    defense = Projecting()
    x, _ = images(defense)
    y = defense.defended_logits(x).argmax(1)
    threat = Threat(radius=0.1)
    gap = defense.weight[1 - y] - defense.weight[y]
    left = gap - (gap @ defense.direction)[:, None] * defense.direction
    best = (x + 0.1 * left.sign().view_as(x)).clamp(0, 1)
    found = Unrolled(steps=30, step_size=0.01).perturb(defense, x, y, threat=threat, rng=seeded())
    assert torch.allclose(found, best)
    transfer = PatchPGD(steps=30, step_size=0.01).perturb(defense, x, y, threat=threat, rng=seeded())
    margins = [margin(defense.defended_logits(images_), y) for images_ in (found, transfer)]
    assert bool((margins[0] > margins[1]).all())


def test_votes_are_attacked_through_their_stand_in():
    defense = Voting()
    x, y = images(defense, count=40)
    changed = Unrolled(steps=60).perturb(defense, x, y, threat=Threat(radius=0.3), rng=seeded())
    assert wrong(defense, changed, y) >= 0.95


# -- two things at once -------------------------------------------------------------------------------------


def test_joint_elbo_is_likelier_than_plain_pgd():
    defense = Open(scale=0.3)
    x, y = images(defense, count=40)
    joint = JointELBO(steps=60, weights=(3.0,)).perturb(defense, x, y, threat=Threat(), rng=seeded())
    plain = PatchPGD(steps=60).perturb(defense, x, y, threat=Threat(), rng=seeded())
    assert wrong(defense, joint, y) >= 0.9
    assert float((defense.elbo(joint) - defense.elbo(plain)).min()) > 0


def test_the_weight_is_chosen_by_the_defended_answer():
    """A weight that forbids any change loses against one that allows it."""
    defense = Open(scale=0.3)
    x, y = images(defense, count=20)
    attack = JointELBO(steps=40, weights=(1e6, 0.0))
    changed = attack.perturb(defense, x, y, threat=Threat(radius=0.3), rng=seeded())
    best = JointELBO(steps=40, weights=(0.0,)).perturb(defense, x, y, threat=Threat(radius=0.3), rng=seeded())
    assert torch.equal(changed, best)


def test_evasion_is_less_suspicious_than_plain_pgd():
    defense = Open(scale=0.3)
    x, y = images(defense, count=40)
    threat = one_quarter()
    evasive = Evasion(steps=60, weights=(1.0,)).perturb(defense, x, y, threat=threat, rng=seeded())
    plain = PatchPGD(steps=60).perturb(defense, x, y, threat=threat, rng=seeded())
    scores = [defense.evidence(images_)["score"] for images_ in (evasive, plain)]
    assert float((scores[1] - scores[0]).min()) > 0
    answers = [margin(defense.logits(images_), y) for images_ in (evasive, x)]
    assert float((answers[0] - answers[1]).mean()) > 0


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (Unrolled(), "unrolled needs an Unrollable defense, or one that HasSurrogate; Linear is neither"),
        (JointELBO(), "joint_elbo needs a defense with an ELBO; Linear has none"),
        (Evasion(), "evasion needs a defense that HasEvidence; Linear shows none"),
    ],
)
def test_defenses_that_tell_too_little(attack, said):
    defense = Linear()
    x, y = images(defense)
    with pytest.raises(Unsupported, match=said):
        attack.perturb(defense, x, y, threat=Threat(), rng=seeded())
