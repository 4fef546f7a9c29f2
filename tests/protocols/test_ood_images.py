"""What ood_auroc keeps and draws of images: Fig. 2's histograms, and the images at both ends of scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from protocol_fakes import QualityClock, record_of, seeded

from mfbench.contracts import Dataset, Likelihood, Split
from mfbench.contracts.history import ImageHistory
from mfbench.protocols.ood_auroc import OODAuroc
from mfbench.protocols.ood_images import EXTREMES, mosaic


class Ramp(Dataset):
    """Images of one level each: `start`, `start` + 1, ... in 255ths, shuffled."""

    shape = (1, 4, 6)
    history = ImageHistory(colour=False, jpeg=False, jpeg_quality=None, dequantised=False)

    def __init__(self, start, count, name, *, seed=0):
        super().__init__(seed=seed)
        self.start, self.count, self.name = start, count, name

    def make_split(self, split):
        levels = self.start + torch.randperm(self.count, generator=seeded(self.seed)).float()
        return Split((levels / 255)[:, None, None, None].expand(-1, *self.shape).clone())


class Darkness(Likelihood):
    bound = "score"

    def __init__(self, power=1.0):
        self.power = power

    def score(self, x, *, rng=None):
        return -(x.flatten(1).mean(1) ** self.power)


SEEN, OTHERS = Ramp(0, 40, "dark"), [Ramp(50, 40, "grey"), Ramp(100, 7, "bright")]


def measure(method=None):
    return OODAuroc().evaluate(method or Darkness(), SEEN, rng=seeded(), clock=QualityClock(), against=OTHERS)


def test_the_images_with_the_highest_and_lowest_scores_are_kept():
    arrays = measure().arrays
    ends = {name: arrays[f"image:{name}"][:, 0, 0, 0].tolist() for name in ("in", "out:grey", "out:bright")}
    assert ends == {
        "in": [0, 1, 2, 3, 4, 39, 38, 37, 36, 35],
        "out:grey": [50, 51, 52, 53, 54, 89, 88, 87, 86, 85],
        "out:bright": [100, 101, 102, 106, 105, 104],  # seven images: three at either end
    }
    assert arrays["image:in"].dtype == np.uint8
    assert arrays["image:in"].shape == (2 * EXTREMES, 1, 4, 6)
    assert not any(name.startswith("point") for name in arrays)


def test_a_mosaic_has_the_best_above_and_white_between():
    images = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((4, 3, 2, 3), dtype=np.uint8)
    made = mosaic(images)
    assert made.shape == (5, 7, 3)
    assert [made[0, 0, 0], made[0, 4, 1], made[3, 0, 2], made[4, 6, 0]] == [0, 1, 2, 3]
    assert (made[2] == 255).all()
    assert (made[:, 3] == 255).all()


def test_histograms_have_a_row_a_set_and_all_in_the_last():
    measurement = measure()
    figures = OODAuroc().draw([record_of(measurement, "darkness", data="dark")], [measurement.arrays])
    assert set(figures) == {"scores", "roc", "examples"}
    rows = figures["scores"].axes
    assert [ax.get_ylabel() for ax in rows] == ["dark\n(seen)", "grey", "bright", "all"]
    shown = [[patch.get_label() for patch in ax.patches] for ax in rows]
    assert shown == [["seen"], ["grey"], ["bright"], ["seen", "grey", "bright"]]
    for ax in rows[:3]:
        (patch,) = ax.patches
        heights, edges, _ = patch.get_data()
        assert heights @ np.diff(edges) == pytest.approx(1)  # densities: no score is lost
    titles = [ax.get_title() for ax in figures["examples"].axes]
    assert titles == ["dark\n(seen)", "grey", "bright"]


def test_many_methods_are_drawn_on_several_pages():
    labels = [f"m{place}" for place in range(8)]
    measurements = [measure(Darkness(1.0 + place)) for place in range(8)]
    records = [record_of(m, label, data="dark") for m, label in zip(measurements, labels)]
    figures = OODAuroc().draw(records, [m.arrays for m in measurements])
    assert set(figures) == {"scores", "scores_2", "roc", "examples"}
    assert [ax.get_title() for ax in figures["scores_2"].axes if ax.get_title()] == ["m6", "m7"]


def test_scores_far_below_the_range_shown_are_in_the_first_bin():
    class Steep(Likelihood):
        bound = "score"

        def score(self, x, *, rng=None):
            level = x.flatten(1).mean(1) * 255
            return torch.where(level < 50, -160_000.1 - level / 1000, -1e7)

    measurement = measure(Steep())
    figures = OODAuroc().draw([record_of(measurement, "steep", data="dark")], [measurement.arrays])
    (patch,) = figures["scores"].axes[1].patches
    heights, edges, _ = patch.get_data()
    assert heights[0] * (edges[1] - edges[0]) == pytest.approx(1)
