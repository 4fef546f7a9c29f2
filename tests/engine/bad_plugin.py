"""A data set, a protocol and methods that behave and misbehave, for the engine's tests.

Each computed cell and fit leaves a line in the file named by MFBENCH_TEST_LOG: what was computed twice shows.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

import mfbench
from mfbench import Dataset, EvaluationProtocol, Likelihood, Measurement, Metric, Ref, Split, Value


def log(what):
    path = os.environ.get("MFBENCH_TEST_LOG")
    if path:
        with Path(path).open("a") as file:
            file.write(f"{what}\n")


class Line(Dataset):
    """Points on a line."""

    shape = (2,)

    def __init__(self, *, seed: int = 0, count: int = 16):
        super().__init__(seed=seed)
        self.count = count

    def make_split(self, split):
        rng = torch.Generator().manual_seed(self.seed + len(split))
        x = torch.rand(self.count, 2, generator=rng)
        x[:, 1] = x[:, 0]
        return Split(x)


class MeanScore(EvaluationProtocol):
    """The mean score of the test split, seen through noise."""

    kind = "likelihood"
    metrics = (Metric("mean", "nat", primary=True), Metric("extra", better=None))
    workload = "scores the test split"

    def evaluate(self, method, data, *, rng, clock, repeat: int = 1, likelihood: Ref | None = None):
        clock.measure(lambda: method.score(data.test.x))
        if clock.timing_only:
            return Measurement()
        x = data.test.x + 0.01 * torch.randn(data.test.x.shape, generator=rng)
        score = method.score(x, rng=rng)
        if score.shape != (len(x),):
            raise mfbench.ContractError(f"score has shape {tuple(score.shape)}, not ({len(x)},)")
        log(f"cell {type(method).__name__} {data.seed} {repeat}")
        mean = float(score.double().mean())
        values = [Value("mean", "", mean, len(x), mean - 1, float("inf")), Value("extra", "a", float("nan"))]
        return Measurement(values, {"x": score.double().numpy()}, {"x": x.numpy()}, nfe=0.0, notes=["a note"])


class Good(Likelihood):
    """Minus the distance to the mean, slowly."""

    def __init__(self, scale: float = 1.0, sleep: float = 0.0):
        self.scale = scale
        self.sleep = sleep

    def fit(self, data, *, rng, progress):
        self.mean = data.train.x.mean(0)

    def score(self, x, *, rng=None):
        time.sleep(self.sleep)
        print("a method may print", flush=True)
        return -self.scale * (x - self.mean.to(x.dtype)).norm(dim=1)


class Stateful(Good):
    """The same, with a state: its fit is an artifact."""

    def __init__(self, scale: float = 1.0, sleep: float = 0.0, fit_sleep: float = 0.0):
        super().__init__(scale, sleep)
        self.fit_sleep = fit_sleep

    def build(self, spec):
        self.mean = torch.zeros(spec.shape)

    def fit(self, data, *, rng, progress):
        log(f"fit {type(self).__name__} {data.seed}")
        for step in range(3):
            time.sleep(self.fit_sleep / 3)
            progress(step + 1, 3)
        self.mean = data.train.x.mean(0) + 0.1 * torch.randn(2, generator=rng)

    def state_dict(self):
        return {"mean": self.mean, "steps": 3, "note": "fitted"}

    def load_state_dict(self, state):
        assert state["steps"] == 3
        assert state["note"] == "fitted"
        self.mean = state["mean"]


class Wrapper(Likelihood):
    """Twice what another likelihood says."""

    def __init__(self, likelihood: Ref = "stateful"):
        self.likelihood = likelihood

    def score(self, x, *, rng=None):
        return 2 * self.likelihood.score(x, rng=rng)


class FailsInFit(Stateful):
    """Cannot be fitted."""

    def fit(self, data, *, rng, progress):
        log("fit FailsInFit")
        raise ArithmeticError("the loss is infinite")


class Raises(Likelihood):
    def score(self, x, *, rng=None):
        raise ValueError("no such thing")


class SaysUnsupported(Likelihood):
    def score(self, x, *, rng=None):
        raise mfbench.Unsupported("points on a line have no score")


class Exits(Likelihood):
    def score(self, x, *, rng=None):
        sys.exit(3)


class Interrupts(Likelihood):
    """Raises what a Ctrl-C raises, or has one pressed."""

    def __init__(self, pressed: bool = False):
        self.pressed = pressed

    def score(self, x, *, rng=None):
        if self.pressed:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        raise KeyboardInterrupt("mine")


class HardExits(Likelihood):
    def score(self, x, *, rng=None):
        print("last words", file=sys.stderr)
        os._exit(3)


class SegmentationFault(Likelihood):
    def score(self, x, *, rng=None):
        ctypes.string_at(0)


class Hangs(Likelihood):
    """Sleeps for ever, with a process of its own."""

    def score(self, x, *, rng=None):
        subprocess.Popen(["sleep", "1000"])
        while True:
            time.sleep(1)


class StartsSessions(Good):
    """Leaves processes behind that are out of its group: a session's leader, and an orphan of another."""

    def score(self, x, *, rng=None):
        subprocess.Popen(["sleep", "7771"], start_new_session=True)
        subprocess.run(["sh", "-c", "sleep 7772 & exit"], start_new_session=True, check=True)
        return super().score(x)


class StartsSessionsAndHangs(StartsSessions):
    """The same, without ever answering."""

    def score(self, x, *, rng=None):
        super().score(x)
        time.sleep(1000)


class StartsMemoryBombs(Likelihood):
    """Lets another process take the memory."""

    def score(self, x, *, rng=None):
        code = "import time; held = b'x' * (1 << 30); time.sleep(1000)"
        subprocess.run([sys.executable, "-c", code], start_new_session=True)


class PrintsWithoutEnd(Good):
    """Updates one line of 50 MB, as a progress bar does."""

    def score(self, x, *, rng=None):
        update = b"\r" + b"x" * 1023
        for _ in range(50_000):
            os.write(2, update)
        print("\ndone", file=sys.stderr, flush=True)
        if self.scale == 0:
            os._exit(3)
        return super().score(x)


class HoldsTheInterpreter(Likelihood):
    """Loops in C without ever letting another thread run."""

    def score(self, x, *, rng=None):
        sum(range(10**15))


class MemoryBomb(Likelihood):
    """Allocates until it is stopped."""

    def __init__(self, library: str = "numpy"):
        self.library = library

    def score(self, x, *, rng=None):
        make = np.ones if self.library == "numpy" else torch.ones
        kept = []
        while True:
            kept.append(make(1 << 24))


class NaN(Likelihood):
    def score(self, x, *, rng=None):
        return torch.full((len(x),), float("nan"))


class WrongShape(Likelihood):
    def score(self, x, *, rng=None):
        return x


class Careless(Good):
    """Changes global settings and its data in place."""

    def score(self, x, *, rng=None):
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        return super().score(x)

    def fit(self, data, *, rng, progress):
        super().fit(data, rng=rng, progress=progress)
        data.train.x.mul_(3.0)
        data.val.x.add_(1.0)


class WritesBehindTheBack(Good):
    """Changes its data in place where torch's version counters do not see it, in its fit and after."""

    def __init__(self, way: str = "data"):
        super().__init__()
        self.way = way

    def fit(self, data, *, rng, progress):
        super().fit(data, rng=rng, progress=progress)
        self._spoil(data.train.x)
        self._spoil(data.val.x)

    def score(self, x, *, rng=None):
        score = super().score(x)
        self._spoil(x)
        return score

    def _spoil(self, x):
        if self.way == "data":
            x.data.mul_(0.5)
        else:
            x.numpy()[:] = 7.0


class ClosesStandardError(Good):
    """Closes what is not its own."""

    def score(self, x, *, rng=None):
        os.close(2)
        return -(x**2).sum(1)


class Peeks(Good):
    """Looks at the test split in its fit."""

    def fit(self, data, *, rng, progress):
        self.mean = data.test.x.mean(0)


LIKELIHOODS = {
    "good": Good,
    "stateful": Stateful,
    "wrapper": Wrapper,
    "fails_in_fit": FailsInFit,
    "raises": Raises,
    "unsupported": SaysUnsupported,
    "exits": Exits,
    "interrupts": Interrupts,
    "hard_exits": HardExits,
    "segfaults": SegmentationFault,
    "hangs": Hangs,
    "holds_the_interpreter": HoldsTheInterpreter,
    "starts_sessions": StartsSessions,
    "starts_sessions_and_hangs": StartsSessionsAndHangs,
    "starts_memory_bombs": StartsMemoryBombs,
    "prints_without_end": PrintsWithoutEnd,
    "memory_bomb": MemoryBomb,
    "nan": NaN,
    "wrong_shape": WrongShape,
    "careless": Careless,
    "writes_behind_the_back": WritesBehindTheBack,
    "closes_standard_error": ClosesStandardError,
    "peeks": Peeks,
}


@mfbench.hookimpl
def mfbench_register(registry):
    registry.dataset("line", Line, summary="points on a line")
    registry.protocol("mean_score", MeanScore, summary="the mean score")
    for name, target in LIKELIHOODS.items():
        registry.likelihood(name, target, summary=name)
