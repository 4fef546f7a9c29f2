"""attribute_structure: planted dependence comes first, shuffled attributes look like chance; it scales."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from protocol_fakes import Normal, QualityClock, TimingClock, record_of, seeded, values_of

import mfbench
from mfbench.contracts import Dataset, Disentangler, Split
from mfbench.errors import Unsupported, UserError
from mfbench.protocols import structure_neighbours
from mfbench.protocols import structure_statistics as statistics
from mfbench.protocols.attribute_structure import (
    AttributeStructure,
    at_their_largest,
    information_contributions,
)
from mfbench.protocols.structure_attributes import COMPUTED, binary_attributes, pixel_statistics
from mfbench.protocols.structure_neighbours import nearest_others
from mfbench.timing import reset_resident_peak, resident_peak

K = 12


class Planted(Dataset):
    """Images of 16 pixels. Attributes 3 and 7 move pixels (0.9, and 0.5 with more noise); the others do not.

    With people, their images share attributes 5 to 11 and a place of their own in the other pixels.
    """

    name, shape = "planted", (1, 4, 4)

    def __init__(self, people=None, count=800, *, seed=0):
        super().__init__(seed=seed)
        self.people, self.count = people, count

    def make_split(self, split):
        rng = torch.Generator().manual_seed(10 * self.seed + ["train", "val", "test"].index(split))
        attributes = (torch.rand(self.count, K, generator=rng) < 0.4).long()
        x = 0.2 * torch.rand(self.count, 16, generator=rng)
        person = None
        if self.people:
            person = torch.arange(self.count) % self.people
            shared = (torch.rand(self.people, K, generator=rng) < 0.4).long()
            attributes[:, 5:] = shared[person, 5:]
            x = x + 5 * torch.rand(self.people, 16, generator=rng)[person]
        else:
            x[:, 0] += 0.9 * attributes[:, 3]
            x[:, 1] += 0.3 * attributes[:, 7] * torch.rand(self.count, generator=rng)
        names = {"attributes": tuple(f"a{j}" for j in range(K))}
        return Split(x.reshape(-1, 1, 4, 4), attributes=attributes, identity=person, names=names)


class Flat(Disentangler):
    def encode(self, x):
        return x.flatten(1)


def evaluate(data, method=None, clock=None, **parameters):
    return AttributeStructure().evaluate(
        method or Flat(), data, rng=seeded(), clock=clock or QualityClock(), **parameters
    )


@pytest.fixture(scope="module")
def planted():
    return evaluate(Planted())


def of_attributes(measurement, metric):
    found = values_of(measurement)
    return {part: value for (name, part), value in found.items() if name == metric and part}


def test_planted_dependence_is_found_first(planted):
    for metric in ("kl", "information"):
        values = {part: value.value for part, value in of_attributes(planted, metric).items()}
        assert sorted(values, key=values.get, reverse=True)[:2] == ["a3", "a7"], metric
    information, null, p = (of_attributes(planted, m) for m in ("information", "null_kl", "p_value"))
    assert information["a3"].value > 0.9
    kl = of_attributes(planted, "kl")
    for name in ("a3", "a7"):
        assert kl[name].ci_low > null[name].ci_high
        assert p[name].value == pytest.approx(1 / 201)
    assert of_attributes(planted, "shift")["a3"].ci_high < 0


def test_attributes_that_nobody_planted_look_like_chance(planted):
    kl, null, p = (of_attributes(planted, metric) for metric in ("kl", "null_kl", "p_value"))
    shift = of_attributes(planted, "shift")
    free = [name for name in kl if name not in ("a3", "a7")]
    assert sum(kl[name].ci_low <= null[name].value <= kl[name].ci_high for name in free) >= len(free) - 1
    assert sum(shift[name].ci_low <= 0 <= shift[name].ci_high for name in free) >= len(free) - 2
    assert sum(p[name].value < 0.05 for name in free) <= 2


def test_shuffled_attributes_give_intervals_that_contain_the_null():
    """Over 120 attributes that have nothing to do with the points."""
    rng = np.random.default_rng(0)
    points = torch.from_numpy(rng.standard_normal((600, 3)))
    attributes = (rng.random((600, 120)) < np.linspace(0.1, 0.9, 120)).astype(np.int8)
    neighbours = nearest_others(points).numpy()
    found = statistics.dependence(statistics.counts_of(attributes, neighbours))
    counts = statistics.counts_by_cluster(attributes, neighbours, np.arange(600))
    drawn = statistics.resampled(counts, 300, rng).kl
    null = statistics.shuffled(attributes, neighbours, None, 100, rng)
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    assert np.mean((low <= null.mean(axis=0)) & (null.mean(axis=0) <= high)) > 0.9
    assert 0.01 < np.mean(np.mean(null >= found.kl, axis=0) < 0.05) < 0.12


def test_people_are_shuffled_where_they_are_excluded():
    """What a person's images share is 40 examples and not 800: shuffled images would be too sure."""
    data = Planted(people=40)
    apart = evaluate(data, exclude_identity=True)
    together = evaluate(data)
    assert values_of(together)["identity_recall", ""].value > 0.95
    assert ("identity_recall", "") not in values_of(apart)
    shared = [f"a{j}" for j in range(5, K)]
    information = of_attributes(together, "information")
    assert min(information[name].value for name in shared) > 0.8  # neighbours are the same person
    p_apart = of_attributes(apart, "p_value")
    assert sum(p_apart[name].value < 0.05 for name in shared) <= 2
    neighbours = nearest_others(data.test.x.flatten(1), data.test.identity).numpy()
    attributes = data.test.attributes.numpy().astype(np.int8)
    naive = statistics.shuffled(attributes, neighbours, None, 100, np.random.default_rng(0))
    right = statistics.shuffled(attributes, neighbours, np.arange(800) % 40, 100, np.random.default_rng(0))
    assert right[:, 5:].mean() > 3 * naive[:, 5:].mean()
    assert right[:, :5].mean() < 2 * naive[:, :5].mean()


def test_divergence_and_information_by_hand():
    found = statistics.dependence(np.array([[30, 10, 20, 40], [50, 0, 0, 50], [25, 25, 25, 25]]))
    p, q = 60.5 / 101, 20.5 / 51
    assert found.kl[0] == pytest.approx(p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)))
    assert found.shift[0] == pytest.approx(q - p)
    entropy = -0.4 * math.log(0.4) - 0.6 * math.log(0.6)
    cells = ((0.3, 0.4, 0.5), (0.1, 0.4, 0.5), (0.2, 0.6, 0.5), (0.4, 0.6, 0.5))
    assert found.information[0] == pytest.approx(
        sum(c * math.log(c / (a * b)) for c, a, b in cells) / entropy
    )
    assert found.information[1] == pytest.approx(1)
    assert found.information[2] == pytest.approx(0, abs=1e-12)
    assert np.isfinite(found.kl).all()
    assert statistics.dependence(np.array([[10, 0, 0, 0]])).information[0] == 0


def test_counts_and_their_parts():
    attributes = np.array([[0], [1], [1], [0]], dtype=np.int8)
    neighbours = np.array([1, 2, 1, 0])
    assert statistics.counts_of(attributes, neighbours).tolist() == [[1, 1, 0, 2]]
    parts = statistics.counts_by_cluster(attributes, neighbours, np.array([0, 0, 1, 1]))
    assert parts.sum(axis=0).tolist() == [[1, 1, 0, 2]]
    assert parts[1].tolist() == [[1, 0, 0, 1]]


def test_contributions_have_the_mean_of_the_information():
    rng = np.random.default_rng(0)
    attributes = (rng.random((500, 4)) < 0.3).astype(np.int8)
    attributes[1::2, 0] = attributes[::2, 0]
    neighbours = np.arange(500) ^ 1
    expected = statistics.dependence(statistics.counts_of(attributes, neighbours)).information
    contributions = information_contributions(attributes, neighbours)
    assert contributions.mean() == pytest.approx(expected.mean())
    assert expected[0] == pytest.approx(1)


def test_neighbours_against_all_distances(monkeypatch):
    monkeypatch.setattr(structure_neighbours, "ROWS", 7)
    monkeypatch.setattr(structure_neighbours, "COLUMNS", 11)
    rng = torch.Generator().manual_seed(0)
    points = 100 + torch.randn(60, 3, generator=rng, dtype=torch.float64)
    identity = torch.arange(60) % 9
    apart = torch.cdist(points, points).fill_diagonal_(torch.inf)
    assert torch.equal(nearest_others(points), apart.argmin(1))
    apart[identity[:, None] == identity] = torch.inf
    assert torch.equal(nearest_others(points, identity), apart.argmin(1))


def test_a_point_is_not_its_own_neighbour_even_among_equals():
    points = torch.zeros(5, 2)
    assert nearest_others(points).tolist() == [1, 0, 0, 0, 0]
    with pytest.raises(Unsupported, match="two people or more"):
        nearest_others(points, torch.zeros(5))


def test_memory_does_not_grow_with_the_square():
    if not reset_resident_peak():
        pytest.skip("the kernel does not say how much memory was held at most")
    points = torch.randn(16_384, 16, generator=seeded())
    reset_resident_peak()
    before = resident_peak()
    nearest_others(points)
    added = resident_peak() - before
    # All distances would be 1 GiB. 200,000 x 512 takes points and a copy, 0.8 GiB, and blocks: < 4 GB.
    assert added < 300 * 2**20


@pytest.mark.slow
def test_time_grows_with_the_square_of_the_points():
    import time

    def seconds(n):
        points = torch.randn(n, 512, generator=seeded())
        started = time.process_time()
        nearest_others(points)
        return time.process_time() - started

    seconds(1000)
    small, large = seconds(4000), seconds(16_000)
    assert large / small < 32  # 16, and room for caches; 200,000 x 512 is 156 times 16,000


def test_embeddings_that_share_everything_or_nothing():
    data = Planted(count=400)

    class Whole(Flat):
        def encode(self, x):
            where = (data.test.x.flatten(1)[None] == x.flatten(1)[:, None]).all(2).float().argmax(1)
            return data.test.attributes[where][:, :3].float()

    found = of_attributes(evaluate(data, Whole()), "information")
    assert min(found[f"a{j}"].value for j in range(3)) == pytest.approx(1)
    assert max(found[f"a{j}"].value for j in range(3, K)) < 0.2


def test_attributes_computed_where_there_are_none():
    class Shades(Dataset):
        name, shape = "shades", (1, 8, 8)

        def make_split(self, split):
            rng = torch.Generator().manual_seed(["train", "val", "test"].index(split))
            return Split(torch.rand(120, 1, 1, 1, generator=rng) * torch.rand(120, 1, 8, 8, generator=rng))

    names, values, notes = binary_attributes(Shades(), None)
    assert names == COMPUTED
    assert values.shape == (120, 6)
    assert "computed from pixels" in notes[0]
    image = torch.zeros(1, 1, 8, 8)
    image[:, :, :, :4] = 1
    bright, contrast, left, above, detail, middle = pixel_statistics(image)[0]
    assert (bright, left, above, middle) == (0.5, 1.0, 0.0, 0.0)
    assert contrast == pytest.approx(0.5, abs=0.01)
    assert detail == pytest.approx(1 / 7)
    assert of_attributes(evaluate(Shades()), "information")["bright"].value > 0.3


@pytest.mark.skipif(
    not (Path(os.environ.get("MFBENCH_DATA", "/none")) / "orl_faces").exists(), reason="no ORL faces here"
)
def test_on_orl_faces_attributes_are_computed():
    found = evaluate(mfbench.get("dataset", "orl_faces", size=32))
    assert values_of(found)["identity_recall", ""].value > 0.5
    assert len(of_attributes(found, "kl")) >= 4


def test_what_cannot_be_measured():
    with pytest.raises(Unsupported, match="no identities to exclude"):
        evaluate(Planted(), exclude_identity=True)
    with pytest.raises(UserError, match="permutations = 3"):
        evaluate(Planted(), permutations=3)
    with pytest.raises(Unsupported, match="no attributes, and no images"):
        evaluate(Normal(), Flat())

    class Tens(Planted):
        def make_split(self, split):
            made = super().make_split(split)
            return Split(made.x, attributes=10 * made.attributes, names=made.names)

    with pytest.raises(Unsupported, match="no attributes of the values 0 and 1"):
        evaluate(Tens())


def test_the_timing_pass_embeds_a_hundred_images():
    clock = TimingClock()
    assert not evaluate(Planted(), clock=clock).values
    assert clock.result.shape == (100, 16)


def test_figure_and_findings(planted):
    records = [record_of(planted, "flat"), record_of(planted, "told", role="ceiling")]
    protocol = AttributeStructure()
    figure = protocol.draw(records, [planted.arrays, planted.arrays])["structure"]
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()][-2:] == ["a7", "a3"]
    (sentence,) = protocol.findings(records)
    assert sentence.startswith("flat: neighbours follow a3 (")
    assert protocol.draw([], []) == {}


def test_neighbours_of_other_people_are_shown_and_told_apart(planted):
    records = [record_of(planted, "flat"), record_of(planted, "flat", exclude_identity=True)]
    protocol = AttributeStructure()
    assert set(protocol.draw(records, [planted.arrays] * 2)) == {"structure", "structure-others"}
    all_, others = protocol.findings(records)
    assert all_.startswith("flat: neighbours follow a3")
    assert others.startswith("flat: neighbours of other people follow a3")


def test_a_divergence_that_cannot_grow_is_noted():
    """Half an image is added to both counts: so far from each other and no further."""
    pairs = np.array([[500, 0, 0, 500], [400, 100, 100, 400]])
    assert at_their_largest(("told", "half told"), pairs) == ["kl is as large as so many images allow: told"]
    assert not at_their_largest(("half told",), pairs[1:])


def test_bad_numbers_are_told_before_anything_runs():
    with pytest.raises(UserError, match="permutations = 3"):
        AttributeStructure().check_parameters(count=None, resamples=500, permutations=3)
