"""Autoencoders whose codes are meant to be read: GridVAE, its rivals, and senders of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mfbench

if TYPE_CHECKING:
    from mfbench.registry import Registrar

_METHODS = (
    ("grid_vae", "GridVAE", "VAE whose prior has its centres on a grid; no labels", "Tu et al. 2023"),
    ("guided_grid_vae", "GuidedGridVAE", "GridVAE drawn to the labels of attributes", "Tu et al. 2023"),
    ("fsq_vae", "FSQVAE", "autoencoder with a code rounded to whole numbers", "Mentzer et al. 2024"),
    ("qlae", "QLAE", "autoencoder with learned values a dimension", "Hsu et al. 2023"),
    ("vae", "VAE", "variational autoencoder", "Kingma and Welling 2014"),
    ("beta_vae", "BetaVAE", "VAE with a weighed KL", "Higgins et al. 2017"),
    ("beta_tcvae", "BetaTCVAE", "VAE with a weighed total correlation", "Chen et al. 2018"),
    ("factor_vae", "FactorVAE", "VAE with a total correlation by density ratio", "Kim and Mnih 2018"),
    ("guided_vae", "GuidedVAE", "VAE with excitation and inhibition by attributes", "Ding et al. 2020"),
    ("dc_vae", "DCVAE", "VAE with adversarial and contrastive terms", "Parmar et al. 2021"),
    ("lstm_sender", "LSTMSender", "LSTM that says symbols by the Gumbel-softmax", "Havrylov and Titov 2017"),
    ("receiver", "Receiver", "decoder trained on another method's messages alone", "Tu et al. 2023"),
)  # fmt: skip
"""Module and name, class, summary, reference."""


@mfbench.hookimpl
def mfbench_register(registry: Registrar) -> None:
    """Everything by import path: reading this imports no torch."""
    for name, target, summary, reference in _METHODS:
        registry.disentangler(name, f"mfbench_vae.{name}:{target}", summary=summary, reference=reference)
