"""What sampling images costs beside the network: pytest benchmarks/test_unet.py

Targets, on one CPU thread: a sampler's loop within 5 % of NFE bare forwards of the U-Net, on a batch that is
evaluated at once; a large batch, which the predictor takes in parts, no slower than as a whole; our DDIM no
slower than diffusers' own DDIM loop on the same network. What is compared takes turns, and the medians of its
CPU time count, so that a busy machine disturbs both alike.
"""

from __future__ import annotations

import pytest
import torch
from mfbench_diffusion.beta_schedule import BetaSchedule, betas_of
from mfbench_diffusion.chunks import ChunkedPredictor
from mfbench_diffusion.ddim import DDIM
from mfbench_diffusion.ddpm_unet import DDPMUNet
from mfbench_diffusion.diffusers_pipeline import DiffusersPredictor
from mfbench_diffusion.dpmpp import DPMSolverPP2M
from mfbench_diffusion.heun import Heun
from mfbench_diffusion.network import noise_level
from mfbench_diffusion.rk4 import RungeKutta4
from mfbench_diffusion.unipc import UniPC
from turns import medians

from mfbench.contracts import DataSpec
from mfbench.timing import synchronized_timer

T = 1000
EVALUATIONS = 8
LOOP_LIMIT = 1.05
NOISE = 1.03
"""Of two medians that should be the same, on a busy machine."""

pytestmark = pytest.mark.benchmark(timer=synchronized_timer)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def generator(size):
    """A `ddpm_unet` as it begins: what it costs does not depend on its weights."""
    model = DDPMUNet()
    model.build(DataSpec(shape=(1, size, size), train_count=1))
    model.network.initialise(torch.Generator().manual_seed(0))
    return model


def noise(count, size):
    return torch.randn(count, 1, size, size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def forwards(model, x):
    """NFE forwards of the bare network, and nothing else."""
    u = noise_level(model.schedule.alpha_bar(torch.full((1,), 0.5)))
    for _ in range(EVALUATIONS):
        model.network(x, u)


@pytest.mark.parametrize(("size", "count"), [(8, 64), (28, 8)])
@pytest.mark.parametrize(
    "sampler",
    [DDIM(), Heun(), RungeKutta4(), DPMSolverPP2M(), UniPC()],
    ids=lambda sampler: type(sampler).__name__,
)
def test_sampler_loop(benchmark, sampler, size, count):
    """Images that go through the network at once, in evaluations of about 40 ms."""
    model, start = generator(size), noise(count, size)
    step = T * sampler.evaluations_per_step / EVALUATIONS

    def loop():
        sampler.sample(model.predictor, start, step=step)

    sampled, bare = medians(loop, lambda: forwards(model, start))
    benchmark.extra_info |= {"loop over forwards": sampled / bare}
    benchmark.pedantic(loop, rounds=1)
    assert sampled < LOOP_LIMIT * bare


@pytest.mark.parametrize(("size", "count"), [(8, 768), (28, 64)])
def test_large_batches_in_parts(benchmark, size, count):
    """Against the same batch as a whole."""
    model, start = generator(size), noise(count, size)
    whole = ChunkedPredictor(model.predictor.predictor, count)

    def sample(predictor):
        DDIM().sample(predictor, start, step=T / 2)

    parts, once = medians(lambda: sample(model.predictor), lambda: sample(whole))
    benchmark.extra_info |= {"in parts over as a whole": parts / once}
    benchmark.pedantic(lambda: sample(model.predictor), rounds=1)
    assert parts < NOISE * once


def test_ddim_against_diffusers(benchmark):
    """The same `UNet2DModel`, 4 images of 1 x 16 x 16, 10 steps."""
    diffusers = pytest.importorskip("diffusers", reason="diffusers (extra `diffusers`) is not installed")
    torch.manual_seed(0)
    network = diffusers.UNet2DModel(
        sample_size=16,
        in_channels=1,
        out_channels=1,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )
    network.eval().requires_grad_(False)
    scheduler = diffusers.DDIMScheduler(T, clip_sample=False, timestep_spacing="trailing")
    schedule = BetaSchedule(betas_of(scheduler.config, "scheduler_config.json"))
    predictor = ChunkedPredictor(DiffusersPredictor(network, schedule, "epsilon"))
    start, steps = noise(4, 16), 10

    def ours():
        return DDIM().sample(predictor, start, step=T / steps)

    @torch.no_grad()
    def theirs():
        scheduler.set_timesteps(steps)
        x = start
        for t in scheduler.timesteps:
            x = scheduler.step(network(x, t).sample, t, x).prev_sample
        return x

    expected = theirs()
    assert (ours() - expected).abs().max() < 2e-5 * expected.abs().max()
    mine, other = medians(ours, theirs)
    benchmark.extra_info |= {"ours over theirs": mine / other}
    benchmark.pedantic(ours, rounds=1)
    assert mine < NOISE * other
