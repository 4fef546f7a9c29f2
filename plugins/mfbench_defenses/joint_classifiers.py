"""Classifiers that purify before they answer: by the ELBO (Tu et al. 2023, Eq. 29 and 30), and the plain
control.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor

from mfbench import HasELBO, Ref, Role, UserError
from mfbench_defenses.ascent import Ascent, Update, check_ascent
from mfbench_defenses.joint_model import JointAutoencoder, JointModel, JointVAE
from mfbench_defenses.purifier import Purifier, require_model

Purification: TypeAlias = Literal["elbo", "none", "reconstruct"]


class VAEClassifier(Purifier, HasELBO):
    """The VAE-classifier with purification by its ELBO (Eq. 30), and its controls.

    `purify`: "elbo"; "none", the classifier alone; "reconstruct", the image through its code. `radius`:
    eps_th of Eq. 30 (None: unbounded, as the paper has it for patches). `steps` of `step_size` along the sign
    of the gradient, or along the gradient itself (`update`). `restarts`: from x and from random points within
    `spread` of it; the highest ELBO is the answer. `encoder`: "deterministic" has the ELBO's first term at
    the code's mean, "stochastic" at a new draw each step; the answer is the classifier's at the mean either
    way. `quantile`: images stop once their ELBO reaches this quantile of clean validation images (None: they
    take all steps), so that clean images hardly change.
    """

    model: JointVAE

    def __init__(
        self,
        model: Annotated[Ref, "defense"] = "joint_vae",
        purify: Purification = "elbo",
        steps: int = 64,
        step_size: float = 2 / 255,
        radius: float | None = None,
        update: Update = "sign",
        restarts: int = 1,
        spread: float = 8 / 255,
        encoder: Literal["deterministic", "stochastic"] = "deterministic",
        quantile: float | None = None,
    ) -> None:
        who = "vae_classifier"
        check_ascent(who, steps=steps, step_size=step_size, restarts=restarts, radius=radius)
        if quantile is not None and not 0 <= quantile <= 1:
            raise UserError(f"{who}: quantile = {quantile:g}: from 0 to 1")
        self.model = require_model(model, JointVAE, who)
        self.mode = purify
        self.purifies = purify == "elbo"
        self.steps = steps
        self.step_size = step_size
        self.radius = radius
        self.update: Update = update
        self.restarts = restarts
        self.spread = spread
        self.encoder = encoder
        self.quantile = quantile

    def ascent(self) -> Ascent:
        return Ascent(
            self.model.objective,
            steps=self.steps,
            step_size=self.step_size,
            radius=self.radius,
            update=self.update,
            restarts=self.restarts,
            spread=self.spread,
            noise=self.model.noise_for if self.encoder == "stochastic" else None,
            threshold=None if self.quantile is None else self.model.clean_quantile(self.quantile),
        )

    def unclimbed(self, x: Tensor) -> Tensor:
        return self.model.reconstruct(x) if self.mode == "reconstruct" else x

    def elbo(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        return self.model.elbo(x, rng=rng)


class AutoencoderClassifier(Purifier):
    """The plain control: an autoencoder without a prior in the VAE's place.

    `purify`: "error" lowers the reconstruction's error as `vae_classifier` raises the ELBO, "none",
    "reconstruct".
    """

    role: ClassVar[Role] = "control"

    def __init__(
        self,
        model: Annotated[Ref, "defense"] = "joint_autoencoder",
        purify: Literal["error", "none", "reconstruct"] = "error",
        steps: int = 64,
        step_size: float = 2 / 255,
        radius: float | None = None,
        restarts: int = 1,
        spread: float = 8 / 255,
    ) -> None:
        who = "autoencoder_classifier"
        check_ascent(who, steps=steps, step_size=step_size, restarts=restarts, radius=radius)
        self.model: JointModel = require_model(model, JointAutoencoder, who)
        self.mode = purify
        self.purifies = purify == "error"
        self.parameters: dict[str, Any] = {
            "steps": steps,
            "step_size": step_size,
            "radius": radius,
            "restarts": restarts,
            "spread": spread,
        }

    def ascent(self) -> Ascent:
        return Ascent(self.model.objective, **self.parameters)

    def unclimbed(self, x: Tensor) -> Tensor:
        return self.model.reconstruct(x) if self.mode == "reconstruct" else x
