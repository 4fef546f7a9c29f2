"""Out-of-distribution scores that stand beside the paper's, and the controls they have to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mfbench

if TYPE_CHECKING:
    from mfbench.registry import Registrar


@mfbench.hookimpl
def mfbench_register(registry: Registrar) -> None:
    """Name every score by its import path; nothing is imported here."""
    _register_controls(registry)
    _register_on_likelihoods(registry)
    _register_on_diffusion(registry)
    _register_autoencoder(registry)


def _register_controls(registry: Registrar) -> None:
    registry.likelihood(
        "png_size",
        "mfbench_ood.png_size:PngSize",
        summary="the size of the image as a PNG: a control",
        reference="Serra et al. 2020",
    )
    registry.likelihood(
        "pixel_gaussian",
        "mfbench_ood.pixel_gaussian:PixelGaussian",
        summary="one Gaussian on pixels, its covariance shrunk towards a sphere: a control",
        reference="Ledoit and Wolf 2004",
    )


def _register_on_likelihoods(registry: Registrar) -> None:
    registry.likelihood(
        "complexity_corrected",
        "mfbench_ood.complexity:ComplexityCorrected",
        summary="log-density plus the image's length under a lossless compressor",
        reference="Serra et al. 2020",
    )
    registry.likelihood(
        "typicality",
        "mfbench_ood.typicality:Typicality",
        summary="minus the distance of log p to its mean over seen samples",
        reference="Nalisnick et al. 2019",
    )


def _register_on_diffusion(registry: Registrar) -> None:
    registry.likelihood(
        "msma",
        "mfbench_ood.msma:MultiscaleScoreNorms",
        summary="score norms at several noise levels under a Gaussian mixture",
        reference="Mahmood et al. 2021",
    )
    registry.likelihood(
        "diffpath",
        "mfbench_ood.diffpath:DiffusionPath",
        summary="power sums of eps and deps/dt along the DDIM path to noise",
        reference="Heng et al. 2024",
    )
    registry.likelihood(
        "denoising_reconstruction",
        "mfbench_ood.reconstruction:DenoisingReconstruction",
        summary="error of noising and denoising again, over noise levels (DDPM-OOD)",
        reference="Graham et al. 2023",
    )
    registry.likelihood(
        "flipd",
        "mfbench_ood.flipd:FLIPD",
        summary="local intrinsic dimension from a diffusion model",
        reference="Kamkari et al. 2024",
    )
    registry.likelihood(
        "diffusion_band",
        "mfbench_ood.band:DiffusionBand",
        summary="the terms of Eq. 23 in a band of times",
        reference="Tu et al. 2023, Eq. 23",
    )


def _register_autoencoder(registry: Registrar) -> None:
    registry.generator(
        "conv_vae",
        "mfbench_ood.vae:ConvVAE",
        summary="small convolutional variational autoencoder",
        reference="Kingma and Welling 2014",
    )
    registry.likelihood(
        "vae_elbo",
        "mfbench_ood.vae_bounds:EvidenceLowerBound",
        summary="evidence lower bound of a variational autoencoder",
        reference="Kingma and Welling 2014",
    )
    registry.likelihood(
        "vae_iwae",
        "mfbench_ood.vae_bounds:ImportanceWeightedBound",
        summary="importance-weighted bound of a variational autoencoder",
        reference="Burda et al. 2016",
    )
    registry.likelihood(
        "likelihood_regret",
        "mfbench_ood.regret:LikelihoodRegret",
        summary="what the ELBO gains when the posterior is fitted to the sample",
        reference="Xiao et al. 2020",
    )
