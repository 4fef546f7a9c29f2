"""message_stability: information between views by hand, messages that break, and no label read."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from mfbench_baselines.factor_oracle import OracleFactors
from protocol_fakes import Normal, QualityClock, TimingClock, record_of, seeded, values_of
from scipy.stats import entropy
from semantic_fakes import Tiles
from sklearn.metrics import mutual_info_score

from mfbench.contracts import Disentangler
from mfbench.errors import Unsupported, UserError
from mfbench.protocols.message_stability import MessageStability, contributions
from mfbench.protocols.views import viewed, views

DATA = Tiles()


def evaluate(method, data=DATA, clock=None, **parameters):
    protocol = MessageStability()
    return protocol.evaluate(method, data, rng=seeded(), clock=clock or QualityClock(), **parameters)


def means(measurement):
    return {key[0]: value.value for key, value in values_of(measurement).items()}


class Thresholds(Disentangler):
    """One position a weight: whether the mean brightness, times it, exceeds a half of it."""

    def __init__(self, weights=(1.0,)):
        self.weights = torch.tensor(weights)

    def encode(self, x):
        return x.mean(dim=(1, 2, 3))[:, None] * self.weights

    def symbols(self, x):
        return (self.encode(x) > self.weights / 2).long()


def test_contributions_average_to_plug_in_information():
    rng = np.random.default_rng(0)
    own = rng.integers(0, 3, (500, 3))
    one, other = own.copy(), np.where(rng.random((500, 3)) < 0.3, 0, own)
    kept, repeated, spread = contributions(own, one, other)
    assert kept.mean() == pytest.approx(sum(mutual_info_score(a, b) for a, b in zip(one.T, other.T)))
    pairs = [(0, 1), (0, 2), (1, 2)]
    assert repeated.mean() == pytest.approx(sum(mutual_info_score(own[:, i], own[:, j]) for i, j in pairs))
    assert spread.mean() == pytest.approx(sum(entropy(np.bincount(column)) for column in own.T))


def test_a_message_that_survives_keeps_its_entropy_and_one_said_twice_counts_once():
    """Brightness is hardly touched by maps of so little strength: all that is told is kept."""
    once = means(evaluate(Thresholds(), strength=1e-3))
    assert once["kept"] == once["entropy"] == pytest.approx(once["information"])
    assert once["repeated"] == 0
    twice = means(evaluate(Thresholds((1.0, 2.0)), strength=1e-3))
    assert twice["kept"] == pytest.approx(2 * once["kept"])
    assert twice["information"] == pytest.approx(once["information"])


def test_the_stronger_the_maps_the_less_is_kept():
    class Corner(Thresholds):
        def symbols(self, x):
            return (x[:, 0, :1, 0] > 0.5).long()

    kept = [means(evaluate(Corner(), strength=strength))["kept"] for strength in (0.01, 0.7, 4.0)]
    assert kept[0] > 0.65
    assert kept[0] - 0.1 > kept[1] > kept[2] + 0.05


def test_chance_keeps_nothing_beyond_the_bias_of_the_estimate():
    class Chance(Thresholds):
        def symbols(self, x):
            salt = int(1e6 * x.double().sum())
            return torch.randint(2, (len(x), 1), generator=torch.Generator().manual_seed(salt))

    found = values_of(evaluate(Chance()))["information", ""]
    assert abs(found.value) < 0.01
    assert found.ci_low <= found.value <= found.ci_high


def test_codes_without_a_message_are_cut_and_a_note_says_so():
    class Bare(Disentangler):
        def encode(self, x):
            return x.flatten(1)[:, ::13]

    measurement = evaluate(Bare(), parts=3)
    assert "at most 3 equally frequent parts" in measurement.notes[0]
    assert means(measurement)["entropy"] > 0


def test_neither_labels_nor_test_images_are_looked_at():
    class Hidden(Tiles):
        def make_split(self, split):
            assert split == "val"
            return replace(super().make_split(split), attributes=None)

    assert means(evaluate(Thresholds(), Hidden()))["labels_used"] == 0


def test_views_are_independent_keep_the_middle_and_follow_their_generator():
    x = torch.rand(50, 1, 9, 17, generator=seeded())
    one, other = views(x, 1.0, seeded(1))
    assert not torch.equal(one, other)
    assert torch.equal(one, viewed(x, 1.0, seeded(1)))
    torch.testing.assert_close(viewed(x, 0.0, seeded()), x, atol=1e-5, rtol=0)


def test_a_shear_is_as_many_pixels_in_wide_images_as_in_square_ones():
    """x goes to x + a y in pixels: what lies 8 pixels above the middle moves by 0.25 of that at the most."""
    for width in (17, 41):
        x = torch.zeros(4000, 1, 17, width)
        x[:, :, 0, width // 2] = 1
        shown = viewed(x, 1.0, seeded()).sum(dim=(0, 1))
        columns = shown.sum(dim=0).nonzero()[:, 0] - width // 2
        reach = (
            columns.abs().max()
        )  # 8 (.25 of shear) + .85 (shift) over a stretch of at least .85, and a pixel
        assert 3 <= reach <= (8 * 0.25 + 0.85) / 0.85 + 1


def test_images_are_needed_and_attributes_are_not_shown():
    with pytest.raises(Unsupported, match="is for images"):
        evaluate(Thresholds(), Normal())
    with pytest.raises(Unsupported, match="shown attributes"):
        evaluate(OracleFactors())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"count": 99}, "count = 99: at least 100"),
        ({"strength": 0.0}, "strength = 0.0: above 0, at most 4"),
        ({"parts": 1}, "parts = 1: 2 or more"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(given, said):
    with pytest.raises(UserError, match=re.escape(said)):
        MessageStability().check_parameters(**{"count": None, "strength": 1.0, "parts": 6, **given})


def test_timing_measures_and_figures_show_views():
    assert evaluate(Thresholds(), clock=TimingClock()).values == ()
    measurement = evaluate(Thresholds())
    assert measurement.arrays["views"].shape == (16, 1, 4, 12)
    figures = MessageStability().draw([record_of(measurement, "thresholds")], [measurement.arrays])
    assert set(figures) == {"views"}
