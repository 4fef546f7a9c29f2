"""Attacks on image classifiers and on what defends them, confined to patches or to a radius."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mfbench

if TYPE_CHECKING:
    from mfbench.registry import Registrar


@mfbench.hookimpl
def mfbench_register(registry: Registrar) -> None:
    """Everything by import path: reading this imports no torch."""
    _register_transfer(registry)
    _register_adaptive(registry)
    _register_gradient_free(registry)
    registry.attack(
        "ladder",
        "mfbench_attacks.ladder:Ladder",
        summary="several attacks with equal budgets, the survivors of each handed on to the next",
        reference="Croce and Hein 2020",
    )


def _register_transfer(registry: Registrar) -> None:
    registry.attack(
        "patch_pgd",
        "mfbench_attacks.patch_pgd:PatchPGD",
        summary="signs of gradients of the undefended classifier, best iterate kept",
        reference="Madry et al. 2018",
    )
    registry.attack(
        "patch_pgd_nag",
        "mfbench_attacks.patch_pgd:NesterovPatchPGD",
        summary="the same with Nesterov's look-ahead",
        reference="Lin et al. 2020",
    )
    registry.attack(
        "torchattacks",
        "mfbench_attacks.library:TorchAttacks",
        summary="an attack of the library torchattacks, confined to the threat (extra `attacks`)",
        reference="Kim 2020",
    )


def _register_adaptive(registry: Registrar) -> None:
    registry.attack(
        "bpda",
        "mfbench_attacks.bpda:BPDA",
        summary="through the purifier forward, past it backward; along its trajectory, too",
        reference="Athalye et al. 2018",
    )
    registry.attack(
        "eot",
        "mfbench_attacks.eot:EOT",
        summary="gradients of the defended answer, averaged over its randomness",
        reference="Athalye et al. 2018",
    )
    registry.attack(
        "unrolled",
        "mfbench_attacks.unrolled:Unrolled",
        summary="gradients through the steps of purification, or through the defense's stand-in",
        reference="Croce et al. 2022",
    )
    registry.attack(
        "joint_elbo",
        "mfbench_attacks.joint_elbo:JointELBO",
        summary="cross-entropy and ELBO together, at several weights",
        reference="Tu et al. 2023",
    )
    registry.attack(
        "evasion",
        "mfbench_attacks.evasion:Evasion",
        summary="against what a defense looks at before it answers",
        reference="Carlini and Wagner 2017",
    )
    registry.attack(
        "apgd",
        "mfbench_attacks.apgd:APGD",
        summary="Auto-PGD on cross-entropy and the targeted difference of logits ratio",
        reference="Croce and Hein 2020",
    )


def _register_gradient_free(registry: Registrar) -> None:
    registry.attack(
        "paste",
        "mfbench_attacks.paste:Paste",
        summary="patches cut from training images of other classes: the floor",
    )
    registry.attack(
        "patch_random_search",
        "mfbench_attacks.random_search:PatchRandomSearch",
        summary="black-box search for a patch's content and position",
        reference="Croce et al. 2022 (Sparse-RS)",
    )
    registry.attack(
        "pool",
        "mfbench_attacks.pool:Pool",
        summary="adversarial inputs that others have published, scored again",
    )
