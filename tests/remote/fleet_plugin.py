"""Methods that tell who computes them, need files, are fitted, or end the worker they run on."""

import os
import signal
import time
from pathlib import Path

import torch

import mfbench


def note(text):
    """A line in the test's log: O_APPEND keeps lines of several processes apart."""
    if path := os.environ.get("MFBENCH_TEST_LOG"):
        with Path(path).open("a") as log:
            log.write(f"{text}\n")


class Line(mfbench.Dataset):
    """Points on a line."""

    shape = (2,)

    def __init__(self, *, count: int = 16, seed: int = 0):
        super().__init__(seed=seed)
        self.count = count

    def make_split(self, split):
        rng = torch.Generator().manual_seed(len(split) + 10 * self.seed)
        return mfbench.Split(torch.rand(self.count, 2, generator=rng))


class MeanScore(mfbench.EvaluationProtocol):
    """The mean score."""

    kind = "likelihood"
    metrics = (mfbench.Metric("mean", primary=True),)
    workload = "scores the test set"

    def evaluate(self, method, data, *, rng, clock, repeat: int = 1):
        clock.measure(lambda: method.score(data.test.x), budget_s=0.01)
        scores = repeat * method.score(data.test.x).double()
        value = mfbench.Value("mean", "", float(scores.mean()), len(scores))
        return mfbench.Measurement([value], scores={"x": scores.numpy()})


class Good(mfbench.Likelihood):
    """Works, after a while."""

    bound = "score"

    def __init__(self, *, scale: float = 1.0, sleep: float = 0.0):
        self.scale, self.sleep = scale, sleep

    def score(self, x, *, rng=None):
        note(f"good {self.scale}")
        time.sleep(self.sleep)
        return -self.scale * x.square().sum(1)


class Fitted(Good):
    """Has a state worth sending."""

    def fit(self, data, *, rng, progress):
        note(f"fit {data.seed}")
        self.mean = data.train.x.mean(0) + torch.randn(2, generator=rng)
        self.ballast = torch.randn(3_000_000, generator=rng)  # 12 MB: more than one part

    def state_dict(self):
        return {"mean": self.mean, "ballast": self.ballast}

    def load_state_dict(self, state):
        self.mean, self.ballast = state["mean"], state["ballast"]

    def score(self, x, *, rng=None):
        return -(x - self.mean).square().sum(1) + self.ballast[-1]


class Weighted(Good):
    """Reads a number from a file, or from the first file in a folder."""

    def __init__(self, *, weights: mfbench.FileRef):
        super().__init__()
        path = Path(weights)
        self.scale = float((path / "a" / "weight.txt" if path.is_dir() else path).read_text())


class KillsItsWorker(Good):
    """Ends the process that supervises it, as often as `times` says."""

    def __init__(self, *, times: int = 1):
        super().__init__()
        self.times = times

    def score(self, x, *, rng=None):
        note("killing")
        if Path(os.environ["MFBENCH_TEST_LOG"]).read_text().count("killing") <= self.times:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        return -x.square().sum(1)


class Exits(Good):
    """Ends its own process."""

    def score(self, x, *, rng=None):
        os._exit(3)


METHODS = {
    "good": Good,
    "fitted": Fitted,
    "weighted": Weighted,
    "kills_its_worker": KillsItsWorker,
    "exits": Exits,
}


@mfbench.hookimpl
def mfbench_register(registry):
    registry.dataset("line", Line, summary="points on a line")
    registry.protocol("mean_score", MeanScore, summary="the mean score")
    for name, target in METHODS.items():
        registry.likelihood(name, target, summary=name)
