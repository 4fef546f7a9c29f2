"""Search, pasting and pools: what is asked, where patches go, what is believed."""

from __future__ import annotations

import pytest
import torch
from attack_fakes import Linear, images, one_quarter, quarters, seeded, wrong
from mfbench_attacks.counting import counted
from mfbench_attacks.losses import margin
from mfbench_attacks.paste import Paste, _reduced
from mfbench_attacks.patch_pgd import PatchPGD
from mfbench_attacks.placement import boxes_of, shifted
from mfbench_attacks.pool import Pool
from mfbench_attacks.random_search import PatchRandomSearch
from protocol_fakes import Normal, fitted

import mfbench
from mfbench import AdversarialPool, DataSpec, Threat, Unsupported, UserError
from mfbench.testing.data import TinyImages


def test_boxes():
    masks = torch.zeros(2, 5, 7, dtype=torch.bool)
    masks[0, 1:3, 2:6] = True
    masks[1, 4, 0] = masks[1, 2, 1] = True
    assert boxes_of(masks).tolist() == [[1, 2, 2, 4], [2, 0, 3, 2]]


def test_shifts_go_around_the_edge():
    x = torch.rand(3, 2, 4, 5, generator=seeded())
    down, right = torch.tensor([0, 1, -2]), torch.tensor([0, -1, 3])
    for image, found, i, j in zip(x, shifted(x, down, right), down.tolist(), right.tolist()):
        assert torch.equal(found, image.roll((i, j), (1, 2)))


def test_the_search_asks_no_more_than_it_may():
    defense = Linear()
    x, y = images(defense)
    with counted(defense) as count:
        attack = PatchRandomSearch(queries=300)
        attack.perturb(defense, x, y, threat=Threat(radius=1e-3, budget={"queries": 25}), rng=seeded())
    assert count.defended == 25 * len(x)
    assert count.backward == 0


def test_an_image_that_is_turned_is_left_alone():
    defense = Linear()
    x, y = images(defense)
    with counted(defense) as count:
        PatchRandomSearch(queries=300).perturb(defense, x, y, threat=Threat(), rng=seeded())
    assert count.defended < 100 * len(x)


def test_the_search_comes_near_the_optimum():
    """Of a linear classifier on one mask: three quarters of the way that PGD, which is exact, goes."""
    defense = Linear(scale=0.02)
    x, y = images(defense)
    bound = PatchPGD(steps=80).perturb(defense, x, y, threat=one_quarter(), rng=seeded())
    found = PatchRandomSearch(queries=800).perturb(defense, x, y, threat=one_quarter(), rng=seeded())
    before, after, most = (margin(defense.logits(images_), y) for images_ in (x, found, bound))
    turned = after > 0
    assert bool((after <= most + 1e-9).all())
    assert bool((turned | ((after - before) >= 0.75 * (most - before))).all())


def test_the_search_finds_the_position():
    """Only one quarter of the image counts."""
    defense = Linear(scale=0.2)
    weight = defense.weight.view(2, 1, 6, 8)
    weight[:, :, :, :4] *= 0
    weight[:, :, 3:] *= 0
    defense.bias = -defense.weight.sum(1) / 2
    x, y = images(defense, count=30)
    changed = PatchRandomSearch(queries=200).perturb(defense, x, y, threat=Threat(quarters()), rng=seeded())
    turned = defense.logits(changed).argmax(1) != y
    where = (changed != x).any(1).any(0)
    assert float(turned.double().mean()) > 0.9
    assert bool(where[:3, 4:].any())
    assert not (changed != x)[turned][:, :, 3:].any()


# -- pasting ------------------------------------------------------------------------------------------------


def test_pieces_come_from_other_classes_and_lie_in_the_mask():
    data = TinyImages(size=8)
    attack = fitted(Paste(queries=1, donors=60), data)
    defense = Linear((1, 8, 8), dtype=torch.float32)
    x, y = data.test.x[:10], data.test.y[:10]
    mask = quarters((1, 8, 8))[:1]
    changed = attack.perturb(defense, x, y, threat=Threat(mask), rng=seeded())
    donors = data.train.x
    for image, before, label in zip(changed, x, y.tolist()):
        if torch.equal(image, before):
            continue
        same = (donors[:, :, mask[0]] == image[:, mask[0]]).flatten(1).all(1)
        assert data.train.y[same].tolist()
        assert (data.train.y[same] != label).all()


def test_whole_images_are_made_as_small_as_the_patch():
    donors = torch.rand(3, 2, 8, 8, generator=seeded())
    small = _reduced(donors, torch.tensor([2, 0, 4, 4]))
    assert torch.allclose(small[:, :, :4, :4].mean((2, 3)), donors.mean((2, 3)), atol=0.05)
    assert not small[:, :, 4:].any()
    assert not small[:, :, :, 4:].any()


def test_the_worst_of_more_patches_is_worse(network, digits):
    x, y = digits.test.x[:40], digits.test.y[:40]
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[0, 2:6, 2:6] = True
    few, many = (
        margin(
            network.logits(
                fitted(Paste(queries=queries), digits).perturb(
                    network, x, y, threat=Threat(mask), rng=seeded()
                )
            ),
            y,
        )
        for queries in (2, 30)
    )
    assert float(many.mean()) > float(few.mean())
    assert bool((many >= margin(network.logits(x), y) - 1e-4).all())


def test_what_cannot_be_pasted():
    defense = Linear()
    x, y = images(defense)
    with pytest.raises(UserError, match="call fit first"):
        Paste().perturb(defense, x, y, threat=Threat(), rng=seeded())
    with pytest.raises(Unsupported, match="has no labels"):
        fitted(Paste(), _Unlabelled())
    one = fitted(Paste(donors=1), TinyImages(size=8))
    data, other = TinyImages(size=8), Linear((1, 8, 8), dtype=torch.float32)
    with pytest.raises(Unsupported, match="of 1 donors none is of another class than"):
        one.perturb(other, data.test.x, data.test.y, threat=Threat(), rng=seeded())


class _Unlabelled(TinyImages):
    def make_split(self, split):
        return mfbench.Split(super().make_split(split).x)


# -- pools --------------------------------------------------------------------------------------------------


def pool_of(tmp_path, *attacked):
    for number, (x, y, changed) in enumerate(attacked):
        AdversarialPool.collect(x, y, changed).write(tmp_path / f"{number}.npz")
    attack = Pool(file=str(tmp_path))
    attack.build(DataSpec(shape=(1, 6, 8), train_count=1))
    return attack


def test_of_all_that_others_found_the_worst_for_this_defense(tmp_path):
    theirs, mine = Linear(seed=0), Linear(seed=0)
    x, y = images(mine)
    weak = PatchPGD(steps=1, step_size=0.01).perturb(theirs, x, y, threat=one_quarter(), rng=seeded())
    strong = PatchPGD().perturb(theirs, x, y, threat=one_quarter(), rng=seeded())
    attack = pool_of(tmp_path, (x, y, weak), (x, y, strong))
    changed = attack.perturb(mine, x.float().double(), y, threat=one_quarter(), rng=seeded())
    known = margin(mine.logits(changed), y)
    assert torch.allclose(known, margin(mine.logits(strong), y), atol=1e-5)


def test_a_pool_can_only_lower_a_rank(tmp_path):
    """Nothing in it is believed: on another defense its inputs are only what they are worth there."""
    theirs, mine = Linear(seed=0), Linear(seed=5)
    x, y = images(mine)
    x = x.float().double()
    found = PatchPGD().perturb(theirs, x, y, threat=Threat(), rng=seeded())
    attack = pool_of(tmp_path, (x, y, found))
    changed = attack.perturb(mine, x, y, threat=Threat(), rng=seeded())
    assert torch.allclose(changed, found, atol=1e-7)
    assert wrong(mine, changed, y) == wrong(mine, found, y)


def test_what_breaches_the_threat_or_is_of_other_images_is_left_out(tmp_path):
    defense = Linear()
    x, y = images(defense)
    x = x.float().double()
    beyond = 1 - x
    attack = pool_of(tmp_path, (x, y, beyond))
    assert torch.equal(attack.perturb(defense, x, y, threat=one_quarter(), rng=seeded()), x)
    other, labels = images(defense, seed=8)
    assert torch.equal(attack.perturb(defense, other, labels, threat=Threat(), rng=seeded()), other)


def test_a_pool_needs_a_file():
    with pytest.raises(UserError, match="name the `file`"):
        Pool().build(DataSpec(shape=(1, 6, 8), train_count=1))


def test_what_is_no_pool_is_refused_before_anything_runs(tmp_path):
    (tmp_path / "text.npz").write_text("text")
    for file in ("text.npz", "absent.npz"):
        with pytest.raises(UserError, match=f"{file}: not a pool"):
            mfbench.get("attack", "pool", file=str(tmp_path / file))


@pytest.mark.parametrize("name", ["patch_pgd", "paste", "ladder", "pool"])
def test_points_are_unsupported(name):
    with pytest.raises(Unsupported, match=f"{name} is for images"):
        mfbench.get("attack", name).build(Normal().spec())


class Noisy(Linear):
    """Its answers are those of the classifier and noise."""

    deterministic = False

    def defended_logits(self, x, *, rng=None):
        logits = self.logits(x)
        return logits + 0.5 * torch.randn(logits.shape, generator=rng, dtype=logits.dtype)


@pytest.mark.parametrize("make", [Paste, PatchRandomSearch])
def test_lucky_draws_of_a_random_defense_do_not_choose(make):
    """What is found by means of draws is worse for the defense, without its noise, than what single ones
    choose.
    """
    defense = Noisy(scale=0.05)
    x, y = images(defense, count=60)
    reached = []
    for draws in (1, 16):
        attack = make(queries=60, draws=draws)
        if isinstance(attack, Paste):
            attack.images, attack.labels = x.round(), y  # black and white: patches that matter
        changed = attack.perturb(defense, x, y, threat=one_quarter(), rng=seeded())
        reached.append(float(margin(defense.logits(changed), y).mean()))
    assert reached[1] > reached[0] + 0.02


@pytest.mark.parametrize("make", [Paste, PatchRandomSearch])
def test_a_defense_that_is_not_random_is_asked_once(make):
    defense = Linear()
    x, y = images(defense)
    attack = make(queries=10)
    if isinstance(attack, Paste):
        attack.images, attack.labels = x, y
    with counted(defense) as count:
        attack.perturb(defense, x, y, threat=Threat(radius=1e-3), rng=seeded())
    assert count.defended <= 11 * len(x)
