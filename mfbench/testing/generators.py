"""What a generator promises: as many samples as asked for, drawn with the generator it is given."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mfbench.contracts import DiffusionModel
from mfbench.protocols.checked import checked_samples
from mfbench.testing.findings import NotApplicable, require
from mfbench.testing.methods import EXAMPLES, Check, MethodChecks
from mfbench.testing.sameness import TOLERANCE, largest_gap

REPEATED = 0.1
"""Share of samples that may be training samples, beyond the share of validation samples that are."""
SAME = 1e-4
"""Largest difference of two coordinates that counts as none, in units of the data's standard deviation."""
_DRAWS = 100


class GeneratorChecks(MethodChecks):
    """Asked for as many samples as there are inputs."""

    kind = "generator"

    def respond(self, method: Any, x: Tensor, rng: torch.Generator) -> Tensor:
        samples: Tensor = method.sample(len(x), rng=rng)
        return samples

    def checks(self) -> list[Check]:
        """Without those about inputs: a generator has none."""
        return [self.fits, *self.own(), self.same_seed, self.global_generators, self.state, self.device]

    def own(self) -> list[Check]:
        return [self.samples, self.variety, self.memorisation, self.diffusion]

    def samples(self) -> None:
        """Shape (count, *shape), finite."""
        for count in (1, EXAMPLES):
            rng = self.workshop.rng("check")
            checked_samples(self.method.sample(count, rng=rng), (count, *self.data.shape), self.method)

    def variety(self) -> str | None:
        """Another seed gives other samples; samples of a call differ as much as training samples do."""
        require(self.random, "two seeds give the same samples: are they drawn from rng?")
        found = len(torch.unique(self.answer().flatten(1), dim=0))
        require(found > 1, f"{EXAMPLES} samples of one call are all the same")
        least = self._fewest_distinct()
        require(
            found >= least,
            f"{EXAMPLES} samples of one call are {found} different ones (of the data: {least})",
        )
        return f"{found} of {EXAMPLES} samples are different"

    def _fewest_distinct(self) -> int:
        """Of draws of EXAMPLES training samples, none twice, the one with the most duplicates in the data."""
        rows = torch.unique(self.data.train.x.flatten(1), dim=0, return_inverse=True)[1].cpu()
        rng = torch.Generator().manual_seed(0)
        draws = [torch.randperm(len(rows), generator=rng)[:EXAMPLES] for _ in range(_DRAWS)]
        return min(len(set(rows[draw].tolist())) for draw in draws)

    def memorisation(self) -> str | None:
        """Samples are not training samples, but for as many as of the validation samples are."""
        if self.method.role == "control":
            raise NotApplicable("a control may repeat the training data")
        found, expected = self._share_seen(self.answer()), self._share_seen(self.data.val.x[:EXAMPLES])
        require(
            found <= expected + REPEATED,
            f"{found:.0%} of {EXAMPLES} samples are training samples: it repeats what it was fitted on",
        )
        return f"{found:.0%} of {EXAMPLES} samples are training samples"

    def _share_seen(self, x: Tensor) -> float:
        """The share of x that are training samples up to rounding."""
        train = self.data.train.x.flatten(1)
        distances = torch.cdist(x.flatten(1).to(train), train, p=torch.inf)
        return float((distances.amin(dim=1) <= SAME * train.std()).double().mean())

    def diffusion(self) -> None:
        """Of a DiffusionModel: predictor, schedule, and the two maps between data and model space."""
        if not isinstance(self.method, DiffusionModel):
            raise NotApplicable("not a DiffusionModel")
        x = self.data.test.x[:EXAMPLES]
        gap = largest_gap(self.method.to_data(self.method.to_model(x)), x)
        require(gap <= TOLERANCE, f"to_data(to_model(x)) is not x (by up to {gap:.3g})")
        predictor = self.method.predictor
        t = torch.linspace(0, 1, len(x), device=x.device, dtype=x.dtype)
        checked_samples(predictor(self.method.to_model(x), t), tuple(x.shape), self.method, "predictor")
        alpha_bar = predictor.schedule.alpha_bar(t)
        require(
            alpha_bar.shape == t.shape, f"schedule.alpha_bar must keep the shape of t, not {alpha_bar.shape}"
        )
        require(bool((alpha_bar.diff() <= 0).all()), "schedule.alpha_bar must decrease")
        require(
            abs(float(alpha_bar[0]) - 1) < TOLERANCE, f"schedule.alpha_bar(0) is {float(alpha_bar[0])}, not 1"
        )
        self.method.predictor = predictor  # the bench wraps it to count evaluations
