"""Defenses against attacks on image classifiers, and the undefended classifier that they are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mfbench

if TYPE_CHECKING:
    from mfbench.registry import Registrar


@mfbench.hookimpl
def mfbench_register(registry: Registrar) -> None:
    """Everything by import path: reading this imports no torch."""
    _register_classifiers(registry)
    _register_purifiers(registry)
    _register_maskers(registry)
    _register_filters(registry)


def _register_classifiers(registry: Registrar) -> None:
    registry.defense(
        "cnn",
        "mfbench_defenses.cnn:CNN",
        summary="small residual network, undefended",
        reference="He et al. 2016",
    )
    registry.defense(
        "coarse_cnn",
        "mfbench_defenses.coarse:CoarseCNN",
        summary="the same at half of the resolution, undefended",
        reference="He et al. 2016",
    )
    registry.defense(
        "attribute_cnn",
        "mfbench_defenses.attribute_cnn:AttributeCNN",
        summary="the same with a head for every attribute: what edited images are judged by",
        reference="He et al. 2016",
    )
    registry.defense(
        "cutout_cnn",
        "mfbench_defenses.trained:CutoutCNN",
        summary="the same, trained with boxes painted over: what masking defenses ask",
        reference="DeVries and Taylor 2017",
    )
    registry.defense(
        "masked_cnn",
        "mfbench_defenses.trained:MaskedCNN",
        summary="the same, trained under the pairs of masks that double masking puts on",
        reference="Xiang et al. 2022",
    )
    registry.defense(
        "adversarial_training",
        "mfbench_defenses.trained:AdversarialTraining",
        summary="the same, trained on adversarial patches at random places",
        reference="Madry et al. 2018; Rao et al. 2020",
    )
    registry.defense(
        "blank_known_mask",
        "mfbench_defenses.trained:BlankKnownMask",
        summary="told where the patch is, paints it over: the control of fixed positions",
    )
    registry.defense(
        "joint_vae",
        "mfbench_defenses.joint_model:JointVAE",
        summary="VAE whose code says the class, undefended: what purifiers purify with",
        reference="Tu et al. 2023, Eq. 29",
    )
    registry.defense(
        "joint_autoencoder",
        "mfbench_defenses.joint_model:JointAutoencoder",
        summary="the same as a plain autoencoder, undefended",
        reference="Tu et al. 2023, section 4",
    )


def _register_purifiers(registry: Registrar) -> None:
    registry.defense(
        "vae_classifier",
        "mfbench_defenses.joint_classifiers:VAEClassifier",
        summary="purifies by raising the ELBO, then answers from the code",
        reference="Tu et al. 2023, Eq. 29 and 30",
    )
    registry.defense(
        "autoencoder_classifier",
        "mfbench_defenses.joint_classifiers:AutoencoderClassifier",
        summary="purifies by lowering a plain autoencoder's error: the control",
        reference="Tu et al. 2023, section 4",
    )
    registry.defense(
        "localised_purification",
        "mfbench_defenses.localised:LocalisedPurification",
        summary="finds the box that reconstructs worst, infills it, raises the ELBO inside",
        reference="after Tu et al. 2023, Eq. 30",
    )
    registry.defense(
        "diffusion_purification",
        "mfbench_defenses.diffusion_purification:DiffusionPurification",
        summary="noises the image and denoises it again by any diffusion model",
        reference="Nie et al. 2022",
    )


def _register_maskers(registry: Registrar) -> None:
    registry.defense(
        "random_masking",
        "mfbench_defenses.masking:RandomMasking",
        summary="mean of the logits over randomly masked copies",
    )
    registry.defense(
        "double_masking",
        "mfbench_defenses.masking:DoubleMasking",
        summary="two rounds of masks, of which one covers the patch; with a certificate",
        reference="Xiang et al. 2022 (PatchCleanser)",
    )
    registry.defense(
        "band_masking",
        "mfbench_defenses.masking:BandMasking",
        summary="the same with bands across the image, and a score where masks decide nothing",
        reference="after Xiang et al. 2022",
    )


def _register_filters(registry: Registrar) -> None:
    registry.defense(
        "median",
        "mfbench_defenses.filters:MedianFilter",
        summary="median filter before a classifier",
        reference="Xu et al. 2018",
    )
    registry.defense(
        "total_variation",
        "mfbench_defenses.filters:TotalVariation",
        summary="total-variation denoising before a classifier",
        reference="Chambolle 2004; Guo et al. 2018",
    )
    registry.defense(
        "jpeg",
        "mfbench_defenses.filters:JPEG",
        summary="JPEG compression before a classifier",
        reference="Guo et al. 2018",
    )
