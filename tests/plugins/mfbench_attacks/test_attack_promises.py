"""What every attack promises: pixels outside of the mask, range, radius, seeds, strength."""

from __future__ import annotations

import pytest
import torch
from attack_fakes import Constant, Linear, Open, Plain, images, one_quarter, quarters, seeded, wrong
from mfbench_attacks.apgd import APGD
from mfbench_attacks.bpda import BPDA
from mfbench_attacks.eot import EOT
from mfbench_attacks.evasion import Evasion
from mfbench_attacks.joint_elbo import JointELBO
from mfbench_attacks.paste import Paste
from mfbench_attacks.patch_pgd import NesterovPatchPGD, PatchPGD
from mfbench_attacks.random_search import PatchRandomSearch
from mfbench_attacks.unrolled import Unrolled
from protocol_fakes import fitted

from mfbench import Threat, breaches
from mfbench.testing.data import TinyImages


def paste(**keywords):
    return fitted(Paste(donors=50, **keywords), TinyImages(size=8))


SMALL = {
    "patch_pgd": PatchPGD(steps=6, restarts=2, probe=2),
    "patch_pgd_nag": NesterovPatchPGD(steps=6, probe=2, loss="cross_entropy"),
    "bpda": BPDA(steps=6, trajectory=3, probe=2),
    "eot": EOT(steps=4, samples=2, probe=2),
    "unrolled": Unrolled(steps=4, unroll=3, probe=2),
    "joint_elbo": JointELBO(steps=4, probe=2),
    "evasion": Evasion(steps=4, probe=2),
    "apgd": APGD(steps=6, probe=2),
    "patch_random_search": PatchRandomSearch(queries=12),
    "paste": paste(queries=4),
}
GRADIENT = [name for name in SMALL if name not in ("patch_random_search", "paste")]
DETERMINISTIC = ("patch_pgd_nag", "bpda", "unrolled", "joint_elbo", "evasion", "apgd")


@pytest.fixture(params=SMALL)
def attack(request):
    return SMALL[request.param]


def setting(size=8):
    defense = Open((1, size, size), noise=0.0)
    return defense, *images(defense, count=6, shape=(1, size, size))


@pytest.mark.parametrize("radius", [None, 0.05])
@pytest.mark.parametrize("masked", ["none", "one", "four"])
def test_within_the_threat(attack, radius, masked):
    defense, x, y = setting()
    masks = {"none": None, "one": quarters((1, 8, 8))[2:3], "four": quarters((1, 8, 8))}[masked]
    threat = Threat(masks, radius)
    before = x.clone()
    changed = attack.perturb(defense, x, y, threat=threat, rng=seeded())
    assert torch.equal(x, before)
    assert changed.shape == x.shape
    assert changed.dtype == x.dtype
    assert not changed.requires_grad
    assert not breaches(x, changed, threat).any()
    assert not torch.equal(changed, x)


def test_the_same_seed_gives_the_same_images(attack):
    defense, x, y = setting()
    state = torch.get_rng_state()
    first, again = (attack.perturb(defense, x, y, threat=Threat(), rng=seeded(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_chunks_do_not_matter(name):
    attack = SMALL[name]
    defense, x, y = setting()
    whole = attack.perturb(defense, x, y, threat=Threat(quarters((1, 8, 8))), rng=seeded())
    before, attack.chunk = attack.chunk, 8
    parts = attack.perturb(defense, x, y, threat=Threat(quarters((1, 8, 8))), rng=seeded())
    attack.chunk = before
    assert torch.allclose(whole, parts, atol=1e-9)


def test_zero_gradients_do_not_stop_it(attack):
    class Blank(Constant, Open):
        pass

    defense = Blank((1, 8, 8))
    x, _ = images(defense, count=4, shape=(1, 8, 8))
    changed = attack.perturb(defense, x, torch.zeros(4, dtype=torch.int64), threat=Threat(), rng=seeded())
    assert changed.isfinite().all()
    assert not breaches(x, changed, Threat()).any()


def test_no_images_give_no_images(attack):
    defense, x, y = setting()
    assert attack.perturb(defense, x[:0], y[:0], threat=Threat(), rng=seeded()).shape == x[:0].shape


STRONG = {
    "patch_pgd": PatchPGD(steps=40),
    "patch_pgd_nag": NesterovPatchPGD(steps=40),
    "bpda": BPDA(steps=40),
    "eot": EOT(steps=40, samples=2),
    "apgd": APGD(steps=20),
    "patch_random_search": PatchRandomSearch(queries=600),
}


@pytest.mark.parametrize("name", STRONG)
@pytest.mark.parametrize("model", ["ridge", "network"])
def test_free_to_change_everything_it_turns_nearly_all(name, model, digits, request):
    """Issue 7: an attack that does not turn 95 % with the whole image at full range is broken."""
    defense = request.getfixturevalue(model)
    x, y = digits.test.x[:64], digits.test.y[:64]
    right = defense.logits(x).argmax(1) == y
    changed = STRONG[name].perturb(defense, x[right], y[right], threat=Threat(), rng=seeded())
    assert wrong(defense, changed, y[right]) >= 0.95


def test_the_patch_of_another_class_is_enough_where_it_covers_all(digits, network):
    attack = fitted(Paste(queries=20), digits)
    x, y = digits.test.x[:64], digits.test.y[:64]
    changed = attack.perturb(network, x, y, threat=Threat(), rng=seeded())
    assert wrong(network, changed, y) >= 0.95


@pytest.mark.parametrize("kind", [Unrolled, JointELBO, Evasion])
def test_so_do_the_attacks_that_need_to_know_more(kind):
    defense = Plain((1, 8, 8))
    x, y = images(defense, count=40, shape=(1, 8, 8))
    changed = kind(steps=40).perturb(defense, x, y, threat=Threat(), rng=seeded())
    assert wrong(defense, changed, y) >= 0.95


# -- the closed form ----------------------------------------------------------------------------------------


EXACT = {
    "patch_pgd": PatchPGD(steps=80),
    "cross_entropy": PatchPGD(steps=80, loss="cross_entropy"),
    "restarts": PatchPGD(steps=80, restarts=3),
    "patch_pgd_nag": NesterovPatchPGD(steps=80),
    "bpda": BPDA(steps=80, trajectory=2, stop=None),
    "eot": EOT(steps=80, stop=None),
    "unrolled": Unrolled(steps=80),
    "joint_elbo": JointELBO(steps=80, weights=(0.0,)),
    "evasion": Evasion(steps=80, weights=(0.0,)),
    "apgd": APGD(steps=40),
}


def optimum(defense, x, y, mask, radius=None):
    """Two classes: each pixel of the mask at the end to which the margin's weight points."""
    gap = defense.weight[1 - y] - defense.weight[y]
    low, high = torch.zeros_like(x), torch.ones_like(x)
    if radius is not None:
        low, high = (x - radius).clamp(min=0), (x + radius).clamp(max=1)
    best = torch.where(gap.view_as(x) > 0, high, low)
    return torch.where(mask, best, x)


@pytest.mark.parametrize("radius", [None, 0.3])
@pytest.mark.parametrize("name", EXACT)
def test_the_optimum_of_a_linear_classifier(name, radius):
    defense = Plain(scale=0.1)
    x, y = images(defense)
    threat = Threat(one_quarter().masks, radius)
    changed = EXACT[name].perturb(defense, x, y, threat=threat, rng=seeded())
    assert torch.equal(changed, optimum(defense, x, y, threat.masks[0], radius))


@pytest.mark.parametrize("attack", [PatchPGD(steps=80, probe=80), APGD(steps=40, probe=40)])
def test_the_best_mask_of_a_linear_classifier(attack):
    defense = Linear(scale=0.1)
    x, y = images(defense)
    masks = quarters()
    changed = attack.perturb(defense, x, y, threat=Threat(masks), rng=seeded())
    every = torch.stack([optimum(defense, x, y, mask) for mask in masks])
    gap = (defense.weight[1 - y] - defense.weight[y]).view_as(x)
    best = (every * gap).flatten(2).sum(2).argmax(0)
    assert torch.equal(changed, every[best, torch.arange(len(x))])
    assert len(best.unique()) > 1
