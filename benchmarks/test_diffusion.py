"""What samplers and Eq. 23 cost beside their network: pytest benchmarks/test_diffusion.py

Targets, on one CPU thread: a sampler's loop within 5 % of NFE bare forwards of a network that takes 1 ms or
more; Eq. 23 within 10 % of the bare forwards in the fastest chunk size. Loop and forwards take turns, seven
times or more, and the medians of their CPU time are compared, so that a busy machine disturbs both alike.
"""

from __future__ import annotations

import pytest
import torch
from mfbench_diffusion.ancestral import DDPMSampler
from mfbench_diffusion.ddim import DDIM
from mfbench_diffusion.ddpm_mlp import DDPM
from mfbench_diffusion.dpmpp import DPMSolverPP2M
from mfbench_diffusion.grids import evaluate
from mfbench_diffusion.heun import Heun
from mfbench_diffusion.markov import DiffusionMarkov
from mfbench_diffusion.ode import DiffusionODE
from mfbench_diffusion.rk4 import RungeKutta4
from mfbench_diffusion.unipc import UniPC
from turns import medians

from mfbench.contracts import DataSpec
from mfbench.engine.heap import keep_freed_memory
from mfbench.timing import synchronized_timer

T = 100
LOOP_LIMIT, MARKOV_LIMIT = 1.05, 1.10
CHUNKS = (1024, 2048, 4096)

pytestmark = pytest.mark.benchmark(timer=synchronized_timer)


@pytest.fixture(autouse=True)
def _as_in_a_run():
    keep_freed_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def generator(width):
    """A `ddpm_mlp` with random weights: what it costs does not depend on them."""
    model = DDPM(width=width)
    model.build(DataSpec(shape=(2,), train_count=1))
    model.network.initialise(torch.Generator().manual_seed(0))
    return model


def noise(count):
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def forwards(predictor, batches, times):
    """Every batch through the network `times` times, and nothing else."""
    for batch in batches:
        for _ in range(times):
            evaluate(predictor, batch, 0.5)


@pytest.mark.parametrize(
    "sampler",
    [DDIM(), DDPMSampler(), Heun(), RungeKutta4(), DPMSolverPP2M(), UniPC()],
    ids=lambda sampler: type(sampler).__name__,
)
def test_sampler_loop(benchmark, sampler):
    """A batch of 2,048 points, T = 100, 24 evaluations of about 1.5 ms."""
    predictor, start = generator(width=128).predictor, noise(2048)
    steps = 24 // sampler.evaluations_per_step
    rng = torch.Generator().manual_seed(2)

    def loop():
        sampler.sample(predictor, start, step=T / steps, rng=rng)

    evaluations = steps * sampler.evaluations_per_step
    sampled, bare = medians(loop, lambda: forwards(predictor, [start], evaluations))
    assert bare / evaluations > 1e-3
    benchmark.extra_info |= {"loop over forwards": sampled / bare}
    benchmark.pedantic(loop, rounds=1)
    assert sampled < LOOP_LIMIT * bare


def test_markov(benchmark):
    """4,096 points x 1 round x 100 steps: a piece of the paper's protocol that fits a quiet moment."""
    model, points = generator(width=64), noise(4096)
    rng = torch.Generator().manual_seed(2)

    def weights():
        DiffusionMarkov(model).log_weights(points, rounds=1, rng=rng)

    bare_in = [lambda size=size: forwards(model.predictor, points.split(size), T) for size in CHUNKS]
    eq23, *bare = medians(weights, *bare_in, repeats=21)
    benchmark.extra_info |= {"Eq. 23 over forwards": eq23 / min(bare)}
    benchmark.extra_info |= {f"forwards in {size}": seconds for size, seconds in zip(CHUNKS, bare)}
    benchmark.pedantic(weights, rounds=1)
    assert eq23 < MARKOV_LIMIT * min(bare)


@pytest.mark.slow
def test_markov_in_full(benchmark):
    """The paper's protocol: 10,000 points x 100 rounds x 100 steps, 1e8 evaluations."""
    model, points = generator(width=64), noise(10_000)
    rng = torch.Generator().manual_seed(2)
    benchmark.pedantic(lambda: DiffusionMarkov(model).log_weights(points, rounds=100, rng=rng), rounds=1)


def test_probability_flow(benchmark):
    """1,000 points, 200 evaluations with their divergence."""
    model, points = generator(width=64), noise(1000)
    benchmark.pedantic(lambda: DiffusionODE(model).log_prob(points), rounds=3, warmup_rounds=1)
