"""Our samplers against the schedulers of diffusers, in float32: PAPER.md, section 5 (oracle 4).

Its t is our k - 1. It keeps x where we keep x / sqrt(abar), so agreement is to rounding, not to the bit.
"""

from __future__ import annotations

import pytest
import torch
from diffusion_fakes import gaussian, mixture, noise, seeded
from mfbench_diffusion.ancestral import DDPMSampler
from mfbench_diffusion.ddim import DDIM
from mfbench_diffusion.dpmpp import DPMSolverPP2M
from mfbench_diffusion.grids import t_grid
from mfbench_diffusion.prk import PseudoRungeKutta
from mfbench_diffusion.unipc import UniPC

diffusers = pytest.importorskip("diffusers", reason="diffusers, a test-only cross-check, is not installed")

T = 1000
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # its own

COMMON = {"num_train_timesteps": T, "beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}


def carried(scheduler, predictor, x, count, **keywords):
    """x through all of the scheduler's steps."""
    scheduler.set_timesteps(count)
    for t in scheduler.timesteps:
        eps = predictor(x, torch.full((len(x),), (t.item() + 1) / T, dtype=x.dtype))
        x = scheduler.step(eps, t, x, **keywords).prev_sample
    return x


@pytest.fixture(params=["mixture", "gaussian"])
def case(request):
    """(predictor, x_T) in float32."""
    data = mixture() if request.param == "mixture" else gaussian([0.05, 0.5, 2.0])
    return data.noise_predictor(T), noise(50, data.shape[0], dtype=torch.float32)


@pytest.mark.parametrize("count", [10, 100, 1000])
def test_ddim(case, count):
    predictor, start = case
    scheduler = diffusers.DDIMScheduler(
        **COMMON, clip_sample=False, timestep_spacing="trailing", set_alpha_to_one=True
    )
    theirs = carried(scheduler, predictor, start, count)
    assert (DDIM().sample(predictor, start, step=T / count) - theirs).abs().max() < 2e-5


def test_ddim_in_float64(case):
    """Only the float32 of diffusers' own betas is left between us."""
    predictor, start = case
    scheduler = diffusers.DDIMScheduler(
        **COMMON, clip_sample=False, timestep_spacing="trailing", set_alpha_to_one=True
    )
    theirs = carried(scheduler, predictor, start.double(), 50)
    assert (DDIM().sample(predictor, start.double(), step=20) - theirs).abs().max() < 5e-6


@pytest.mark.parametrize("step", [20, 50])
def test_prk_steps_of_pndm(case, step):
    """The three Runge-Kutta steps with which PNDM begins, at even h (it truncates h // 2)."""
    predictor, x = case
    scheduler = diffusers.PNDMScheduler(**COMMON, timestep_spacing="trailing", set_alpha_to_one=True)
    scheduler.set_timesteps(T // step)
    theirs = x
    for t in scheduler.prk_timesteps:
        eps = predictor(theirs, torch.full((len(x),), (t + 1) / T, dtype=x.dtype))
        theirs = scheduler.step_prk(eps, t, theirs).prev_sample
    levels = t_grid(predictor.schedule, step)[:4]
    assert (PseudoRungeKutta().carry(predictor, x, levels) - theirs).abs().max() < 5e-6


@pytest.mark.parametrize("count", [10, 50])
@pytest.mark.parametrize(
    ("ours", "scheduler", "options"),
    [
        (
            DPMSolverPP2M(),
            "DPMSolverMultistepScheduler",
            {"solver_order": 2, "algorithm_type": "dpmsolver++", "final_sigmas_type": "zero"},
        ),
        (UniPC(), "UniPCMultistepScheduler", {"solver_order": 3, "final_sigmas_type": "zero"}),
        (UniPC(order=2), "UniPCMultistepScheduler", {"solver_order": 2, "final_sigmas_type": "zero"}),
        (UniPC(order=1), "UniPCMultistepScheduler", {"solver_order": 1, "final_sigmas_type": "zero"}),
    ],
    ids=["dpmpp_2m", "unipc", "unipc_2", "unipc_1"],
)
def test_multistep(case, count, ours, scheduler, options):
    predictor, start = case
    made = getattr(diffusers, scheduler)(
        **COMMON, timestep_spacing="trailing", lower_order_final=True, **options
    )
    theirs = carried(made, predictor, start, count)
    assert (ours.sample(predictor, start, step=T / count) - theirs).abs().max() < 5e-5


@pytest.mark.parametrize(("variance", "name"), [("beta", "fixed_large"), ("beta_tilde", "fixed_small")])
def test_ddpm(case, variance, name):
    """With the same noise. diffusers adds some in the last step at h > 1; the second variance is 0 there."""
    predictor, start = case
    scheduler = diffusers.DDPMScheduler(
        **COMMON, clip_sample=False, timestep_spacing="trailing", variance_type=name
    )
    theirs = carried(scheduler, predictor, start, 100, generator=seeded(1))
    ours = DDPMSampler(variance, final_noise=variance == "beta").sample(
        predictor, start, step=10, rng=seeded(1)
    )
    assert (ours - theirs).abs().max() < 2e-5
