"""The ladder: equal budgets, a cascade, the worst for each image; what cannot be tried is said."""

from __future__ import annotations

import pytest
import torch
from attack_fakes import Linear, Open, images, one_quarter, quarters, seeded, wrong
from mfbench_attacks.bpda import BPDA
from mfbench_attacks.eot import EOT
from mfbench_attacks.joint_elbo import JointELBO
from mfbench_attacks.labels import label_of
from mfbench_attacks.ladder import Ladder
from mfbench_attacks.losses import margin
from mfbench_attacks.patch_pgd import PatchPGD
from mfbench_attacks.random_search import PatchRandomSearch

import mfbench
from mfbench import Attack, ContractError, Threat, UserError, breaches


@pytest.fixture
def setting():
    defense = Open(scale=0.15, size=0.005)
    x, _ = images(defense, count=40)
    return defense, x, defense.defended_logits(x).argmax(1)


def climbed(attacks, setting, threat=None, **keywords):
    defense, x, y = setting
    ladder = Ladder(attacks=attacks, **keywords)
    return ladder.climb(defense, x, y, threat=threat or one_quarter(), rng=seeded())


def test_every_rung_is_within_the_threat_and_tells_what_it_turned(setting):
    defense, x, y = setting
    rungs = climbed([PatchPGD(steps=3), BPDA(steps=40), JointELBO(steps=40)], setting)
    assert [rung.attack for rung in rungs] == ["patch_pgd(steps=3)", "bpda(steps=40)", "joint_elbo(steps=40)"]
    for rung in rungs:
        assert not breaches(x, rung.x, one_quarter()).any()
        assert torch.equal(rung.x[~rung.tried], x[~rung.tried])
        said = margin(defense.defended_logits(rung.x), y) > 0
        assert torch.equal(rung.turned, rung.tried & said)


def test_a_cascade_goes_on_with_the_survivors_only(setting):
    defense, x, y = setting
    attacks = [PatchPGD(steps=2, step_size=0.005), BPDA(steps=60)]
    rungs = climbed(attacks, setting)
    right = defense.defended_logits(x).argmax(1) == y
    assert torch.equal(rungs[0].tried, right)
    assert torch.equal(rungs[1].tried, right & ~rungs[0].turned)
    assert 0 < int(rungs[1].tried.sum()) < int(rungs[0].tried.sum())
    every = climbed(attacks, setting, cascade=False)
    assert all(torch.equal(rung.tried, right) for rung in every)


def test_the_worst_for_each_image_is_what_it_gives_back(setting):
    """No attack of the ladder leaves an image that is worse for the defense."""
    defense, x, y = setting
    attacks = [PatchPGD(steps=4), BPDA(steps=12), PatchRandomSearch(queries=20)]
    for cascade in (True, False):
        rungs = climbed(attacks, setting, cascade=cascade)
        ladder = Ladder(attacks=attacks, cascade=cascade)
        changed = ladder.perturb(defense, x, y, threat=one_quarter(), rng=seeded())
        worst = margin(defense.defended_logits(changed), y)
        for rung in rungs:
            each = margin(defense.defended_logits(rung.x), y)
            assert bool((worst >= each - 1e-9)[rung.tried].all())
        turned = torch.stack([rung.turned for rung in rungs]).any(0)
        assert torch.equal(worst > 0, turned | (margin(defense.defended_logits(x), y) > 0))


def test_budgets_are_equal_and_measured(setting):
    rungs = climbed(
        [PatchPGD(steps=90), BPDA(steps=20, stop=None), PatchRandomSearch(queries=500)],
        setting,
        Threat(one_quarter().masks, radius=1e-5, budget={"queries": 30}),
        steps=10,
        cascade=False,
    )
    for rung in rungs:
        assert {name: rung.budget[name] for name in ("steps", "restarts", "queries")} == {
            "steps": 10,
            "restarts": 1,
            "queries": 30,
        }
    assert rungs[0].budget["backward"] == 10
    assert rungs[1].budget["backward"] == 10
    assert rungs[1].budget["purified"] == 11
    assert "backward" not in rungs[2].budget
    assert rungs[2].budget["defended"] == 30


def test_what_cannot_be_tried_is_said(setting):
    defense = Linear()
    x, y = images(defense)
    (rung,) = Ladder(attacks=[JointELBO()]).climb(defense, x, y, threat=Threat(), rng=seeded())
    assert rung.notes == ["not tried: joint_elbo needs a defense with an ELBO; Linear has none"]
    assert not rung.tried.any()
    assert torch.equal(rung.x, x)


def test_no_attack_is_tried_twice_under_two_names(setting):
    """A purifier without randomness and gradient: `eot` passes straight through, as `bpda` did."""
    (_, second) = climbed([BPDA(steps=1), EOT(steps=1)], setting)
    assert second.notes == ["eot(steps=1) does what bpda did: not tried"]
    assert not second.tried.any()
    (first, _) = climbed([EOT(steps=1), BPDA(steps=1)], setting)
    assert first.tried.any()


def test_images_that_are_wrong_already_are_left_alone(setting):
    defense, x, y = setting
    wrong_labels = 1 - y
    (rung,) = Ladder(attacks=[PatchPGD()]).climb(defense, x, wrong_labels, threat=Threat(), rng=seeded())
    assert not rung.tried.any()
    changed = Ladder(attacks=[PatchPGD()]).perturb(defense, x, wrong_labels, threat=Threat(), rng=seeded())
    assert torch.equal(changed, x)


def test_an_attack_that_cheats_is_caught(setting):
    class Cheat(Attack):
        def perturb(self, defense, x, y, *, threat, rng):
            return 1 - x

    with pytest.raises(ContractError, match="attack Cheat breaches the threat in 40 of 40 images"):
        climbed([Cheat()], setting)


def test_masks_are_chosen_by_each_attack(setting):
    defense, x, y = setting
    ladder = Ladder(attacks=[PatchPGD(), BPDA()])
    changed = ladder.perturb(defense, x, y, threat=Threat(quarters()), rng=seeded())
    assert not breaches(x, changed, Threat(quarters())).any()
    alone = ladder.perturb(defense, x, y, threat=one_quarter(), rng=seeded())
    assert wrong(defense, changed, y) >= wrong(defense, alone, y)


def test_by_name_from_the_registry(setting):
    defense, x, y = setting
    ladder = mfbench.get(
        "attack", "ladder", attacks=["patch_pgd", {"name": "bpda", "trajectory": 2}], steps=5
    )
    rungs = ladder.climb(defense, x, y, threat=one_quarter(), rng=seeded())
    assert [rung.attack for rung in rungs] == ["patch_pgd", "bpda(trajectory=2)"]
    assert all(isinstance(attack, Attack) for attack in mfbench.get("attack", "ladder").attacks)
    with pytest.raises(UserError, match="attack 'paste' is a name"):
        Ladder().perturb(defense, x, y, threat=one_quarter(), rng=seeded())


def test_labels():
    assert label_of(PatchPGD()) == "patch_pgd"
    assert label_of(JointELBO(weights=[0.5, 2.0], steps=7)) == "joint_elbo(steps=7, weights=[0.5, 2])"
    assert label_of(JointELBO(weights=[0.01, 0.1, 1.0])) == "joint_elbo"
