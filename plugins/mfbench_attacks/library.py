"""Any attack of torchattacks (Kim 2020), confined to the threat, its known traps guarded."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from mfbench import DataSpec, Threat, Unsupported, UserError
from mfbench_attacks.answers import Answer, Answers
from mfbench_attacks.arguments import limited, require_above, require_at_least
from mfbench_attacks.ascent import Best
from mfbench_attacks.eot import ThroughAll
from mfbench_attacks.gradient_attack import ImageAttack
from mfbench_attacks.rows import Rows, best_of, rows_of

_NEEDS_MORE = ("VANILA", "MultiAttack", "LGV")
"""Attacks that change nothing, or that need more than a model."""


@dataclass(kw_only=True, eq=False)
class TorchAttacks(ImageAttack):
    """`attack`: the name of a class of torchattacks ("PGD", "APGD", "Square", "CW", ...).

    The library sees a model whose every pixel outside of the mask is the clean one, so that any attack stays
    within; what it gives back is clamped into the threat, and NaN is replaced by the clean pixel. `steps`,
    `step_size` and `queries` go where the attack has such an argument, the radius (1 without one) to its
    `eps`, the number of classes to `n_classes`; the rest are its own defaults. Attacks that ask about
    part of a batch are run image by image. `defended`: through the whole defense (as `eot` with one draw),
    else on the undefended classifier. With several masks each is tried, and the worst counts.
    """

    who: ClassVar[str] = "torchattacks"

    attack: str = "PGD"
    steps: int = 100
    step_size: float = 8 / 255
    queries: int = 1000
    defended: bool = True
    chunk: int = 1024

    def __post_init__(self) -> None:
        require_at_least(self.who, 1, steps=self.steps, queries=self.queries, chunk=self.chunk)
        require_above(self.who, 0, step_size=self.step_size)
        if find_spec("torchattacks") is not None:
            _found(self.attack)

    def build(self, spec: DataSpec) -> None:
        """Unsupported where the library is not installed."""
        super().build(spec)
        _require_library()

    def attacked(self, answers: Answers, x: Tensor, y: Tensor, threat: Threat) -> Tensor:
        _require_library()
        rows = rows_of(x, y, threat)
        answer: Answer = ThroughAll(answers) if self.defended else answers.undefended
        try:
            found = self._run(answer, answers, rows, threat)
        except _AskedForPart:
            every = torch.split(torch.arange(len(rows), device=x.device), 1)
            found = torch.cat([self._run(answer, answers, rows.take(one), threat) for one in every])
        best = Best(rows.clean, answers.margins(rows.clean, rows.labels))
        best = best.update(found, answers.margins(found, rows.labels))
        return best.x[best_of(best.score, len(rows) // len(x))]

    def _run(self, answer: Answer, answers: Answers, rows: Rows, threat: Threat) -> Tensor:
        model = _Confined(answer, rows).eval()
        made = _found(self.attack)(model, **self._arguments(answers.classes, threat))
        with _seeded(answers.rng, rows.clean.device), torch.enable_grad():
            changed: Tensor = made(rows.clean.clone(), rows.labels)
        changed = changed.detach().to(rows.clean)
        return rows.project(torch.where(changed.isfinite(), changed, rows.clean))

    def _arguments(self, classes: int, threat: Threat) -> dict[str, Any]:
        """What of ours the attack has a name for."""
        ours = {
            "eps": 1.0 if threat.radius is None else threat.radius,
            "alpha": self.step_size,
            "steps": limited(self.steps, threat, "steps"),
            "n_queries": limited(self.queries, threat, "queries"),
            "n_classes": classes,
        }
        named = inspect.signature(_found(self.attack)).parameters
        given = {name: value for name, value in ours.items() if name in named}
        if self.attack.endswith("L2"):
            given.pop("eps", None)  # another norm's radius: the threat's own is kept by clamping
        return given


class _AskedForPart(Exception):  # noqa: N818 - a signal, not an error
    """The library asked about some rows only, and does not say which."""


class _Confined(nn.Module):
    """The answer to images whose pixels outside of the mask are the clean ones."""

    def __init__(self, answer: Answer, rows: Rows) -> None:
        super().__init__()
        self.answer, self.rows = answer, rows
        self.place = nn.Parameter(torch.zeros((), device=rows.clean.device), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.rows
        if len(x) != len(rows) and len(rows) > 1:
            raise _AskedForPart
        return self.answer(torch.where(rows.free, x.to(rows.clean), rows.clean))


def _require_library() -> None:
    if find_spec("torchattacks") is None:
        raise Unsupported("attacks of torchattacks need that package: pip install 'mfbench[attacks]'")


def _found(name: str) -> Callable[..., Any]:
    """The class of that name; UserError, with the names that there are, where it is none that can be used."""
    import torchattacks

    known = [each for each in torchattacks.__all__ if each not in _NEEDS_MORE]
    if name not in known:
        raise UserError(f"torchattacks: attack = {name!r}: one of {', '.join(known)}")
    found: Callable[..., Any] = getattr(torchattacks, name)
    return found


@contextmanager
def _seeded(rng: torch.Generator, device: torch.device) -> Iterator[None]:
    """The global generators, from which the library draws, seeded from `rng` and put back afterwards."""
    seed = int(torch.randint(2**31, (), generator=rng, device=rng.device))
    kept = np.random.get_state(), random.getstate()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(kept[0])
            random.setstate(kept[1])
