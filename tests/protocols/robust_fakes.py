"""Defenses and attacks whose every result is known, for the tests of the robustness protocols."""

from __future__ import annotations

import torch
from protocol_fakes import QualityClock, seeded

from mfbench.contracts import Attack, ClimbsLadder, Dataset, Defense, Rung, Split
from mfbench.protocols.patch_robustness import PatchRobustness

SIDE = 8


class Halves(Dataset):
    """Images 8 x 8: class 1 is bright on the right, class 0 on the left; some are faint, all labels right."""

    name = "halves"
    shape = (1, SIDE, SIDE)

    def __init__(self, count=60, labels=None, lift=0.0, *, seed=0):
        super().__init__(seed=seed)
        self.count, self.labels, self.lift = count, labels, lift

    def make_split(self, split):
        y = torch.arange(self.count) % 2
        strength = 0.2 + 0.8 * torch.rand(self.count, generator=seeded(len(split)))
        x = torch.zeros(self.count, *self.shape)
        for image, label, bright in zip(x, y.tolist(), strength.tolist()):
            image[:, :, 4 * label : 4 * label + 4] = bright
        y = y if self.labels is None else self.labels(y)
        return Split(x + self.lift, y, names={"classes": ("left", "right")})


class Linear(Defense):
    """Right half's sum minus left half's, as two logits."""

    def logits(self, x):
        score = x[..., 4:].flatten(1).sum(1) - x[..., :4].flatten(1).sum(1)
        return torch.stack([-score, score], dim=1)


class Best(Attack):
    """Within each mask the closed-form optimum against Linear; the mask where that is best."""

    who = "best"

    def perturb(self, defense, x, y, *, threat, rng):
        sign = (2 * y - 1).view(-1, 1, 1, 1).to(x)
        side = torch.where(torch.arange(SIDE) >= 4, 1.0, -1.0).to(x)
        goal = (-sign * side > 0).to(x).expand_as(x)
        if threat.radius is not None:
            goal = torch.minimum(torch.maximum(goal, x - threat.radius), x + threat.radius).clamp(0, 1)
        if threat.masks is None:
            return goal.clone()
        candidates = torch.where(threat.masks[:, None, None], goal, x)
        gains = torch.stack([(Linear().logits(c) * one_hot(y)).sum(1) for c in candidates])
        return candidates[gains.argmin(0), torch.arange(len(x))]


class Gradient(Attack):
    """Signs of the gradient of what `defended_logits` gives, a step of one half each; best iterate."""

    who = "gradient"

    def __init__(self, steps=4):
        self.steps = steps

    def perturb(self, defense, x, y, *, threat, rng):
        mask = torch.ones(SIDE, SIDE, dtype=torch.bool) if threat.masks is None else threat.masks[0]
        best, lowest, now = x, torch.full((len(x),), torch.inf), x
        for _ in range(min(self.steps, (threat.budget or {}).get("steps", self.steps)) + 1):
            at = now.detach().requires_grad_()
            with torch.enable_grad():
                lead = (defense.defended_logits(at, rng=rng) * (2 * one_hot(y) - 1)).sum(1)
            better = (lead < lowest).detach()
            best = torch.where(better[:, None, None, None], now, best)
            lowest = torch.where(better, lead.detach(), lowest)
            slope = torch.zeros_like(x)
            if lead.requires_grad:
                (slope,) = torch.autograd.grad(lead.sum(), at)
            now = torch.where(mask, (now - 0.5 * slope.sign()).clamp(0, 1), x)
            if threat.radius is not None:
                now = torch.minimum(torch.maximum(now, x - threat.radius), x + threat.radius)
        return best


class Free(Best):
    """The optimum, said to be found without gradients."""

    who = "free"
    gradient_free = True


class Nothing(Attack):
    """Changes nothing."""

    who = "nothing"

    def perturb(self, defense, x, y, *, threat, rng):
        return x.clone()


class Cascade(Attack, ClimbsLadder):
    """Attacks one after the other, each on what is left."""

    def __init__(self, *attacks):
        self.attacks = attacks

    def climb(self, defense, x, y, *, threat, rng):
        left = defense.defended_logits(x, rng=rng).argmax(1) == y
        rungs = []
        for attack in self.attacks:
            found = torch.where(
                left.view(-1, 1, 1, 1), attack.perturb(defense, x, y, threat=threat, rng=rng), x
            )
            turned = left & (defense.defended_logits(found, rng=rng).argmax(1) != y)
            spent = {"forward": 3.0} | ({} if getattr(attack, "gradient_free", False) else {"backward": 2.0})
            rungs.append(Rung(attack.who, found, left, turned, spent))
            left = left & ~turned
        return rungs


def one_hot(y):
    return torch.nn.functional.one_hot(y, 2).float()


def evaluate(defense, attacks=None, data=None, protocol=PatchRobustness, clock=None, **parameters):
    """The protocol on 60 images, attacked by Best unless said otherwise."""
    given = {"count": 60, "checked": 0, "steps": 4, "transfer": Best(), "probe": Gradient()}
    return protocol().evaluate(
        defense,
        data or Halves(),
        rng=seeded(),
        clock=clock or QualityClock(),
        attacks=[Best()] if attacks is None else list(attacks),
        **(given | parameters),
    )
