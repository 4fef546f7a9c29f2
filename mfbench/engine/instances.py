"""From choices to objects: every choice of a cell once, built, and fitted or loaded."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from mfbench import artifacts
from mfbench.contracts import Dataset, Method, Progress
from mfbench.engine.datasets import DatasetCache
from mfbench.engine.records import Task
from mfbench.engine.reset import generator
from mfbench.errors import ContractError
from mfbench.plan.choices import choice_key
from mfbench.registry import Registry

Choice = Mapping[str, Any]


class Instances:
    """The objects of one task. What a choice refers to is made first, and handed over in its place."""

    def __init__(
        self, registry: Registry, datasets: DatasetCache, task: Task, dtype: torch.dtype, progress: Progress
    ) -> None:
        self._registry = registry
        self._datasets = datasets
        self._job: Mapping[str, Any] = task["job"]
        self._cache = Path(task["cache"])
        self._device: str = task["device"]
        self._dtype = dtype
        self._progress = progress
        self._made: dict[str, Any] = {}
        self._fit_seconds: dict[str, float] = {}
        self.data: Dataset = self.get(self._job["data"])

    def get(self, choice: Choice) -> Any:
        """The object of a choice: a data set on the task's device, a method ready for use, an attack."""
        key = choice_key(choice)
        if key not in self._made:
            make = self._dataset if choice["kind"] == "dataset" else self._ready
            self._made[key] = make(choice)
        return self._made[key]

    def arguments(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters as the class wants them: objects for references, paths for files."""
        return _arguments(parameters, self.get)

    def fit(self, choice: Choice) -> tuple[Method, float]:
        """A method fitted here, whether it has an artifact or not, and the seconds that took."""
        method = self._built(choice)
        data = self._dataset(self._job["data"]).without_test()  # what a fit writes to, the cell does not see
        if not len(data.train):
            raise ContractError(f"data set {data.name!r} has no training examples")
        started = time.perf_counter()
        rng = generator(self._device, "fit", choice["kind"], choice["name"], self._job["seed"])
        method.fit(data, rng=rng, progress=self._progress)  # type: ignore[attr-defined]
        _to_eval(method)
        return method, time.perf_counter() - started

    def parameter_count(self, choice: Choice) -> int:
        """Elements of the floating tensors in the states of a method and of the methods it refers to."""
        methods = [self.get(one) for one in methods_of(choice)]
        return sum(artifacts.floating_elements(method.state_dict()) for method in methods)

    def fit_seconds(self, choice: Choice) -> float:
        """Seconds spent on the fits of a method and of the methods it refers to, here or for an artifact."""
        return sum(self._fit_seconds.get(choice_key(one), 0.0) for one in methods_of(choice))

    def _dataset(self, choice: Choice) -> Dataset:
        seed, dtype = self._job["seed"], self._job["dtype"]
        kept = self._datasets.get(f"{choice_key(choice)} {seed} {dtype}", lambda: self._new_dataset(choice))
        return kept.to(self._device, self._dtype)

    def _new_dataset(self, choice: Choice) -> Dataset:
        # It may outlive this cell: what it refers to are copies that the cell has no hold of.
        parameters = _arguments(choice["parameters"], self._dataset)
        data: Dataset = self._class(choice)(**parameters, seed=self._job["seed"])
        data.name, data.parameters = choice["name"], choice["parameters"]
        return data

    def _ready(self, choice: Choice) -> Method:
        key = choice_key(choice)
        if key in self._job["needs"]:
            method, seconds = self._loaded(choice, self._job["needs"][key])
        elif callable(getattr(self._class(choice), "fit", None)):
            method, seconds = self.fit(choice)
        else:
            method, seconds = self._built(choice), 0.0
        _to_eval(method)
        self._fit_seconds[key] = seconds
        return method

    def _loaded(self, choice: Choice, fit_key: str) -> tuple[Method, float]:
        method = self._built(choice)
        state, header = artifacts.load(self._cache, fit_key, self._device)
        method.load_state_dict(state)
        return method, float(header.get("wall_s", 0.0))

    def _built(self, choice: Choice) -> Method:
        method: Method = self._class(choice)(**self.arguments(choice["parameters"]))
        method.build(self.data.spec(self._device, self._dtype))
        return method

    def _class(self, choice: Choice) -> Callable[..., Any]:
        return self._registry.load(self._registry.card(choice["kind"], choice["name"]))


def _arguments(parameters: Mapping[str, Any], get: Callable[[Choice], Any]) -> dict[str, Any]:
    def argument(value: Any) -> Any:
        if isinstance(value, list):
            return [argument(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        return value["file"] if "sha256" in value else get(value)

    return {name: argument(value) for name, value in parameters.items()}


def methods_of(choice: Choice) -> list[Choice]:
    """A method's choice and those of the methods it refers to, each once."""
    found: dict[str, Choice] = {}

    def visit(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                visit(item)
        elif isinstance(value, Mapping) and "parameters" in value and value["kind"] != "dataset":
            found.setdefault(choice_key(value), value)
            visit(list(value["parameters"].values()))

    visit(choice)
    return list(found.values())


def _to_eval(method: Method) -> None:
    """Modules end in eval mode: the method itself where it is one, and those it holds."""
    for value in (method, *vars(method).values()):
        if isinstance(value, torch.nn.Module):
            value.eval()
