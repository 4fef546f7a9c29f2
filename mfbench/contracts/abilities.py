"""Optional abilities: small mixins that a protocol asks for with isinstance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch
    from torch import Tensor

    from mfbench.contracts.attack import Rung, Threat
    from mfbench.contracts.dataset import Dataset
    from mfbench.contracts.defense import Defense


class Reconstructor(ABC):
    """Can give an image back from its code."""

    @abstractmethod
    def reconstruct(self, x: Tensor, level: int) -> Tensor:
        """x through the code of the given level."""


class GeneratesLevels(ABC):
    """Can stop its generation at a level coarser than the full size, level 1."""

    @abstractmethod
    def generate(self, count: int, level: int, temperature: float, *, rng: torch.Generator) -> Tensor:
        """`count` images of the level's size, with z ~ N(0, temperature^2 I) at it and all coarser ones."""


class SuperResolver(ABC):
    """Can add the detail that a small image lacks."""

    @abstractmethod
    def super_resolve(
        self, x_low: Tensor, from_level: int, temperature: float, *, rng: torch.Generator
    ) -> Tensor:
        """Full-size images whose downsampled version is x_low, with z ~ N(0, temperature^2 I)."""


class HasELBO(ABC):
    """Has an evidence lower bound."""

    @abstractmethod
    def elbo(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        """(n,) nats, differentiable in x."""


class Certifies(ABC):
    """Can prove an answer safe against a threat."""

    @abstractmethod
    def certify(self, x: Tensor, y: Tensor, threat: Threat) -> Tensor:
        """(n,) bool: no attack within the threat changes the answer from y."""


class HasDensityTerms(ABC):
    """A likelihood whose score is a sum of terms with names: log p(z), log-determinants."""

    @abstractmethod
    def density_terms(self, x: Tensor) -> Mapping[str, Tensor]:
        """(n,) nats by name, the latent's log-density first; their sum is `score(x)` but for a constant."""


class KnowsOutliers(ABC):
    """Is shown the out-distribution set as well: what makes a score the best possible (`oracle_bayes`)."""

    @abstractmethod
    def score_against(self, x: Tensor, outliers: Dataset, *, rng: torch.Generator | None = None) -> Tensor:
        """(n,) scores that separate the in-distribution set from this one set; higher = in-distribution."""


class EstimatesDimension(ABC):
    """Can say how many dimensions the data have around a point: the local intrinsic dimension."""

    @abstractmethod
    def intrinsic_dimension(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        """(n,) estimates, real-valued, of the dimension of the data's support at x, points of data space."""


class HasFeatures(ABC):
    """Has a feature space in which images are compared by what they show."""

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """(n, d), deterministic: what the last layer of a classifier sees of the images x."""


class HasSurrogate(ABC):
    """A defense that helps who attacks it: it has a differentiable stand-in of its answer.

    For answers without a useful gradient: votes become means of logits, a search becomes the mean over what
    is searched, a file format becomes its smooth approximation.
    """

    @abstractmethod
    def surrogate_logits(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        """(n, classes), differentiable in x, near `defended_logits`; an image's row depends on it alone."""


class Unrollable(ABC):
    """A defense that purifies in steps, which an attacker may take one by one and differentiate through.

    `purify` takes the same steps, so that what is attacked is what defends. Between steps stands a tuple of
    tensors, one row an image: the image so far, and whatever else a step needs (the image as it came, noise
    drawn once, a box found once).
    """

    @property
    @abstractmethod
    def purification_steps(self) -> int:
        """How many steps `purify` takes at most."""

    @abstractmethod
    def purification_start(self, x: Tensor, *, rng: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """The tuple before the first step, differentiable in x."""

    @abstractmethod
    def purification_step(
        self,
        state: tuple[Tensor, ...],
        *,
        squash: Callable[[Tensor], Tensor] | None = None,
        stride: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> tuple[Tensor, ...]:
        """The tuple after one step. Where gradients are enabled it is differentiable in the state (its own
        gradient taken with `create_graph`), and stops early for no image.

        squash: of the gradient (n, ...) that the step follows, in place of its sign, which has no derivative;
            keeps the shape, bounded by 1. None: the step as `purify` takes it.
        stride: multiplies the step size, for attackers who take fewer and longer steps.
        """


class HasEvidence(ABC):
    """A defense that looks for the attack before it answers: a detector, a locator, an error of
    reconstruction."""

    @abstractmethod
    def evidence(self, x: Tensor, *, rng: torch.Generator | None = None) -> Mapping[str, Tensor]:
        """What it goes by, by name: (n,) or maps (n, h, w), higher = more suspicious; differentiable in x."""


class ClimbsLadder(ABC):
    """An attack made of attacks, which tells what each of them came to."""

    @abstractmethod
    def climb(
        self, defense: Defense, x: Tensor, y: Tensor, *, threat: Threat, rng: torch.Generator
    ) -> Sequence[Rung]:
        """One rung an attack, in the order in which they were tried; arguments as of `Attack.perturb`."""


class KnowsAttributes(ABC):
    """Is shown the true attributes as well: the best possible code of a disentangler."""

    @abstractmethod
    def encode_knowing(self, x: Tensor, attributes: Tensor) -> Tensor:
        """(n, d) codes of images x whose attributes (n, k), int64, are given."""


class PredictsAttributes(ABC):
    """Can tell every attribute of an image: an independent judge of what an image shows."""

    @abstractmethod
    def predict_attributes(self, x: Tensor) -> Tensor:
        """(n, k) int64, deterministic: the most probable value of each of the data set's attributes."""
