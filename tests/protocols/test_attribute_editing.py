"""attribute_editing: codes whose edits can be worked out by hand get what they should."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mfbench_baselines.factor_oracle import OracleFactors
from protocol_fakes import QualityClock, TimingClock, fitted, record_of, seeded, values_of
from semantic_fakes import Linear, Perfect, TileJudge, Tiles, duplicated, paint, read, rotated

from mfbench.contracts import Defense, PredictsAttributes
from mfbench.datasets.face_model import ATTRIBUTES
from mfbench.datasets.faces import SyntheticFaces, render
from mfbench.datasets.regions import Regions
from mfbench.datasets.two_digits import TwoDigits8x8
from mfbench.errors import ContractError, Unsupported, UserError
from mfbench.protocols.attribute_editing import AttributeEditing
from mfbench.protocols.editing_handles import handles
from mfbench.protocols.editing_locality import entropies
from mfbench.protocols.editing_outcomes import met_in_training
from mfbench.protocols.probe import balanced_contributions

DATA = Tiles()


def evaluate(method, data=DATA, clock=None, judge=None, **parameters):
    given = {"locality": 0, "classifier": judge or TileJudge(data.values), **parameters}
    return AttributeEditing().evaluate(method, data, rng=seeded(), clock=clock or QualityClock(), **given)


def means(measurement):
    return {key: value.value for key, value in values_of(measurement).items()}


@pytest.fixture(scope="module")
def perfect():
    return evaluate(Perfect(labels_used=1.0), locality=60, left_out=["tile 2"])


def test_a_perfect_code_edits_one_attribute_and_nothing_else(perfect):
    found = means(perfect)
    for metric in ("edit_quality", "success", "preserved", "preserved_truth", "probe_accuracy"):
        for part in ("", "tile 0", "tile 2", "left out mean", "given mean"):
            assert found[metric, part] == pytest.approx(1), (metric, part)
    assert found["success", "added"] == found["success", "removed"] == 1
    assert found["flipped", ""] == found["classifier_accuracy", ""] == 1
    assert found["semantic_entropy", ""] == found["local_entropy", "dimension 1"] == pytest.approx(0)
    assert found["variance", "tile 0"] == pytest.approx(0.25, abs=0.01)
    assert found["labels_used", ""] == 1
    assert not perfect.notes


def test_every_number_has_an_interval_and_scores_give_the_primary_one(perfect):
    for (metric, part), value in values_of(perfect).items():
        if metric != "labels_used":
            assert value.ci_low <= value.value <= value.ci_high, (metric, part)
    found = evaluate(rotated())
    assert found.scores["examples"].mean() == pytest.approx(means(found)["edit_quality", ""])
    assert len(evaluate(Perfect(), Tiles(renderings=4)).scores["examples"]) < 300  # people, not images


def test_a_rotated_code_takes_another_attribute_along():
    """Set to the mean of the new value, (a + b) / sqrt 2 flips both where they agree, and none where not."""
    found = means(evaluate(rotated(), count=1200))
    assert found["success", "tile 0"] == pytest.approx(0.5, abs=0.05)
    assert found["preserved", "tile 0"] == pytest.approx(0.75, abs=0.03)
    assert found["edit_quality", "tile 0"] == pytest.approx(0.25, abs=0.03)
    assert found["edit_quality", "tile 2"] == 1
    assert found["edit_quality", ""] == pytest.approx(0.5, abs=0.03)


def test_half_of_a_duplicated_code_needs_more_strength():
    assert means(evaluate(duplicated(), strength=0.9))["success", ""] == 0
    assert means(evaluate(duplicated(), strength=2.0))["edit_quality", ""] == 1


def test_neither_doing_nothing_nor_one_image_for_all_is_worth_anything():
    class Deaf(Perfect):
        def decode(self, z):
            return paint(torch.zeros_like(z), self.values)

    found = means(evaluate(Deaf()))
    assert found["edit_quality", ""] == found["success", ""] == found["flipped", ""] == 0
    assert found["preserved", ""] == 1
    assert found["preserved_truth", ""] == pytest.approx(0.5, abs=0.05)


def test_an_attribute_that_is_not_in_the_code_is_told_so():
    class Partial(Perfect):
        def encode(self, x):
            return super().encode(x) * torch.tensor([1.0, 1.0, 1e-3])

        def decode(self, z):
            return paint(torch.cat([z[:, :2], 0.5 + 0 * z[:, 2:]], dim=1), self.values)

    measurement = evaluate(Partial(), left_out=["tile 2"])
    found = means(measurement)
    assert found["flipped", "left out mean"] == 0
    assert found["edit_quality", "given mean"] == 1
    assert found["probe_accuracy", "tile 2"] == 1  # the code still tells it; the decoder does not listen
    assert measurement.notes == ["dimension collapsed (variance below 0.01): tile 2"]


def test_the_probe_is_fitted_on_validation_and_balanced():
    rng = np.random.default_rng(0)
    labels, truth = (rng.random(800) < 0.1).astype(int), (rng.random(800) < 0.1).astype(int)
    noise = rng.standard_normal((800, 3))
    assert balanced_contributions(noise, labels, noise, truth).mean() == pytest.approx(0.5, abs=0.08)
    assert balanced_contributions(labels[:, None], labels, truth[:, None], truth).mean() == pytest.approx(1)
    assert balanced_contributions(labels[:, None], labels, 0 * truth[:, None], truth).mean() == pytest.approx(
        0.5
    )


def test_several_values_are_edited_to_any_other():
    data = Tiles((4, 3))
    found = means(evaluate(Perfect((4, 3)), data))
    assert found["edit_quality", ""] == 1
    handle = handles(data.val.attributes.float(), data.val.attributes.numpy(), 1.0)[0]
    target = handle.others(np.repeat([0, 1, 2, 3], 300), np.random.default_rng(0)).reshape(4, 300)
    assert [sorted(set(row)) for row in target.tolist()] == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_edits_against_the_correlation_of_the_training_images():
    class Conformist(Perfect):
        """Draws tile 1 as tile 0 is, whatever the code says, where both are told to differ."""

        def decode(self, z):
            differ = (z[:, 0].round() != z[:, 1].round())[:, None]
            agreed = torch.stack([z[:, 0], z[:, 0], z[:, 2]], dim=1)
            return paint(torch.where(differ, agreed, z), self.values)

    data = Tiles(copied=0.9)
    kept = means(evaluate(Perfect(), data, count=600))
    assert kept["success", "rare pairs"] == kept["success", "usual pairs"] == 1
    found = means(evaluate(Conformist(), data, count=600))
    assert found["success", "usual pairs"] - found["success", "rare pairs"] > 0.2


def test_pairs_that_training_never_shows():
    train = np.array([[0, 0], [1, 1], [0, 0], [1, 0]])
    truth, target = np.array([[0, 0], [1, 1]]), np.array([[1, 1], [0, 0]])
    unseen, rare = met_in_training(train, truth, target)
    # (1, 0) is there; (0, 1) is not, whichever attribute is edited to make it; nothing else is asked for
    assert unseen.tolist() == [[False, True], [True, False]]
    assert not rare.any()


def test_local_and_global_disentanglement():
    class Turncoat(Perfect):
        """Where tile 2 is bright, the first two dimensions swap what they stand for."""

        def encode(self, x):
            codes = super().encode(x)
            return torch.where(codes[:, 2:].round() > 0, codes[:, [1, 0, 2]], codes)

        def decode(self, z):
            return paint(torch.where(z[:, 2:].round() > 0, z[:, [1, 0, 2]], z), self.values)

    found = means(evaluate(Turncoat(), locality=300))
    assert found["semantic_entropy", "dimension 0"] == pytest.approx(math.log(2) / math.log(3), abs=0.02)
    assert found["local_entropy", "dimension 0"] == 0
    assert found["local_entropy", "dimension 2"] > 0  # takes the others along where they differ
    assert entropies(np.array([[True, True, False]] * 5)) == pytest.approx((math.log(2) / math.log(3),) * 2)
    assert all(math.isnan(value) for value in entropies(np.zeros((5, 3), dtype=bool)))


@pytest.mark.parametrize("drawn_size", [None, 32])
def test_outside_of_its_region_an_attribute_changes_nothing(drawn_size):
    data = SyntheticFaces(count=40, test_count=12, size=16, drawn_size=drawn_size)
    regions = Regions(data.to("cpu").without_test(), "test")
    face, _ = data.faces("test")
    for name in ("smile", "glasses", "beard", "hat"):
        other = face.attributes.clone()
        other[:, ATTRIBUTES.index(name)] = 1 - other[:, ATTRIBUTES.index(name)]
        drawn = data.levels(render(type(face)(face.identity, other, face.scene), data.native[1]))
        change = np.abs(drawn / 255.0 - data.test.x.numpy()).max(axis=1)
        region = regions.of(name, slice(0, 12))
        assert change[~region].max() < 1e-6, name
        assert change[region].max() > 0.1, name
        assert 0 < region.mean() < 0.9, name
    assert regions.of("round_face", slice(0, 12)) is None
    assert Regions(DATA, "test").of("smile", slice(0, 12)) is None


def test_change_outside_of_halves():
    data = TwoDigits8x8(count=200, test_count=60, digits=(0, 1))

    class Halves(Perfect):
        """The mean brightness of each half; the right half leaks half of its change into the left."""

        def encode(self, x):
            return x.unflatten(3, (2, 8)).mean(dim=(1, 2, 4))

        def decode(self, z):
            left = z[:, 0] + 0.5 * z[:, 1]
            return (
                torch.stack([left, z[:, 1]], dim=1)
                .repeat_interleave(8, dim=1)[:, None, None]
                .repeat(1, 1, 8, 1)
            )

    class Judge(Defense, PredictsAttributes):
        def predict_attributes(self, x):
            return torch.zeros(len(x), 2, dtype=torch.int64)

    found = means(evaluate(Halves((2, 2)), data, judge=Judge(), count=60))
    assert found["change_outside", "left"] == pytest.approx(0, abs=1e-6)
    assert found["change_outside", "right"] == pytest.approx(0.25 / 1.25, abs=1e-4)


def test_what_cannot_be_measured():
    class Mute(Defense):
        pass

    with pytest.raises(UserError, match="classifier = Mute does not tell attributes"):
        evaluate(Perfect(), judge=Mute())
    with pytest.raises(UserError, match=r"count = 5 \(20 or more\)"):
        evaluate(Perfect(), count=5)
    with pytest.raises(UserError, match="left_out names 'tile 7'"):
        evaluate(Perfect(), left_out=["tile 7"])
    with pytest.raises(Unsupported, match="OracleFactors cannot be shown"):
        evaluate(fitted(OracleFactors(), DATA))

    class Narrow(TileJudge):
        def predict_attributes(self, x):
            return super().predict_attributes(x)[:, :2]

    with pytest.raises(ContractError, match=r"must return \(300, 3\), not \(300, 2\)"):
        evaluate(Perfect(), judge=Narrow())


def test_the_judge_is_told_which_attributes_are_asked_about():
    found = values_of(evaluate(Linear(torch.eye(3)), attributes=["tile 2", "tile 0"]))
    assert found["edit_quality", ""].value == 1
    assert {part for metric, part in found if metric == "edit_quality"} == {"", "tile 2", "tile 0"}


def test_the_timing_pass_edits_a_hundred_images():
    clock = TimingClock()
    assert not evaluate(Perfect(), clock=clock).values
    assert clock.result.shape == (100, *DATA.shape)


def test_figures(perfect):
    other = evaluate(rotated())
    records = [record_of(perfect, "perfect"), record_of(other, "rotated")]
    figures = AttributeEditing().draw(records, [perfect.arrays, other.arrays])
    assert set(figures) == {"success", "edits", "sweeps"}
    assert perfect.arrays["edits"].shape == (4, 5, 1, 4, 12)
    swept = torch.from_numpy(perfect.arrays["sweeps"]).float() / 255
    levels = read(swept.flatten(0, 1), (2, 2, 2)).unflatten(0, swept.shape[:2])
    assert levels[0, :, 0].diff().min() >= -0.02  # from below 0 (as dark as it gets) to above 1
    assert float(levels[0, -1, 0] - levels[0, 0, 0]) == pytest.approx(1.25, abs=0.05)
    assert AttributeEditing().draw([], []) == {}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"count": 3}, "count = 3"),
        ({"strength": 0.0}, "strength = 0"),
        ({"locality": -1}, "locality = -1"),
        ({"attributes": ["a", "a"]}, "'a' twice"),
    ],
)
def test_bad_numbers_are_told_before_anything_runs(given, told):
    defaults = {"count": 300, "strength": 1.0, "locality": 100, "attributes": None, "classifier": "any"}
    with pytest.raises(UserError, match=told):
        AttributeEditing().check_parameters(**defaults | given)
