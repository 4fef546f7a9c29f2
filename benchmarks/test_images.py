"""How long image data take: pytest benchmarks/test_images.py."""

import numpy as np
import pytest

from mfbench.datasets.idx import FashionMnist
from mfbench.datasets.preprocessing import Preprocessing
from mfbench.paths import data_root

IMAGES = np.random.default_rng(0).integers(0, 256, (1000, 3, 64, 64), dtype=np.uint8)


@pytest.mark.parametrize(
    "chosen",
    [Preprocessing(size=32), Preprocessing(channels="grey"), Preprocessing(jpeg_quality=75)],
    ids=["resize", "grey", "jpeg"],
)
def test_preprocessing_of_a_thousand_images(benchmark, chosen):
    assert len(benchmark(chosen.levels, IMAGES, (3, 64, 64))) == 1000


def _three_splits(**parameters):
    data = FashionMnist(**parameters)
    return len(data.train) + len(data.val) + len(data.test)


@pytest.mark.parametrize("parameters", [{}, {"size": 14}], ids=["native", "prepared"])
def test_loading_of_fashion_mnist(benchmark, parameters):
    """At most 1.5 s; resized once, and read from the cache from then on."""
    missing = FashionMnist.missing(data_root())
    if missing:
        pytest.skip(f"{data_root() / missing[0]} is not here")
    _three_splits(**parameters)
    assert benchmark.pedantic(_three_splits, kwargs=parameters, rounds=5) == 70_000
