"""What methods of every kind promise: repeatable, independent of company, honest about their state.

A kind says what it is asked (`inputs`) and how it answers (`respond`); the checks here need no more.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mfbench import artifacts
from mfbench.contracts import Dataset
from mfbench.errors import Unsupported, UserError
from mfbench.registry.loading import describe
from mfbench.testing.findings import CheckFailed, NotApplicable, require
from mfbench.testing.sameness import largest_gap, require_same
from mfbench.testing.workshop import Workshop, to_eval

EXAMPLES = 24
"""Inputs that a method is asked about."""
DEVICE_TOLERANCE = 1e-2

Check = Callable[[], str | None]


class MethodChecks:
    """The checks of one registered method on the workshop's data set. A kind overrides what is its own."""

    kind = ""

    def __init__(self, workshop: Workshop, name: str) -> None:
        self.workshop = workshop
        self.name = name

    @property
    def data(self) -> Dataset:
        return self.workshop.data

    @cached_property
    def method(self) -> Any:
        """The method, fitted once."""
        return self.workshop.fitted(self.kind, self.name)

    @cached_property
    def inputs(self) -> Tensor:
        """(EXAMPLES, ...) what it is asked about: test samples, unless the kind says otherwise."""
        return self.data.test.x[:EXAMPLES].clone()

    def respond(self, method: Any, x: Tensor, rng: torch.Generator) -> Tensor:
        """The method's answer to these inputs, one row an input."""
        raise NotImplementedError

    def checks(self) -> list[Check]:
        """All checks in the order in which they are made; where the first fails the others are not made."""
        common = [self.same_seed, self.global_generators, self.inputs_untouched, self.batches, self.order]
        return [self.fits, *self.own(), *common, self.state, self.device]

    def own(self) -> list[Check]:
        """The checks of the kind alone, the shapes and values of its answers first."""
        return []

    def answer(self, seed: int = 0, x: Tensor | None = None, method: Any = None) -> Tensor:
        """The answer with a generator seeded by `seed`, by default of the fitted method to `inputs`."""
        x = self.inputs if x is None else x
        answer = self.respond(method or self.method, x.clone(), self.workshop.rng("check", seed))
        return answer.detach()

    @cached_property
    def random(self) -> bool:
        """Whether answers depend on the generator that is handed over."""
        return largest_gap(self.answer(seed=1), self.answer(seed=2)) > 0

    def fits(self) -> str | None:
        """Makes it with defaults, builds and fits it, and leaves the data as they were."""
        train = self.data.train
        kept = [tensor.clone() for tensor in (train.x, train.y, train.attributes) if tensor is not None]
        self._make()
        now = [tensor for tensor in (train.x, train.y, train.attributes) if tensor is not None]
        same = all(torch.equal(before, after) for before, after in zip(kept, now, strict=True))
        require(same, "fit changes the training data in place")
        return f"on {self.data.name} {self.data.shape}"

    def _make(self) -> None:
        """Whatever goes wrong, but for a refusal, may be because these are no data for the method."""
        try:
            _ = self.method
        except (CheckFailed, NotApplicable, Unsupported, UserError):
            raise
        except Exception as error:
            raise CheckFailed(
                f"{describe(error)} (on {self.data.name} {self.data.shape}; a method that is not meant for "
                "such shapes raises mfbench.Unsupported in `build`, and is checked on the next)"
            ) from error

    def same_seed(self) -> None:
        """The same seed gives the same fit and the same answers."""
        require(
            torch.equal(self.answer(), self.answer()),
            "asked twice with the same seed, it answers differently",
        )
        with _seeded(0):
            first = self.workshop.fitted(self.kind, self.name)
        with _seeded(0):
            second = self.workshop.fitted(self.kind, self.name)
        same = largest_gap(self.answer(method=first), self.answer(method=second)) == 0
        require(same, "fitted twice with the same seed, it answers differently")

    def global_generators(self) -> None:
        """Every draw comes from `rng`: the global generators of torch, NumPy and `random` are left alone."""
        built = self.workshop.built(self.kind, self.name)  # modules may draw their first weights in `build`
        for action, call in (
            ("fit", lambda: self.workshop.fitted(self.kind, self.name, built)),
            ("the answer", lambda: self.answer(method=built)),
        ):
            with _seeded(0):
                _draw_globally()  # a generator that was only seeded looks untouched when it is seeded again
                before = _global_states()
                call()
                touched = [name for name, state in _global_states().items() if state != before[name]]
            which = " and ".join(touched)
            require(
                not touched,
                f"{action} draws from the global generator of {which} (or seeds it), not from rng",
            )

    def inputs_untouched(self) -> None:
        """What it is given is not changed in place."""
        x = self.inputs.clone()
        self.respond(self.method, x, self.workshop.rng("check"))
        require(torch.equal(x, self.inputs), "the inputs are changed in place")

    def batches(self) -> None:
        """An answer does not depend on what else is in the batch."""

        def apart(seed: int) -> Tensor:
            parts = self.inputs[:1], self.inputs[1:8], self.inputs[8:]
            return torch.cat([self.answer(1000 * part + seed, x) for part, x in enumerate(parts)])

        require_same(self.answer, apart, self.random, "splitting the batch")

    def order(self) -> None:
        """An answer does not depend on its place in the batch."""
        shuffled = torch.randperm(len(self.inputs), generator=torch.Generator().manual_seed(0))
        back = shuffled.argsort()
        require_same(
            self.answer,
            lambda seed: self.answer(seed, self.inputs[shuffled])[back],
            self.random,
            "permuting the batch",
        )

    def state(self) -> str | None:
        """`state_dict` can be saved as the bench saves it, and restores the same answers."""
        state = self.method.state_dict()
        if not state:
            stateful = self.workshop.signature(self.kind, self.name).stateful
            require(not stateful, "state_dict is overridden but empty after fit")
            raise NotApplicable("no state: it is fitted anew in each cell")
        with tempfile.TemporaryDirectory() as folder:
            artifacts.save(Path(folder), "check", state, {})
            loaded, _ = artifacts.load(Path(folder), "check", self.workshop.device)
        restored = self._restored(self.workshop, loaded)
        gap = largest_gap(self.answer(method=restored), self.answer())
        require(gap <= 1e-6, f"after load_state_dict answers differ by up to {gap:.3g}")
        return f"{len(state)} entries"

    def device(self) -> str | None:
        """Fits and answers on CUDA, and the state carries over to the CPU with the same answers."""
        if not torch.cuda.is_available():
            raise NotApplicable("there is no CUDA device on this machine")
        there = type(self)(self.workshop.on("cuda"), self.name)
        answer = there.answer()
        require(answer.device.type == "cuda", f"inputs on cuda, but the answer is on {answer.device}")
        state = there.method.state_dict()
        if not state or self.random:
            return "answers on cuda"
        on_cpu = {key: v.cpu() if isinstance(v, Tensor) else v for key, v in state.items()}
        gap = largest_gap(
            self.answer(x=there.inputs.cpu(), method=self._restored(self.workshop, on_cpu)), answer
        )
        require(
            gap <= DEVICE_TOLERANCE, f"the same state answers differently on CPU and CUDA, by up to {gap:.3g}"
        )
        return f"answers on cuda, and on the CPU alike to {gap:.1g}"

    def _restored(self, workshop: Workshop, state: dict[str, Any]) -> Any:
        restored = workshop.built(self.kind, self.name)
        restored.load_state_dict(state)
        return to_eval(restored)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The global generators seeded as the bench does before each cell, and put back afterwards."""
    kept = torch.get_rng_state(), np.random.get_state(), random.getstate()
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(kept[0])
        np.random.set_state(kept[1])
        random.setstate(kept[2])


def _draw_globally() -> None:
    torch.rand(1)
    np.random.random()
    random.random()


def _global_states() -> dict[str, Any]:
    """The states of the global generators, by library, to be compared."""
    states: dict[str, Any] = {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": [part.tobytes() if isinstance(part, np.ndarray) else part for part in np.random.get_state()],
        "random": random.getstate(),
    }
    if torch.cuda.is_available():
        states["torch.cuda"] = torch.cuda.get_rng_state().numpy().tobytes()
    return states
