"""Diffusion on points and images: generators, samplers, and two likelihoods (Tu et al. 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mfbench

if TYPE_CHECKING:
    from mfbench.registry import Registrar

_PAPER = "Tu et al. 2023"


@mfbench.hookimpl
def mfbench_register(registry: Registrar) -> None:
    """Everything by import path: reading this imports no torch."""
    registry.generator(
        "ddpm_mlp",
        "mfbench_diffusion.ddpm_mlp:DDPM",
        summary="denoising diffusion with a Fourier-feature MLP, for point data",
        reference="Ho et al. 2020",
    )
    registry.generator(
        "ddpm_unet",
        "mfbench_diffusion.ddpm_unet:DDPMUNet",
        summary="denoising diffusion with a small U-Net, for images",
        reference="Ho et al. 2020",
    )
    registry.generator(
        "diffusers_pipeline",
        "mfbench_diffusion.diffusers_pipeline:DiffusersPipeline",
        summary="a pretrained UNet2DModel of diffusers, from a folder or the hub",
        reference="Ho et al. 2020",
    )
    _register_samplers(registry)
    registry.likelihood(
        "diffusion_markov",
        "mfbench_diffusion.markov:DiffusionMarkov",
        summary="log-density of the reverse Markov chain by sampled forward paths (Eq. 23)",
        reference=_PAPER,
    )
    registry.likelihood(
        "diffusion_ode",
        "mfbench_diffusion.ode:DiffusionODE",
        summary="log-density under the probability-flow ODE",
        reference="Song et al. 2021b",
    )


def _register_samplers(registry: Registrar) -> None:
    for name, target, summary, reference in (
        ("ddpm", "ancestral:DDPMSampler", "ancestral sampling with any step", "Ho et al. 2020"),
        ("ddim", "ddim:DDIM", "Euler steps on the probability-flow ODE", "Song et al. 2021a"),
        ("heun", "heun:Heun", "Heun's second-order steps on the probability-flow ODE", "Karras et al. 2022"),
        ("rk4", "rk4:RungeKutta4", "classical RK4 on the probability-flow ODE", _PAPER),
        (
            "prk",
            "prk:PseudoRungeKutta",
            "mean of four eps, one DDIM transfer (PNDM's warm-up)",
            "Liu et al. 2022",
        ),
        (
            "rk4_difference",
            "difference:RungeKutta4Difference",
            "classical RK4 on one-step DDIM differences; its bias does not vanish with h",
            _PAPER,
        ),
        ("rk4_ddpm", "difference:RungeKutta4DDPM", "classical RK4 on the DDPM mean, with noise", _PAPER),
        ("dpmpp_2m", "dpmpp:DPMSolverPP2M", "DPM-Solver++(2M), second-order multistep", "Lu et al. 2022"),
        ("unipc", "unipc:UniPC", "UniPC, third-order multistep predictor-corrector", "Zhao et al. 2023"),
        ("oracle", "oracle:Oracle", "the exact ODE solution: adaptive DOP853 to 1e-8", "Hairer et al. 1993"),
    ):
        registry.sampler(name, f"mfbench_diffusion.{target}", summary=summary, reference=reference)
