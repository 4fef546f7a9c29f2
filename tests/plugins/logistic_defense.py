"""Logistic regression behind noise and rounding; one gradient step against it (Goodfellow et al. 2015)."""

import torch
from torch.nn.functional import cross_entropy, linear

import mfbench


class LogisticRegression(mfbench.Defense):
    """Full-batch gradient descent on the cross-entropy; purified by noise and rounding to 1 / `levels`."""

    def __init__(self, iterations: int = 300, rate: float = 0.5, levels: int = 8, noise: float = 0.05):
        self.iterations, self.rate, self.levels, self.noise = iterations, rate, levels, noise

    def build(self, spec):
        size = torch.Size(spec.shape).numel()
        self.weight = torch.zeros(spec.classes, size, device=spec.device, dtype=spec.dtype)

    def fit(self, data, *, rng, progress):
        x, y, weight = data.train.x.flatten(1), data.train.y, self.weight.clone().requires_grad_()
        for done in range(self.iterations):
            (gradient,) = torch.autograd.grad(cross_entropy(linear(x - 0.5, weight), y), weight)
            weight = (weight - self.rate * gradient).detach().requires_grad_()
            progress(done + 1, self.iterations)
        self.weight = weight.detach()

    def logits(self, x):
        return linear(x.flatten(1) - 0.5, self.weight)

    def purify(self, x, *, rng=None):
        noisy = x + self.noise * torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)
        return ((noisy * self.levels).round() / self.levels).clamp(0, 1)

    def state_dict(self):
        return {"weight": self.weight}

    def load_state_dict(self, state):
        self.weight = state["weight"]


class MaskedGradient(mfbench.Attack):
    """One step along the sign of the undefended loss's gradient, inside the mask where it is largest."""

    def perturb(self, defense, x, y, *, threat, rng):
        free = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(cross_entropy(defense.logits(free), y, reduction="sum"), free)
        moved = (x + (threat.radius or 1.0) * gradient.sign()).clamp(0, 1)
        if threat.masks is None:
            return moved
        strength = torch.einsum("nchw,mhw->nm", gradient.abs(), threat.masks.to(x))
        return torch.where(threat.masks[strength.argmax(1)][:, None], moved, x)


@mfbench.hookimpl
def mfbench_register(registry):
    registry.defense(
        "logistic_regression", LogisticRegression, summary="linear classifier, noise and rounding"
    )
    registry.attack("masked_gradient", MaskedGradient, summary="one masked gradient step")
