"""sample_quality on images: features, copies of training images, and what is drawn of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mfbench_baselines.oracles import HeldOut
from protocol_fakes import Normal, QualityClock, fitted, record_of, seeded, values_of

from mfbench import measures
from mfbench.contracts import Dataset, Defense, GenerativeModel, HasFeatures, Split
from mfbench.errors import ContractError, UserError
from mfbench.protocols.sample_copies import Copies, Neighbours, copies, nearest
from mfbench.protocols.sample_features import features_of
from mfbench.protocols.sample_image_figures import as_bytes, mosaic
from mfbench.protocols.sample_quality import PIXELS, SampleQuality

COUNT = 150


class Stripes(Dataset):
    """Noise around stripes at one of eight places, (n, channels, side, side) in [0, 1]."""

    name = "stripes"

    def __init__(self, channels=1, side=8, *, seed=0):
        super().__init__(seed=seed)
        self.shape = (channels, side, side)

    def make_split(self, split):
        rng = seeded({"train": 1, "val": 2, "test": 3}[split])
        n = 600 if split == "train" else 200
        y = torch.randint(8, (n,), generator=rng)
        x = 0.4 * torch.rand(n, *self.shape, generator=rng)
        x[torch.arange(n), :, y] += 0.5
        return Split(x, y, names={"classes": tuple("01234567")})


class RowMeans(Defense, HasFeatures):
    """Features: the mean of each row of an image."""

    largest = 0.0

    def features(self, x):
        self.largest = max(self.largest, float(x.abs().max()))
        return x.mean(dim=(1, 3))


class Giving(GenerativeModel):
    """Rows of a fixed set of images, then something done to them."""

    def __init__(self, x, change=lambda x: x):
        self.x, self.change = x, change

    def sample(self, count, *, rng):
        return self.change(self.x[torch.randint(len(self.x), (count,), generator=rng)])


DATA = Stripes()
ROWS = RowMeans()


def measure(method, data=DATA, features=ROWS, count=COUNT):
    return SampleQuality().evaluate(
        method, data, rng=seeded(), clock=QualityClock(), count=count, features=features
    )


def found(method, **arguments):
    return values_of(measure(method, **arguments))


@pytest.fixture(scope="module")
def ceiling():
    return measure(fitted(HeldOut(), DATA))


def test_held_out_images_are_at_the_floor(ceiling):
    values = values_of(ceiling)
    for metric in ("kid", "energy_distance"):
        assert values[metric, ""].ci_low < 0 < values[metric, ""].ci_high
    for part in ("", "features"):
        assert values["copying", part].ci_low < 0.5 < values["copying", part].ci_high
        assert values["copied", part].ci_low < 0.05 < values["copied", part].ci_high
    assert values["c2st_accuracy", "features"].ci_low < 0.5 < values["c2st_accuracy", "features"].ci_high
    assert min(values[metric, "features"].value for metric in ("precision", "recall", "coverage")) > 0.85


def test_features_are_measured_as_the_measures_do(ceiling):
    sampled = fitted(HeldOut(), DATA)
    other = found(Giving(DATA.train.x[:300], lambda x: x.flip(-1)))
    assert ("kid", "") in other
    x = DATA.val.x[:COUNT]
    values = found(Always(x))
    a, b = x.mean(dim=(1, 3)), DATA.test.x[:COUNT].mean(dim=(1, 3))
    assert values["fid", ""].value == measures.frechet_distance(a, b)
    kernel = measures.kernel_distance(a, b)
    assert (values["kid", ""].value, values["kid", ""].ci_low) == (kernel.value, kernel.low)
    overlap = measures.precision_recall_density_coverage(a, b)
    assert values["density", "features"].value == overlap.density
    assert values["density", ""].value != overlap.density
    assert sampled.role == "ceiling"


class Always(GenerativeModel):
    def __init__(self, x):
        self.x = x

    def sample(self, count, *, rng):
        return self.x[:count]


def test_lost_classes_are_seen_in_features():
    train = DATA.train
    values = found(Giving(train.x[train.y < 4]))
    assert values["kid", ""].ci_low > 0
    assert values["recall", "features"].value < 0.7
    assert values["c2st_accuracy", "features"].ci_low > 0.55


def test_copies_of_training_images_are_found_out(ceiling):
    values = found(Giving(DATA.train.x))
    for part in ("", "features"):
        assert values["copying", part].value == 1.0
        assert values["copied", part].value == 1.0
    assert abs(values["energy_distance", ""].value) < 0.05  # which no distance to the data's law shows


def test_a_few_copies_are_found_out():
    mixed = DATA.val.x[:COUNT].clone()
    mixed[::3] = DATA.train.x[: len(mixed[::3])]
    values = found(Always(mixed))
    assert values["copied", ""].ci_low < 1 / 3 + 2 / 3 * 0.05 < values["copied", ""].ci_high


def test_noise_is_no_copy():
    values = found(Giving(torch.rand(300, 1, 8, 8, generator=seeded(5))))
    assert values["copying", ""].value < 0.05
    assert values["copied", ""].value == 0.0


def test_without_features_pixels_alone(ceiling):
    measurement = measure(fitted(HeldOut(), DATA), features=None)
    values = values_of(measurement)
    assert measurement.notes == ["compared by pixels alone: no `features` were given"]
    assert not {metric for metric, _ in values} & {"kid", "fid"}
    assert {part for _, part in values} == {""}
    with_features = values_of(ceiling)
    assert all(with_features[key] == value for key, value in values.items())
    assert np.array_equal(measurement.scores["samples"], ceiling.scores["samples"])


def test_the_note_tells_of_the_bias_of_fid():
    assert measure(Giving(DATA.train.x)).notes == [
        "fid: 150 samples in 8 dimensions, biased upwards by about d / n; read it beside the ceiling"
    ]


def test_large_images_have_no_classifier_test_on_pixels():
    data = Stripes(channels=3, side=40)
    assert math.prod(data.shape) > PIXELS
    measurement = measure(Giving(data.val.x), data=data, count=40)
    parts = {part for metric, part in values_of(measurement) if metric == "c2st_accuracy"}
    assert parts == {"features"}
    assert measurement.notes[0] == "no classifier test on pixels: more than 4096"


def test_features_are_given_images_in_range():
    method = RowMeans()
    measure(Giving(DATA.train.x, lambda x: 3 * x - 1), features=method)
    assert method.largest <= 1.0


class Broken(Defense, HasFeatures):
    def features(self, x):
        return torch.full((len(x), 3), math.nan)


def test_features_that_cannot_be():
    with pytest.raises(UserError, match="features = HeldOut has no features"):
        measure(Giving(DATA.train.x), features=HeldOut())
    with pytest.raises(UserError, match="features are for images"):
        measure(Giving(torch.randn(9, 2)), data=Normal(count=200))
    with pytest.raises(ContractError, match=r"Broken.features returned non-finite values in \d+ of"):
        measure(Giving(DATA.train.x), features=Broken())


def test_features_take_no_gradient():
    class Learned(RowMeans):
        def features(self, x):
            assert not torch.is_grad_enabled()
            return super().features(x)

    assert features_of(DATA.test.x, Learned()).shape == (200, 8)


# -- neighbours ---------------------------------------------------------------------------------------------


def test_nearest_is_the_nearest_whatever_the_batches():
    x, y = torch.randn(40, 7, generator=seeded(1)), torch.randn(101, 7, generator=seeded(2))
    every = torch.cdist(x.double(), y.double())
    for size in (101, 10, 1):
        neighbours = nearest(x, iter(y.split(size)))
        assert neighbours.rows.tolist() == every.argmin(1).tolist()
        assert np.allclose(neighbours.distance, every.min(1).values, rtol=1e-12)


def test_a_copy_is_at_distance_zero():
    y = 100 + torch.randn(50, 30, generator=seeded(3))
    neighbours = nearest(y[20:30], iter(y.split(16)))
    assert neighbours.rows.tolist() == list(range(20, 30))
    assert not neighbours.distance.any()


def test_ratio():
    def at(*distance):
        return Neighbours(np.zeros(3, dtype=np.int64), np.array(distance))

    copied = Copies(at(1.0, 2.0, 0.0), at(1.0, 1.0, 1.0), at(2.0, 0.0, 0.0))
    assert copied.ratio.tolist() == [0.5, math.inf, 1.0]


def test_neighbours_are_sought_where_they_are_embedded():
    train = Split(torch.tensor([[[[0.0, 9.0]]], [[[5.0, 0.0]]]]))
    sample, held_out = torch.tensor([[[[0.1, 0.0]]]]), torch.tensor([[[[3.0, 0.0]]]])
    by_pixel = copies(sample, held_out, train, lambda x: x.flatten(1))
    by_first = copies(sample, held_out, train, lambda x: x.flatten(1)[:, :1])
    assert (by_pixel.samples.rows.item(), by_first.samples.rows.item()) == (1, 0)
    assert by_first.held_out.distance.tolist() == [2.0]
    assert by_first.to_held_out.distance.item() == pytest.approx(2.9)


# -- figures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_figures(channels):
    data = Stripes(channels=channels)
    held = measure(fitted(HeldOut(), data), data=data)
    pixels = measure(Giving(data.train.x), data=data, features=None)
    records = [record_of(held, "held_out", "ceiling", "stripes"), record_of(pixels, "copies")]
    figures = SampleQuality().draw(records, [held.arrays, pixels.arrays])
    assert set(figures) == {"samples", "nearest_training"}
    titles = [ax.get_title() for ax in figures["samples"].axes]
    assert titles == ["stripes: held out", "held_out", "copies"]
    drawn = figures["nearest_training"].axes
    assert len(drawn) == 2 * 3 * 8
    assert [ax.get_xlabel() for ax in drawn[32:40]] == ["0.00"] * 8  # the second method, in pixels
    assert pixels.arrays["copy_near:pixels"].tolist() == pixels.arrays["copy_samples"].tolist()
    for figure in figures.values():
        figure.canvas.draw()


def test_mosaic():
    images = np.arange(3 * 2 * 2 * 2, dtype=np.uint8).reshape(3, 2, 2, 2)
    whole = mosaic(images, 2)
    assert whole.shape == (5, 5, 2)
    assert np.array_equal(whole[:2, 3:], images[1].transpose(1, 2, 0))
    assert np.array_equal(whole[3:, :2], images[2].transpose(1, 2, 0))
    assert (whole[3:, 3:] == 255).all()
    assert (whole[2] == 255).all()
    assert (whole[:, 2] == 255).all()
    assert np.array_equal(mosaic(images[:1], 1), images[0].transpose(1, 2, 0))


def test_bytes_are_clamped_and_rounded():
    assert as_bytes(torch.tensor([-1.0, 0.0, 0.499 / 255, 0.501 / 255, 1.0, 7.0])).tolist() == [
        *(0, 0, 0, 1),
        *(255, 255),
    ]
