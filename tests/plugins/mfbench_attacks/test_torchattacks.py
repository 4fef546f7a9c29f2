"""The library's attacks, confined: where the package is; and what is said where it is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attack_fakes import Linear, images, quarters, seeded, wrong
from mfbench_attacks import library
from mfbench_attacks.library import TorchAttacks

from mfbench import DataSpec, Threat, Unsupported, UserError, breaches

installed = pytest.mark.skipif(
    library.find_spec("torchattacks") is None, reason="torchattacks (extra `attacks`) is not installed"
)
WHOLE = ["FGSM", "PGD", "MIFGSM", "NIFGSM", "VMIFGSM", "EOTPGD", "PGDL2", "CW", "TPGD", "Jitter", "SPSA"]
IN_PARTS = ["APGD", "APGDT", "Square", "DeepFool", "OnePixel", "Pixle"]


def linear(classes=5):
    defense = Linear((1, 8, 8), classes=classes, dtype=torch.float32, scale=0.2)
    return defense, *images(defense, count=4, shape=(1, 8, 8))


@installed
@pytest.mark.parametrize("name", [*WHOLE, *IN_PARTS])
def test_any_of_them_keeps_to_the_threat(name):
    defense, x, y = linear()
    attack = TorchAttacks(attack=name, steps=3, queries=20)
    threat = Threat(quarters((1, 8, 8))[1:3])
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    changed = attack.perturb(defense, x, y, threat=threat, rng=seeded())
    assert not breaches(x, changed, threat).any()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(changed, attack.perturb(defense, x, y, threat=threat, rng=seeded()))


@installed
@pytest.mark.parametrize("name", ["PGD", "APGD", "MIFGSM"])
def test_free_to_change_everything_they_turn_nearly_all(name):
    defense, x, y = linear()
    changed = TorchAttacks(attack=name, steps=20).perturb(defense, x, y, threat=Threat(), rng=seeded())
    assert wrong(defense, changed, y) >= 0.95


@installed
def test_nan_is_replaced():
    import torchattacks

    class Broken(torchattacks.PGD):
        def forward(self, images, labels):
            return images * float("nan")

    defense, x, y = linear()
    before = torchattacks.PGD
    torchattacks.PGD = Broken
    try:
        changed = TorchAttacks().perturb(defense, x, y, threat=Threat(), rng=seeded())
    finally:
        torchattacks.PGD = before
    assert torch.equal(changed, x)


@installed
@pytest.mark.parametrize("name", ["PDG", "pgd", "VANILA", "LGV", "MultiAttack"])
def test_an_unknown_name(name):
    with pytest.raises(UserError, match=f"torchattacks: attack = '{name}': one of GN, FGSM, .*PGD"):
        TorchAttacks(attack=name)


def test_without_the_package(monkeypatch):
    monkeypatch.setattr(library, "find_spec", lambda name: None)
    attack = TorchAttacks(attack="PGD")
    said = r"need that package: pip install 'mfbench\[attacks\]'"
    with pytest.raises(Unsupported, match=said):
        attack.build(DataSpec(shape=(1, 8, 8), train_count=1))
    defense, x, y = linear()
    with pytest.raises(Unsupported, match=said):
        attack.perturb(defense, x, y, threat=Threat(), rng=seeded())
