"""Points around a circle, and how probable a likelihood finds points that it has not seen."""

import math

import torch

import mfbench
from mfbench import measures
from mfbench.identity import derive_seed


class Ring(mfbench.Dataset):
    """(cos u, sin u) + noise z with u uniform, z ~ N(0, I); labelled by the half that u lies in."""

    shape = (2,)

    def __init__(self, count: int = 2000, noise: float = 0.1, *, seed: int = 0):
        super().__init__(seed=seed)
        self.count, self.noise = count, noise

    def make_split(self, split):
        rng = torch.Generator().manual_seed(derive_seed("ring", split, self.seed))
        u = 2 * math.pi * torch.rand(self.count, generator=rng)
        x = torch.stack([u.cos(), u.sin()], dim=1)
        x = x + self.noise * torch.randn(x.shape, generator=rng)
        return mfbench.Split(x, y=(u > math.pi).long(), names={"classes": ("upper", "lower")})


class HeldOutDensity(mfbench.EvaluationProtocol):
    """Mean log-density of test samples, in nats."""

    kind = "likelihood"
    metrics = (mfbench.Metric("log_density", "nats", primary=True),)
    workload = "scores 100 samples"

    def evaluate(self, method, data, *, rng, clock, count: int = 1000):
        x = data.test.x[:count]
        clock.measure(lambda: method.log_prob(x[:100], rng=rng))
        if clock.timing_only:
            return mfbench.Measurement()
        scores = method.log_prob(x, rng=rng).detach().double().cpu().numpy()
        mean = measures.student(scores)
        value = mfbench.Value("log_density", "", mean.value, len(scores), mean.low, mean.high)
        return mfbench.Measurement([value], scores={"test": scores})


@mfbench.hookimpl
def mfbench_register(registry):
    registry.dataset("ring", Ring, summary="points around a circle")
    registry.protocol("held_out_density", HeldOutDensity, summary="mean log-density of unseen samples")
