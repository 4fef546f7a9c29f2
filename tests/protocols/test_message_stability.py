"""message_stability: information between views by hand, messages that break, and no label read."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from mfbench_baselines.factor_oracle import OracleFactors
from protocol_fakes import Normal, QualityClock, TimingClock, record_of, seeded, values_of
from scipy.ndimage import affine_transform
from scipy.stats import entropy
from semantic_fakes import Tiles
from sklearn.metrics import mutual_info_score

from mfbench.contracts import Disentangler
from mfbench.errors import Unsupported, UserError
from mfbench.measures import student
from mfbench.protocols.message_information import contributions, pointwise
from mfbench.protocols.message_stability import MessageStability
from mfbench.protocols.views import STRONGEST, viewed

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


def symbols_of(rng, shares, size):
    return np.stack([rng.choice(len(share), size, p=share) for share in shares], axis=1)


def plug_in(a, b):
    """Mutual information less Miller's bias, by scikit-learn and by counting."""
    pairs, left, right = (len(set(each)) for each in (zip(a, b), a, b))
    return mutual_info_score(a, b) - (pairs - left - right + 1) / (2 * len(a))


def test_contributions_average_to_information_less_its_bias():
    rng = np.random.default_rng(0)
    own = symbols_of(rng, [[0.5, 0.3, 0.2], [0.2, 0.8], [0.25] * 4], 500)
    one, other = (np.where(rng.random((500, 3)) < share, 0, own) for share in (0.1, 0.3))
    kept, repeated, spread = contributions(own, one, other)
    assert kept.mean() == pytest.approx(sum(plug_in(a, b) for a, b in zip(one.T, other.T)))
    pairs = [(0, 1), (0, 2), (1, 2)]
    assert repeated.mean() == pytest.approx(sum(plug_in(own[:, i], own[:, j]) for i, j in pairs))
    bias = (3 + 2 + 4 - 3) / (2 * 500)
    assert spread.mean() == pytest.approx(sum(entropy(np.bincount(column)) for column in own.T) + bias)


@pytest.mark.parametrize("same", [0.0, 0.5])
def test_the_estimate_is_unbiased_and_the_interval_covers(same):
    """Two positions of six symbols, equal with probability `same` and independent otherwise, 720 images."""
    rng, inside, found = np.random.default_rng(1), 0, []
    equal, apart = same / 6 + (1 - same) / 36, (1 - same) / 36
    truth = 6 * equal * np.log(36 * equal) + 30 * apart * np.log(36 * apart)
    for _ in range(300):
        message = rng.integers(0, 6, (720, 2))
        other = np.where(rng.random((720, 1)) < same, message[:, :1], message[:, 1:])
        value = pointwise(message[:, 0], other[:, 0])
        found.append(value.mean())
        interval = student(value)
        inside += interval.low <= truth <= interval.high
    assert np.mean(found) == pytest.approx(truth, abs=4 * np.std(found) / np.sqrt(300))
    assert np.mean(found) == pytest.approx(truth, abs=0.004)
    assert inside / 300 > (0.9 if same else 0.7)  # without information the law is no normal one


def test_a_message_that_survives_keeps_its_entropy_and_one_said_again_says_nothing_more():
    """Brightness is hardly touched by maps of so little strength: all that is told is kept."""
    once = means(evaluate(Thresholds(), strength=1e-3))
    assert once["kept"] == once["entropy"] == pytest.approx(once["information"])
    assert once["repeated"] == 0
    twice = means(evaluate(Thresholds((1.0, 2.0)), strength=1e-3))
    assert twice["kept"] == pytest.approx(2 * once["kept"])
    assert twice["information"] == pytest.approx(once["information"])
    thrice = means(evaluate(Thresholds((1.0, 2.0, 3.0)), strength=1e-3))
    assert thrice["information"] == pytest.approx(
        0
    )  # three pairs repeat it: for long messages this is severe


def test_what_is_repeated_is_asked_of_the_images_and_what_is_kept_of_their_views():
    class Told(Thresholds):
        """Of images that no map has touched their brightness, twice; of others that of two corners."""

        def symbols(self, x):
            touched = (x.flatten(1) == 0).any(dim=1, keepdim=True)
            corners = torch.stack([x[:, 0, 0, 1], x[:, 0, 0, 10]], dim=1) > 0.4
            return torch.where(touched, corners, x.mean(dim=(1, 2, 3))[:, None] > 0.5).long()

    data, told = Tiles(), Told()
    assert not (data.val.x == 0).any()
    found = means(evaluate(told, data, strength=2.0))
    own = told.symbols(data.val.x).numpy()
    assert found["repeated"] == pytest.approx(plug_in(own[:, 0], own[:, 1])) == found["entropy"] / 2
    rng = seeded()
    shown = [torch.cat([viewed(part, 2.0, rng) for part in data.val.x.split(256)]) for _ in range(2)]
    one, other = (told.symbols(view).numpy() for view in shown)
    assert found["kept"] == pytest.approx(sum(plug_in(a, b) for a, b in zip(one.T, other.T)))


def test_boards_compare_what_methods_are_ranked_by():
    measurement = evaluate(Thresholds((1.0, 2.0)), count=300)
    assert len(measurement.scores["examples"]) == 300
    found = values_of(measurement)["information", ""]
    assert (found.n, found.value) == (300, pytest.approx(measurement.scores["examples"].mean()))


def test_images_of_one_person_are_no_examples_of_their_own():
    class Bright(Thresholds):
        def symbols(self, x):
            return (self.encode(x) > 0.7).long()  # one in eight: rare symbols tell more than the others

    data = Tiles(), Tiles(renderings=4, kept=(0, 1, 2))
    alone, four = (values_of(evaluate(Bright(), each, strength=1e-3))["kept", ""] for each in data)
    assert four.ci_high - four.ci_low > 1.5 * (alone.ci_high - alone.ci_low)


def test_the_stronger_the_maps_the_less_is_kept():
    class Corner(Thresholds):
        def symbols(self, x):
            return (x[:, 0, :1, 0] > 0.5).long()

    kept = [means(evaluate(Corner(), strength=strength))["kept"] for strength in (0.01, 0.7, 2.5)]
    assert kept[0] > 0.65
    assert kept[0] - 0.1 > kept[1] > kept[2] + 0.05


def test_chance_keeps_nothing():
    class Chance(Thresholds):
        def symbols(self, x):
            salt = int(1e6 * x.double().sum())
            return torch.randint(2, (len(x), 1), generator=torch.Generator().manual_seed(salt))

    assert abs(means(evaluate(Chance()))["information"]) < 0.005


def test_codes_without_a_message_are_cut_and_a_note_says_so():
    class Bare(Disentangler):
        def encode(self, x):
            return x.flatten(1)[:, ::13] + 1e-3 * x.mean(dim=(1, 2, 3))[:, None]

    data = Tiles((4, 4))
    measurement = evaluate(Bare(), data, parts=3)
    assert measurement.notes == ["message read from the codes: at most 3 equally frequent parts a dimension"]
    two = means(evaluate(Bare(), data, parts=2))
    assert two["entropy"] < means(measurement)["entropy"] < 3 * np.log(3) + 0.02
    few = evaluate(Bare(), data, parts=3, count=120)
    assert few.notes[1] == "120 images for 3 symbols: estimates and intervals are rough below 180"


def test_neither_labels_nor_test_images_are_looked_at():
    class Hidden(Tiles):
        def make_split(self, split):
            assert split == "val"
            return replace(super().make_split(split), attributes=None)

    assert means(evaluate(Thresholds(), Hidden()))["labels_used"] == 0


def test_views_follow_their_generator_and_without_strength_nothing_moves():
    x = torch.rand(50, 1, 9, 17, generator=seeded())
    assert torch.equal(viewed(x, 1.0, seeded(1)), viewed(x, 1.0, seeded(1)))
    assert not torch.equal(viewed(x, 1.0, seeded(1)), viewed(x, 1.0, seeded(2)))
    torch.testing.assert_close(viewed(x, 0.0, seeded()), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(9, 21), (21, 9), (16, 16)])
def test_a_view_is_the_affine_map_of_its_pixels(shape):
    """By SciPy, whose maps are in pixels (rows, columns) from the corner, at two strengths."""
    x = torch.rand(1, 1, *shape, dtype=torch.float64, generator=seeded(3))
    height, width = shape
    middle = np.array([(height - 1) / 2, (width - 1) / 2])
    for strength in (0.5, 1.0):
        u = 2 * torch.rand(1, 2, 3, generator=seeded(4), dtype=torch.float64)[0].numpy() - 1
        (xx, xy, bx), (yx, yy, by) = strength * u * [[0.15, 0.25, 1], [0.15, 0.15, 1]]
        matrix = np.array([[1 + yy, yx], [xy, 1 + xx]])
        shift = np.array([by, bx]) * 0.05 * min(shape)
        expected = affine_transform(
            np.pad(x[0, 0].numpy(), 1), matrix, middle + 1 + shift - matrix @ (middle + 1), order=1, cval=0.0
        )
        torch.testing.assert_close(
            viewed(x, strength, seeded(4))[0, 0], torch.from_numpy(expected[1:-1, 1:-1]), atol=1e-9, rtol=0
        )


def test_no_view_is_turned_inside_out():
    (xx, xy), (yx, yy) = np.array(((0.15, 0.25), (0.15, 0.15))) * STRONGEST
    assert (1 - xx) * (1 - yy) - xy * yx > 0


def test_images_are_needed_and_attributes_are_not_shown():
    with pytest.raises(Unsupported, match="is for images"):
        evaluate(Thresholds(), Normal())
    with pytest.raises(Unsupported, match="shown attributes"):
        evaluate(OracleFactors())
    with pytest.raises(Unsupported, match="1000 images are asked for, the validation split holds 600"):
        evaluate(Thresholds(), count=1000)
    with pytest.raises(Unsupported, match="90 validation images; at least 100"):
        evaluate(Thresholds(), Tiles(count=90))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"count": 99}, "count = 99: at least 100"),
        ({"strength": 0.0}, "strength = 0.0: above 0, at most 2.5"),
        ({"strength": float("nan")}, "strength = nan: above 0, at most 2.5"),
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
