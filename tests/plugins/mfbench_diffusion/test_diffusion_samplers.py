"""What every sampler owes its caller, whatever its accuracy."""

from __future__ import annotations

import math

import pytest
import torch
from diffusion_fakes import mixture, noise, seeded
from mfbench_diffusion.ancestral import DDPMSampler
from mfbench_diffusion.ddim import DDIM
from mfbench_diffusion.difference import RungeKutta4DDPM, RungeKutta4Difference
from mfbench_diffusion.dpmpp import DPMSolverPP2M
from mfbench_diffusion.heun import Heun
from mfbench_diffusion.oracle import Oracle
from mfbench_diffusion.prk import PseudoRungeKutta
from mfbench_diffusion.rk4 import RungeKutta4
from mfbench_diffusion.unipc import UniPC

from mfbench import UserError
from mfbench.protocols.counting import CountingPredictor
from mfbench.schedules import LinearSchedule

ON_GRIDS = [
    made(grid)
    for made in (DDIM, Heun, RungeKutta4, PseudoRungeKutta, DPMSolverPP2M, UniPC)
    for grid in ("t", "asinh")
]
DETERMINISTIC = [*ON_GRIDS, RungeKutta4Difference(), Oracle()]
SAMPLERS = [
    *DETERMINISTIC,
    DDPMSampler(),
    DDPMSampler("beta_tilde"),
    RungeKutta4DDPM(),
    RungeKutta4DDPM("none"),
]


def label(sampler):
    return "-".join([type(sampler).__name__, *map(str, vars(sampler).values())])


every = pytest.mark.parametrize("sampler", SAMPLERS, ids=label)
deterministic = pytest.mark.parametrize("sampler", DETERMINISTIC, ids=label)


@pytest.fixture(scope="module")
def predictor():
    return mixture().noise_predictor(100)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_dtype_and_no_graph(sampler, predictor, dtype):
    start = noise(7, 2, dtype=dtype).requires_grad_()
    before = start.detach().clone()
    sampled = sampler.sample(predictor, start, step=20, rng=seeded())
    assert sampled.shape == (7, 2)
    assert sampled.dtype == dtype
    assert torch.isfinite(sampled).all()
    assert not sampled.requires_grad
    assert torch.equal(start.detach(), before)


@every
def test_same_seed_same_samples(sampler, predictor):
    one, two = (sampler.sample(predictor, noise(5, 2), step=7, rng=seeded(3)) for _ in range(2))
    assert torch.equal(one, two)


@deterministic
def test_needs_no_generator_and_no_company(sampler, predictor):
    start = noise(6, 2)
    together = sampler.sample(predictor, start, step=10)
    alone = torch.cat([sampler.sample(predictor, x[None], step=10) for x in start])
    assert (together - alone).abs().max() < 1e-7


@every
@pytest.mark.parametrize("step", [2.5, 7, 30, 1000])
def test_evaluations(sampler, predictor, step):
    counter = CountingPredictor(predictor)
    sampler.sample(counter, noise(3, 2), step=step, rng=seeded())
    if sampler.evaluations_per_step is None:
        assert counter.rows > 3 * 50
    else:
        assert counter.rows == 3 * math.ceil(100 / step) * sampler.evaluations_per_step


@every
def test_samples_the_mixture(sampler, predictor):
    """At h = 1 nearly every sample lies within four standard deviations of a mode."""
    if isinstance(sampler, RungeKutta4DDPM) and sampler.noise == "none":
        pytest.skip("without its noise it drifts along the mean and samples nothing")
    data = mixture()
    sampled = sampler.sample(predictor, noise(200, 2), step=1, rng=seeded(1))
    nearest = torch.cdist(sampled, torch.from_numpy(data.means)).min(1).values
    assert (nearest < 4 * data.scale).float().mean() > 0.97


@every
def test_images(sampler):
    class Images:
        schedule = LinearSchedule(100)

        def __call__(self, x, t):
            return (1 - self.schedule.alpha_bar(t)).sqrt()[:, None, None, None] * x

    start = torch.randn(4, 3, 8, 8, generator=seeded())
    sampled = sampler.sample(Images(), start, step=25, rng=seeded())
    assert sampled.shape == start.shape


def test_deterministic_samplers_say_so():
    assert all(sampler.deterministic for sampler in DETERMINISTIC)
    assert not any(made.deterministic for made in (DDPMSampler, RungeKutta4DDPM))


@pytest.mark.parametrize("sampler", [DDPMSampler(), RungeKutta4DDPM()], ids=label)
def test_what_draws_needs_a_generator(sampler, predictor):
    with pytest.raises(UserError, match="rng"):
        sampler.sample(predictor, noise(2, 2), step=10)


def test_the_oracle_ignores_the_step(predictor):
    start = noise(3, 2)
    assert torch.equal(*(Oracle().sample(predictor, start, step=step) for step in (1, 50)))


def test_the_oracle_computes_in_double_precision(predictor):
    """Of float32 samples only start and result are rounded."""
    start = noise(20, 2, dtype=torch.float32)
    assert torch.equal(
        Oracle().sample(predictor, start, step=1),
        Oracle().sample(predictor, start.double(), step=1).float(),
    )


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every
def test_cuda(sampler, predictor):
    start = noise(6, 2).cuda()
    sampled = sampler.sample(predictor, start, step=10, rng=torch.Generator("cuda").manual_seed(0))
    assert sampled.device == start.device
    if sampler.deterministic:
        assert torch.allclose(sampled.cpu(), sampler.sample(predictor, start.cpu(), step=10), atol=1e-7)
