"""What the tests of flows share: networks away from their start, in float64, and autograd's Jacobian."""

from __future__ import annotations

import torch
from mfbench_flows.actnorm import ActNorm
from mfbench_flows.convolution import InvertibleConvolution
from mfbench_flows.glow_steps import GlowSteps
from mfbench_flows.randomness import weights_from

from mfbench import Dataset, Split


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


@torch.no_grad()
def perturbed(make, seed=0, scale=0.3):
    """What `make` makes, in float64, no parameter where it starts: zero-initialised layers are active.

    The triangles of 1x1 convolutions change less, the more channels there are: their condition number would
    grow with the channels' number otherwise, which no training does.
    """
    with weights_from(seed):
        module = make().double()
    rng = seeded(seed + 1)
    for numbers in step_by_step(module):
        noise = scale * torch.randn(numbers.shape, generator=rng, dtype=numbers.dtype)
        numbers += noise / len(numbers) ** 0.5 if numbers.ndim == 2 else noise
    return module.requires_grad_(False)


def step_by_step(module):
    """The parameters, those that `GlowSteps` keeps together one step at a time."""
    if isinstance(module, GlowSteps):
        for i, coupling in enumerate(module.couplings):
            for name in ("shift", "log_scale", "lower", "upper", "log_diagonal"):
                yield getattr(module, name)[i]
            yield from coupling.parameters()
        return
    yield from module.parameters(recurse=False)
    for child in module.children():
        yield from step_by_step(child)


def parts_of(steps):
    """[(ActNorm, InvertibleConvolution, AffineCoupling), ...] with the numbers of `GlowSteps`."""
    count, channels = steps.shift.shape
    parts = []
    for i in range(count):
        actnorm, convolution = ActNorm(channels).double(), InvertibleConvolution(channels).double()
        actnorm.load_state_dict(
            {name: getattr(steps, name)[i][:, None, None] for name in ("shift", "log_scale")}
        )
        convolution.load_state_dict({name: getattr(steps, name)[i] for name in convolution.state_dict()})
        parts.append((actnorm, convolution, steps.couplings[i]))
    return parts


def jacobian_log_det(function, x):
    """log |det| of the Jacobian of `function`, one image (c, h, w) at a time, by autograd: (n,)."""
    log_dets = []
    for row in x:
        matrix = torch.autograd.functional.jacobian(lambda v: function(v[None])[0].flatten(), row)
        log_dets.append(torch.linalg.slogdet(matrix.reshape(x[0].numel(), -1)).logabsdet)
    return torch.stack(log_dets)


def silent(done, total):
    pass


def fitted(method, data, seed=0):
    method.build(data.spec())
    method.fit(data.without_test(), rng=seeded(seed), progress=silent)
    return method


class Stripes(Dataset):
    """8-bit grey or colour images of rows or columns of random brightness; `noise`: uniform noise instead."""

    def __init__(self, shape=(1, 8, 8), noise=False, *, seed=0):
        super().__init__(seed=seed)
        self.shape, self.noise, self.name = shape, noise, "noise" if noise else "stripes"

    def make_split(self, split):
        rng = seeded(["train", "val", "test"].index(split) + 10 * self.noise)
        count = {"train": 256, "val": 64, "test": 64}[split]
        if self.noise:
            x = torch.rand(count, *self.shape, generator=rng)
        else:
            rows = 0.2 + 0.6 * torch.rand(count, 1, self.shape[1], 1, generator=rng)
            x = (rows + 0.02 * torch.randn(count, *self.shape, generator=rng)).clamp(0, 1)
        return Split((x * 255).round() / 255)
