"""Is the attack broken, or the defense only seemingly robust? Checks that flag a row (Carlini et al. 2019).

Accuracy must not rise with iterations, radius or the patch's size; an attack without bounds must succeed; an
attack without gradients must not beat those with; logits must be logits, and have a gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest
from torch import Tensor

from mfbench.contracts import Attack, Certifies, Defense, Threat, Value
from mfbench.errors import Unsupported
from mfbench.protocols.draws import Streams
from mfbench.protocols.robust_answers import Answers, shares
from mfbench.protocols.robust_attacks import Campaign, attack_all, attack_name, parted, survival
from mfbench.protocols.robust_metrics import share_value

Array = NDArray[Any]

FLAG = "flag: "
"""How notes begin that a failed check leaves."""
ALPHA = 0.05
MUST_TURN = 0.95
LOOKED_AT = 16
"""Images by which logits are looked at."""


@dataclass(frozen=True)
class Findings:
    """Values, arrays for the figures, and notes, of which those that flag begin with FLAG."""

    values: Sequence[Value]
    arrays: Mapping[str, Array]
    notes: Sequence[str]


def rises(less: Array, more: Array) -> bool:
    """Whether accuracy is higher where the attacker may do more, by McNemar's exact test, one-sided.

    less, more: (n,) shares of right answers to the same images, rounded to right or wrong.
    """
    gained = int(((less < 0.5) & (more >= 0.5)).sum())
    lost = int(((less >= 0.5) & (more < 0.5)).sum())
    if gained <= lost:
        return False
    return float(binomtest(gained, gained + lost, 0.5, alternative="greater").pvalue) < ALPHA


def look_at_logits(defense: Defense, answers: Answers, x: Tensor) -> Iterator[str]:
    """What is wrong with the numbers themselves."""
    some = x[:LOOKED_AT]
    for call, found in (
        ("logits", answers.logits(some)),
        ("defended_logits", answers.defended_logits(some, "looked at")),
    ):
        if bool((found >= 0).all()) and bool(((found.sum(1) - 1).abs() < 1e-3).all()):
            yield f"{FLAG}{call} are probabilities, not logits: losses of attackers saturate"
    gradient = _gradient(defense, some)
    if gradient is None:
        yield f"{FLAG}logits are detached from the image: they must be differentiable"
    elif not bool(gradient.isfinite().all()):
        yield f"{FLAG}the gradient of logits is not finite"
    elif not bool(gradient.flatten(1).any(1).any()):
        yield f"{FLAG}the gradient of logits is 0 at every image looked at"
    pure = answers.purified(some, "looked at")
    low, high = float(pure.min()), float(pure.max())
    if low < -1e-6 or high > 1 + 1e-6:
        yield f"{FLAG}purified images lie in [{low:.3g}, {high:.3g}], not in [0, 1]"


def _gradient(defense: Defense, x: Tensor) -> Tensor | None:
    with torch.enable_grad():
        at = x.detach().clone().requires_grad_()
        logits = defense.logits(at)
        if not logits.requires_grad:
            return None
        (gradient,) = torch.autograd.grad(logits.square().sum(), at, allow_unused=True)
    return gradient


def look_at_randomness(defense: Defense, answers: Answers) -> Iterator[str]:
    """What a reader must know of a test-time optimiser or a random defense, and what it keeps quiet about."""
    said = getattr(defense, "deterministic", None)
    if answers.random:
        yield f"random at test time: {answers.draws} fresh draws an image"
        if said is True:
            yield f"{FLAG}it says that it is deterministic, and is not"
    if getattr(defense, "optimises", False):
        yield "optimises at test time"


def gradient_free_beats(attacks: Sequence[Attack], probe: Probe, threat: Threat) -> Iterator[str]:
    """Masked gradients: an attack without them turns more images than all that follow them together.

    Each is tried on all of the probe's images: in a cascade an attack meets what others have left it.
    """
    sighted, blind = parted(attacks)
    white_box = probe.left_by(sighted, threat, "with gradients")
    if white_box is None:
        return
    for number, attack in enumerate(blind):
        own = probe.left_by([attack], threat, f"without gradients, {number}")
        if own is not None and rises(own, white_box):
            (name,) = [attack_name(one) for one in getattr(attack, "attacks", [attack])]
            yield f"{FLAG}masked gradients: {name}, which follows none, turns more than all that do"


def broken_certificates(certified: Array, worst: Array) -> Iterator[str]:
    """A proof that an attack refutes."""
    broken = int((certified.astype(bool) & (worst < 1)).sum())
    if broken:
        yield f"{FLAG}{broken} certified images were turned: the certificate is wrong"


@dataclass(frozen=True)
class Probe:
    """The probing attack against one defense on some images, at changed threats."""

    attack: Attack
    answers: Answers
    x: Tensor
    y: Tensor
    streams: Streams

    def right(self, name: str, threat: Threat) -> Array:
        """(n,) shares of right answers."""
        campaign = attack_all([self.attack], self.answers.defense, self.x, self.y, threat, self.streams)
        if not campaign.attacks:
            raise Unsupported("; ".join(campaign.notes))
        (found,) = campaign.attacks
        return shares(self.answers.defended(found.x, name), self.y)

    def left_by(self, attacks: Sequence[Attack], threat: Threat, how: str) -> Array | None:
        """(n,) shares of right answers under the worst of these attacks; None where none can be tried.

        `how`: another one for every call, as answers go by the name of what is asked about.
        """
        campaign = attack_all(attacks, self.answers.defense, self.x, self.y, threat, self.streams)
        named = {one.name: f"{how}: {one.name}" for one in campaign.attacks}
        found = [
            replace(one, name=named[one.name], follows=named.get(one.follows, "")) for one in campaign.attacks
        ]
        right = survival(Campaign(found, ()), self.answers, self.clean, self.y)
        return np.min(list(right.values()), axis=0) if right else None

    @property
    def clean(self) -> Array:
        """(n,) shares of right answers to the images as they are."""
        return shares(self.answers.defended(self.x, "clean"), self.y)

    def run(self, threat: Threat, steps: int, smaller: Threat) -> Findings:
        """Accuracy over iterations, at half the radius (of any value: a radius of one half), and on the
        smaller patch, each against the whole threat.
        """
        counts = sorted({max(1, steps // 16), max(1, steps // 4), steps})
        found = {count: self.right(f"{count} steps", _with_steps(threat, count)) for count in counts}
        whole = found[steps]
        half = replace(_with_steps(threat, steps), radius=0.5 if threat.radius is None else threat.radius / 2)
        less = {
            **{f"{count} steps": found[count] for count in counts[:-1]},
            "half the radius": self.right("half the radius", half),
        }
        if smaller.masks is not None:
            less["a smaller patch"] = self.right("a smaller patch", _with_steps(smaller, steps))
        notes = [
            f"{FLAG}more accurate under the whole threat than under {name}: the attack is weak, or misled"
            for name, right in less.items()
            if rises(right, whole)
        ]
        parts = {**less, f"{steps} steps": whole}
        values = [share_value("probe_accuracy", name, right) for name, right in parts.items()]
        arrays = {
            "curve_steps": np.array([0, *counts]),
            "curve_accuracy": np.array(
                [
                    self.clean.mean(),
                    *(found[c].mean() for c in counts),
                ]
            ),
        }
        return Findings(values, arrays, notes)


def without_bounds(attacks: Sequence[Attack], probe: Probe, steps: Mapping[str, int]) -> Findings:
    """Every pixel free, at any value: nearly all images must be turned, or something is broken.

    By attacks that follow gradients, where there are any: without them an image of another class is found.
    """
    threat = Threat(budget=dict(steps))
    sighted, blind = parted(attacks)
    left = probe.left_by(sighted, threat, "unbounded")
    if left is None:
        left = probe.left_by(blind, threat, "unbounded")
    if left is None:
        return Findings((), {}, ())
    success = share_value("whole_image_success", "", 1 - left)
    low = success.value < MUST_TURN
    said = (
        f"{FLAG}with every pixel free only {success.value:.0%} of the images are turned: gradients are masked"
    )
    return Findings([success], {}, [f"{said}, or the answer ignores the image"] if low else [])


def certified(defense: Defense, x: Tensor, y: Tensor, threat: Threat) -> Array | None:
    """(n,) 0 or 1; None for defenses without a certificate."""
    if not isinstance(defense, Certifies):
        return None
    found: Array = defense.certify(x, y, threat).double().cpu().numpy()
    return found


def _with_steps(threat: Threat, steps: int) -> Threat:
    return replace(threat, budget={**(threat.budget or {}), "steps": steps})
