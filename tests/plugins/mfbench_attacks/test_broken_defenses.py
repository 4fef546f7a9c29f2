"""Defenses that only look strong are caught, or flagged; and input that is none is refused in one line."""

from __future__ import annotations

import re

import pytest
import torch
from attack_fakes import (
    Detaching,
    Linear,
    Nan,
    NanGradient,
    Noisy,
    OutOfRange,
    Probabilities,
    Rounding,
    images,
    quarters,
    seeded,
    wrong,
)
from mfbench_attacks.apgd import APGD
from mfbench_attacks.audit import audit
from mfbench_attacks.bpda import BPDA
from mfbench_attacks.eot import EOT
from mfbench_attacks.evasion import Evasion
from mfbench_attacks.joint_elbo import JointELBO
from mfbench_attacks.ladder import Ladder
from mfbench_attacks.paste import Paste
from mfbench_attacks.patch_pgd import NesterovPatchPGD, PatchPGD
from mfbench_attacks.pool import Pool
from mfbench_attacks.random_search import PatchRandomSearch
from mfbench_attacks.unrolled import Unrolled

from mfbench import ContractError, Defense, Threat, UserError


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Detaching, "logits detach gradients"),
        (NanGradient, "gradients are not finite for 16 of 16 images"),
        (Noisy, "the defended answer is random"),
        (Rounding, "the defended answer detaches gradients"),
        (OutOfRange, r"purified images lie in \[-0.4, 0.4\], not in \[0, 1\]"),
        (Probabilities, "logits are probabilities"),
    ],
)
def test_what_masks_gradients_is_said(kind, said):
    defense = kind()
    x, y = images(defense)
    x[0, 0, 0, :2] = torch.tensor([0.3, 0.7])
    notes = audit(defense, x, y, seeded())
    assert any(re.search(said, note) for note in notes), notes
    (rung,) = Ladder(attacks=[PatchPGD(steps=2)]).climb(defense, x, y, threat=Threat(), rng=seeded())
    assert rung.notes == notes


def test_a_plain_defense_hides_nothing():
    defense = Linear()
    assert audit(defense, *images(defense), seeded()) == []


def test_saturated_logits_are_said_to_have_no_gradient():
    class Saturated(Linear):
        def logits(self, x):
            return (1e4 * super().logits(x)).clamp(-5, 5)

    defense = Saturated()
    assert any("gradients are zero" in note for note in audit(defense, *images(defense), seeded()))


@pytest.mark.parametrize("attack", [PatchPGD(steps=40), APGD(steps=40)])
def test_probabilities_are_attacked_on_their_logarithms(attack):
    """A softmax so sure that its gradient vanishes in float32."""
    defense = Probabilities(scale=20.0, dtype=torch.float32)
    x, y = images(defense, count=40)
    changed = attack.perturb(defense, x, y, threat=Threat(radius=0.3), rng=seeded())
    assert wrong(defense, changed, y) >= 0.95


def test_a_detached_gradient_stops_white_box_attacks_only():
    """Which is how it is found out: black boxes turn what gradients do not."""
    defense = Detaching(scale=0.3)
    x, y = images(defense, count=40)
    white = PatchPGD(steps=3).perturb(defense, x, y, threat=Threat(), rng=seeded())
    black = PatchRandomSearch(queries=400).perturb(defense, x, y, threat=Threat(), rng=seeded())
    assert wrong(defense, white, y) < wrong(defense, black, y)
    assert wrong(defense, black, y) >= 0.95


@pytest.mark.parametrize(
    "attack", [PatchPGD(steps=3), EOT(steps=3), APGD(steps=3), NesterovPatchPGD(steps=3)]
)
def test_gradients_that_are_not_finite_spread_nowhere(attack):
    defense = NanGradient()
    x, y = images(defense)
    changed = attack.perturb(defense, x, y, threat=Threat(quarters()), rng=seeded())
    assert changed.isfinite().all()


@pytest.mark.parametrize(
    "attack", [PatchPGD(steps=3), PatchRandomSearch(queries=3), Ladder(attacks=[PatchPGD()])]
)
def test_answers_that_are_nan_are_caught(attack):
    defense = Nan()
    x, y = images(Linear())
    with pytest.raises(ContractError, match=r"Nan.logits returned NaN for 8 of 8 images"):
        attack.perturb(defense, x, y, threat=Threat(), rng=seeded())


def test_nan_in_the_defended_answer_is_caught_when_it_comes():
    class Silent(Linear):
        def defended_logits(self, x, *, rng=None):
            logits = self.logits(x)
            return torch.where(x.flatten(1).amax(1, keepdim=True) < 1, logits, float("nan"))

    defense = Silent()
    x, y = images(defense)
    with pytest.raises(ContractError, match=r"Silent\.defended_logits returned NaN"):
        EOT(steps=60, stop=None).perturb(defense, x, y, threat=Threat(), rng=seeded())


def test_answers_of_another_shape_are_caught():
    class Flat(Defense):
        def logits(self, x):
            return x.flatten(1).sum(1)

    with pytest.raises(ContractError, match=r"Flat.logits must return logits \(3, classes\), not \(3,\)"):
        PatchPGD().perturb(
            Flat(), torch.zeros(3, 1, 4, 4), torch.zeros(3, dtype=torch.int64), threat=Threat(), rng=seeded()
        )


# -- bad input ----------------------------------------------------------------------------------------------


def bad(**changes):
    defense = Linear()
    x, y = images(defense)
    given = {"x": x, "y": y, "threat": Threat()}
    return defense, {**given, **{name: change(given[name]) for name, change in changes.items()}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"x": lambda x: x - 0.5}, r"images in \[-0.\d+, 0.\d+\]: within \[0, 1\]"),
        ({"x": lambda x: 255 * x}, r"images in .*: within \[0, 1\]"),
        ({"x": lambda x: torch.where(x > 0.6, float("nan"), x)}, "without NaN"),
        ({"x": lambda x: x.flatten(1)}, r"shape \(16, 48\).*\(n, channels, height, width\)"),
        ({"x": lambda x: (255 * x).to(torch.uint8)}, "floating-point"),
        ({"y": lambda y: y + 2}, r"labels: 16 of 16 out of range, \d for instance; the defense knows 0 .. 1"),
        ({"y": lambda y: y - 1}, "out of range, -1 for instance"),
        ({"y": lambda y: y[:3]}, r"labels of shape \(3,\)"),
        ({"y": lambda y: y.float()}, "int64"),
        ({"threat": lambda _: Threat(quarters()[0])}, r"masks of shape \(6, 8\).*boolean, \(m, 6, 8\)"),
        ({"threat": lambda _: Threat(quarters((1, 8, 8)))}, r"masks of shape \(4, 8, 8\)"),
        ({"threat": lambda _: Threat(quarters().float())}, "boolean"),
        ({"threat": lambda _: Threat(quarters()[:0])}, "m at least 1"),
        ({"threat": lambda _: Threat(quarters() & False)}, "4 of 4 masks are empty"),
        ({"threat": lambda _: Threat(radius=0.0)}, "radius = 0: above 0"),
        (
            {"threat": lambda _: Threat(budget={"step": 3})},
            "budget of 'step': one of steps, restarts, queries",
        ),
        ({"threat": lambda _: Threat(budget={"steps": 0})}, "a budget of 0 steps: at least 1"),
    ],
)
@pytest.mark.parametrize(
    "attack", [PatchPGD(steps=2), PatchRandomSearch(queries=2), Ladder(attacks=[PatchPGD()])]
)
def test_input_that_is_none(attack, changes, said):
    defense, given = bad(**changes)
    x, y = given.pop("x"), given.pop("y")
    with pytest.raises(UserError, match=said) as told:
        attack.perturb(defense, x, y, rng=seeded(), **given)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PatchPGD(steps=0), "patch_pgd: steps = 0: at least 1"),
        (lambda: PatchPGD(step_size=0.0), "patch_pgd: step_size = 0: above 0"),
        (lambda: PatchPGD(restarts=0), "patch_pgd: restarts = 0"),
        (lambda: NesterovPatchPGD(momentum=-1.0), "patch_pgd_nag: momentum = -1: at least 0"),
        (lambda: BPDA(trajectory=-1), "bpda: trajectory = -1"),
        (lambda: EOT(samples=0), "eot: samples = 0: at least 1"),
        (lambda: Unrolled(softness=0.0), "unrolled: softness = 0: above 0"),
        (lambda: JointELBO(weights=()), "joint_elbo: number_of_weights = 0"),
        (lambda: Evasion(weights=(-1.0,)), "evasion: weight = -1: at least 0"),
        (lambda: APGD(targets=0), "apgd: targets = 0"),
        (lambda: PatchRandomSearch(queries=0), "patch_random_search: queries = 0"),
        (lambda: Paste(donors=0), "paste: donors = 0"),
        (lambda: Ladder(attacks=[]), "ladder: number_of_attacks = 0"),
        (lambda: Pool(chunk=0), "pool: chunk = 0"),
    ],
)
def test_parameters_that_cannot_be(make, said):
    with pytest.raises(UserError, match=said):
        make()
