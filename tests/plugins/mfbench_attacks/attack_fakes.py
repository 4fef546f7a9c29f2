"""Defenses whose optimum is known, defenses that help who attacks them, and defenses that are broken."""

from __future__ import annotations

import torch

from mfbench import Defense, HasELBO, HasEvidence, HasSurrogate, Threat, Unrollable


class Linear(Defense):
    """logits = W x + b, with weights drawn once."""

    def __init__(self, shape=(1, 6, 8), classes=2, seed=0, scale=1.0, dtype=torch.float64):
        rng = torch.Generator().manual_seed(seed)
        size = torch.Size(shape).numel()
        self.weight = scale * torch.randn(classes, size, generator=rng, dtype=dtype)
        self.bias = -self.weight.sum(dim=1) / 2  # undecided in the middle of the cube

    def logits(self, x):
        return x.flatten(1) @ self.weight.T + self.bias


class Ridge(Linear):
    """One-hot ridge regression on a data set's training images, on logits of a usual size."""

    def __init__(self, data, dtype=torch.float32):
        x, y = data.train.x.flatten(1).double(), data.train.y
        targets = torch.nn.functional.one_hot(y).double()
        centre = x.mean(0)
        gram = (x - centre).T @ (x - centre) / len(x) + 0.01 * torch.eye(x.shape[1], dtype=torch.float64)
        weight = torch.linalg.solve(gram, (x - centre).T @ (targets - targets.mean(0)) / len(x)).T
        self.weight = (10 * weight).to(dtype)
        self.bias = (10 * targets.mean(0)).to(dtype) - self.weight @ centre.to(dtype)


class Open(Linear, HasELBO, HasEvidence, Unrollable):
    """Purifies by signs of the gradient of a Gaussian log-density, and shows everything that it does.

    ELBO = -|x - centre|^2 / 2; evidence: the squared distance, as a score and as a map.
    """

    purification_steps = 12

    def __init__(self, *args, size=0.02, noise=0.0, **keywords):
        super().__init__(*args, **keywords)
        self.size, self.noise = size, noise
        self.centre = 0.5

    def elbo(self, x, *, rng=None):
        return -(x - self.centre).square().flatten(1).sum(1) / 2

    def evidence(self, x, *, rng=None):
        error = (x - self.centre).square().sum(1)
        return {"error": error, "score": error.flatten(1).sum(1)}

    def purification_start(self, x, *, rng=None):
        return x, torch.zeros(len(x), dtype=torch.bool)

    def purification_step(self, state, *, squash=None, stride=1.0, rng=None):
        current, flag = state
        keep = torch.is_grad_enabled()
        with torch.enable_grad():
            free = current if current.requires_grad else current.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.elbo(free).sum(), free, create_graph=keep)
        if self.noise:
            gradient = gradient + self.noise * torch.randn(
                gradient.shape, generator=rng, dtype=gradient.dtype, device=gradient.device
            )
        direction = gradient.sign() if squash is None else squash(gradient)
        return (current + stride * self.size * direction).clamp(0, 1), flag

    def purify(self, x, *, rng=None):
        state = self.purification_start(x.detach(), rng=rng)
        with torch.no_grad():
            for _ in range(self.purification_steps):
                state = self.purification_step(state, rng=rng)
        return state[0]


class Plain(Open):
    """Purifies nothing, and shows it."""

    purification_steps = 0


class Projecting(Linear, Unrollable):
    """One step removes what the image has of one direction d, on which the classifier relies most.

    Purified: x - d d.(x - 1/2), so the defended margin is linear with the weights w - d d.w.
    """

    purification_steps = 1

    def __init__(self, *args, **keywords):
        super().__init__(*args, **keywords)
        rng = torch.Generator().manual_seed(17)
        d = torch.randn(self.weight.shape[1], generator=rng, dtype=self.weight.dtype)
        self.direction = d / d.norm()
        self.weight = self.weight + 40 * self.weight.norm() * torch.outer(torch.tensor([1.0, -1.0]).to(d), d)
        self.bias = -self.weight.sum(1) / 2

    def purification_start(self, x, *, rng=None):
        return (x,)

    def purification_step(self, state, *, squash=None, stride=1.0, rng=None):
        along = (state[0].flatten(1) - 0.5) @ self.direction
        return (state[0] - (along[:, None] * self.direction).view_as(state[0]),)

    def purify(self, x, *, rng=None):
        return self.purification_step((x.detach(),))[0]


class Voting(Linear, HasSurrogate):
    """Answers one-hot, and helps with the logits behind it."""

    def defended_logits(self, x, *, rng=None):
        votes = self.logits(x).argmax(1)
        return torch.nn.functional.one_hot(votes, len(self.weight)).to(x)

    def surrogate_logits(self, x, *, rng=None):
        return self.logits(x)


class Detaching(Linear):
    def logits(self, x):
        return super().logits(x.detach())


class Noisy(Linear):
    noise = 0.2

    def purify(self, x, *, rng=None):
        return x + self.noise * torch.randn(x.shape, generator=rng, dtype=x.dtype, device=x.device)


class Rounding(Linear):
    """No gradient comes through."""

    def purify(self, x, *, rng=None):
        return (8 * x.detach()).round() / 8


class Nan(Linear):
    def logits(self, x):
        return super().logits(x) * float("nan")


class NanGradient(Linear):
    """Finite answers whose gradient is not: d sqrt(u) / du at u = 0."""

    def logits(self, x):
        return super().logits(x) + (x - x.detach()).flatten(1).sum(1, keepdim=True).square().sqrt()


class Constant(Linear):
    def logits(self, x):
        return 0 * super().logits(x)


class OutOfRange(Linear):
    def purify(self, x, *, rng=None):
        return 2 * x - 1


class Probabilities(Linear):
    def logits(self, x):
        return super().logits(x).softmax(1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(defense, count=16, shape=(1, 6, 8), seed=1):
    """Images within the cube, and the labels that the classifier gives them."""
    x = 0.3 + 0.4 * torch.rand(count, *shape, generator=seeded(seed), dtype=defense.weight.dtype)
    return x, (x.flatten(1) @ defense.weight.T + defense.bias).argmax(1)


def quarters(shape=(1, 6, 8)):
    """Four masks that do not overlap."""
    masks = torch.zeros(4, *shape[1:], dtype=torch.bool)
    rows, columns = shape[1] // 2, shape[2] // 2
    for i in range(4):
        top, left = i // 2 * rows, i % 2 * columns
        masks[i, top : top + rows, left : left + columns] = True
    return masks


def one_quarter():
    return Threat(masks=quarters()[1:2])


def wrong(defense, x, y, rng=None):
    """Share of images whose defended answer is wrong."""
    return float((defense.defended_logits(x, rng=rng or seeded(9)).argmax(1) != y).double().mean())
