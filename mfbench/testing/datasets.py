"""What a data set promises: three splits of one shape, the same for the same seed, and a digest."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from mfbench.contracts import Dataset, Split
from mfbench.errors import Unsupported, UserError
from mfbench.protocols.checked import checked_samples, checked_scores
from mfbench.testing.findings import NotApplicable, require
from mfbench.testing.methods import EXAMPLES, Check
from mfbench.testing.workshop import Workshop

SPLITS = ("train", "val", "test")
SHARED = 0.1
"""Share of the test samples that may also be training samples: real sets hold some duplicates."""
_LOOKED_AT = 2000
_STEP = 1e-4


class DatasetChecks:
    """The checks of one registered data set."""

    kind = "dataset"

    def __init__(self, workshop: Workshop, name: str) -> None:
        self.workshop = workshop
        self.name = name

    def checks(self) -> list[Check]:
        return [
            self.splits,
            self.labels,
            self.digest,
            self.same_seed,
            self.leakage,
            self.log_density,
            self.noise_predictor,
        ]

    @cached_property
    def data(self) -> Dataset:
        return self._made(0)

    def _made(self, seed: int) -> Dataset:
        made: Dataset = self.workshop.create("dataset", self.name, {"seed": seed})
        return made

    @cached_property
    def parts(self) -> dict[str, Split]:
        try:
            return {split: getattr(self.data, split) for split in SPLITS}
        except UserError as missing:
            raise NotApplicable(f"its data are not here: {missing}") from missing

    def splits(self) -> str | None:
        """x of every split: (n, *shape), n >= 1, floating-point, finite."""
        require(len(self.data.shape) > 0, "shape is empty")
        for name, split in self.parts.items():
            require(
                isinstance(split, Split), f"make_split({name!r}) gives a {type(split).__name__}, not a Split"
            )
            require(len(split) > 0, f"the {name} split is empty")
            checked_samples(split.x, (len(split), *self.data.shape), self.data, f"{name}.x")
        return ", ".join(f"{name} {len(split)}" for name, split in self.parts.items())

    def labels(self) -> str | None:
        """y and identity int64 (n,), attributes (n, k), with a name for each class and attribute."""
        for name, split in self.parts.items():
            for field in ("y", "identity"):
                self._require_integers(f"{name}.{field}", getattr(split, field), len(split))
            classes, attributes = split.names.get("classes"), split.names.get("attributes", ())
            if split.y is not None and classes is not None:
                inside = int(split.y.min()) >= 0 and int(split.y.max()) < len(classes)
                require(inside, f"{name}.y holds labels beyond the {len(classes)} names of classes")
            if split.attributes is not None:
                shape, expected = tuple(split.attributes.shape), (len(split), len(attributes))
                require(
                    shape == expected,
                    f"{name}.attributes must be {expected} by names['attributes'], not {shape}",
                )
        if all(split.y is None and split.attributes is None for split in self.parts.values()):
            raise NotApplicable("no labels and no attributes")
        return None

    @staticmethod
    def _require_integers(where: str, values: Tensor | None, count: int) -> None:
        if values is not None:
            right = tuple(values.shape) == (count,) and values.dtype == torch.int64
            require(right, f"{where} must be ({count},) int64, not {tuple(values.shape)} {values.dtype}")

    def digest(self) -> None:
        """The same for the same parameters and seed, another for another seed, and found without the data."""
        fresh = self._made(0)
        before = fresh.digest
        loaded = [split for split in SPLITS if split in vars(fresh)]
        require(not loaded, f"asking for the digest makes the {' and '.join(loaded)} split")
        require(
            before == self._made(0).digest, "two instances with equal parameters and seed have two digests"
        )
        require(before == self.data.digest, "the digest changes once the splits are made")
        require(before != self._made(1).digest, "the digest does not depend on the seed")

    def same_seed(self) -> None:
        """The same seed gives the same splits, whatever the state of the global generators."""
        _ = self.parts
        torch.rand(1)
        again = self._made(0)
        for split in reversed(SPLITS):  # nor does the order in which they are asked for matter
            same = torch.equal(getattr(again, split).x, self.parts[split].x)
            require(same, f"two instances with the same seed have different {split} splits")

    def leakage(self) -> None:
        """Test samples are not training samples."""
        train = {row.tobytes() for row in self._rows("train")}
        shared = sum(row.tobytes() in train for row in self._rows("test", _LOOKED_AT))
        share = shared / min(len(self.parts["test"]), _LOOKED_AT)
        require(share <= SHARED, f"{share:.0%} of the test samples are training samples")

    def _rows(self, split: str, count: int | None = None) -> Any:
        return self.parts[split].x[:count].flatten(1).contiguous().numpy()

    def log_density(self) -> None:
        """Where it is known: (n,), no NaN."""
        x = self.parts["test"].x[:EXAMPLES]
        found = _known(lambda: self.data.log_density(x), "density")
        checked_scores(found, len(x), self.data, "log_density")

    def noise_predictor(self) -> str | None:
        """Where it has a closed form: -eps / sqrt(1 - abar) near t = 0 is the gradient of log_density."""
        predictor = _known(lambda: self.data.noise_predictor(100), "noise predictor")
        x = self.parts["test"].x[:EXAMPLES].double().requires_grad_()
        t = x.new_full((len(x),), _STEP)
        eps = predictor(x.detach(), t)
        checked_samples(eps, tuple(x.shape), self.data, "noise_predictor")
        density = _known(lambda: self.data.log_density(x), "density")
        if not density.requires_grad:
            raise NotApplicable("log_density is not differentiable")
        (score,) = torch.autograd.grad(density.sum(), x)
        from_eps = -eps / (1 - predictor.schedule.alpha_bar(t)).sqrt()[:, None]
        gap = float((from_eps - score).norm() / score.norm())
        require(gap < 0.05, f"near t = 0 it is off the gradient of log_density by {gap:.1%}")
        return f"agrees with the gradient of log_density to {gap:.1g}"


def _known(ask: Callable[[], Any], what: str) -> Any:
    try:
        return ask()
    except Unsupported as unknown:
        raise NotApplicable(f"its {what} is not known") from unknown
