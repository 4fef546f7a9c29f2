"""semantic_path: stories that are true, stories that wander, and images that leave the manifold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mfbench_baselines.factor_oracle import OracleFactors
from protocol_fakes import QualityClock, TimingClock, fitted, record_of, seeded, values_of
from semantic_fakes import Linear, Perfect, Tiles, paint

from mfbench.contracts import Likelihood
from mfbench.errors import Unsupported, UserError
from mfbench.protocols import path_story as story
from mfbench.protocols.semantic_path import SemanticPath

DATA = Tiles()


def evaluate(method, data=DATA, clock=None, **parameters):
    return SemanticPath().evaluate(method, data, rng=seeded(), clock=clock or QualityClock(), **parameters)


def means(measurement):
    return {key: value.value for key, value in values_of(measurement).items()}


class OnTiles(Likelihood):
    """Minus the distance of each tile to the nearest value of its attribute."""

    bound = "score"

    def score(self, x, *, rng=None):
        level = x.unflatten(3, (3, 4)).mean(dim=(1, 2, 4))
        return -torch.minimum((level - 0.1).abs(), (level - 0.9).abs()).amax(dim=1)


@pytest.fixture(scope="module")
def perfect():
    return evaluate(Perfect(labels_used=1.0), likelihood=OnTiles())


def test_a_perfect_code_tells_every_change_once(perfect):
    found = means(perfect)
    for metric in ("told_right", "all_right", "monotone"):
        assert found[metric, ""] == 1
    assert found["told_right", "tile 2"] == 1
    assert found["changes", ""] == found["hamming", ""] == pytest.approx(1.5, abs=0.2)  # half of three
    assert found["excess", ""] == 0
    assert found["labels_used", ""] == 1
    for (metric, _), value in values_of(perfect).items():
        if metric != "labels_used":
            assert value.ci_low <= value.value <= value.ci_high, metric
    assert perfect.scores["paths"].mean() == 1


def test_intermediate_images_are_held_against_validation_images(perfect):
    found = means(perfect)
    assert found["on_manifold_ends", ""] == 1
    assert found["on_manifold", ""] == found["on_manifold_blend", ""]  # tiles are linear: a path is a blend
    # of three tiles none changes in 1 / 8 of the pairs: only these stay among images that are
    assert found["on_manifold", ""] == pytest.approx(1 / 8, abs=0.07)

    class Stepwise(Perfect):
        def decode(self, z):
            return paint(z.round(), self.values)

    assert means(evaluate(Stepwise(), likelihood=OnTiles()))["on_manifold", ""] == 1


def test_several_values_may_be_passed_in_their_order():
    found = means(evaluate(Perfect((5, 3)), Tiles((5, 3)), steps=21))
    assert found["told_right", ""] == found["monotone", ""] == 1
    assert found["excess", ""] > 0  # 0 to 4 passes 1, 2 and 3: more changes than the two ends differ in


def test_a_wandering_decoder_is_not_believed():
    class Wandering(Perfect):
        """Wherever a code is halfway, tile 0 blinks."""

        def decode(self, z):
            halfway = ((z - z.round()).abs().amax(dim=1) > 0.4)[:, None]
            blink = torch.cat([1 - z[:, :1].round(), z[:, 1:]], dim=1)
            return paint(torch.where(halfway, blink, z), self.values)

    found = means(evaluate(Wandering()))
    # wrong where tile 0 should stay and another changes: 1 / 2 times 3 / 4
    assert found["told_right", "tile 0"] == pytest.approx(1 - 3 / 8, abs=0.1)
    assert found["told_right", "tile 1"] == 1
    assert found["monotone", ""] < 1
    assert found["excess", ""] > 0.2


def test_saying_nothing_is_right_only_where_nothing_happens():
    class Mute(Perfect):
        def symbols(self, x):
            return torch.zeros(len(x), 3, dtype=torch.int64)

    found = means(evaluate(Mute(), count=600))
    assert found["told_right", ""] == pytest.approx(0.25, abs=0.04)  # both ends have the only value told
    assert found["changes", ""] == 0
    assert ("monotone", "") not in found


def test_stories_by_hand():
    stories = np.array([[[0, 1], [1, 1], [1, 0]], [[0, 0], [1, 0], [0, 0]], [[2, 2], [2, 2], [2, 2]]])
    assert story.changes(stories).tolist() == [2, 2, 0]
    assert story.ends_apart(stories).tolist() == [2, 0, 0]
    np.testing.assert_array_equal(story.monotone(stories), [1.0, 0.0, np.nan])
    start, end = stories[:, 0], stories[:, -1]
    assert story.told_right(stories, start, end).tolist() == [[True, True], [False, True], [True, True]]
    assert story.told_right(stories, 1 - start, end).tolist()[0] == [False, False]
    back = np.array([[[0], [1], [2], [1]]])
    assert not story.told_right(back, back[:, 0], back[:, -1]).any()  # comes back to 1


def test_sentences():
    read = np.array([[1, 0, 3], [0, 0, 3], [0, 1, -1], [0, 1, 5]])
    told = story.sentence(read, ("beard", "glasses", "left"), (True, True, False))
    assert told == "beard off, glasses on, left unclear, left 5"
    assert story.sentence(read[:1], ("beard", "glasses", "left"), (True, True, False)) == "nothing changes"


def test_too_few_dimensions_have_no_story():
    measurement = evaluate(Linear([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    assert ("told_right", "") not in values_of(measurement)
    assert ("excess", "") in values_of(measurement)
    assert "2 dimensions cannot tell 3 factors" in measurement.notes


def test_what_cannot_be_measured():
    with pytest.raises(UserError, match="steps = 2"):
        evaluate(Perfect(), steps=2)
    with pytest.raises(Unsupported, match="holds 15 images: too few for 10 pairs"):
        evaluate(Perfect(), Tiles(count=15))
    assert values_of(evaluate(Perfect(), count=700))["told_right", ""].n == 600  # as many as there are
    with pytest.raises(Unsupported, match="OracleFactors cannot be shown"):
        evaluate(fitted(OracleFactors(), DATA))


def test_the_timing_pass_decodes_twenty_paths():
    clock = TimingClock()
    assert not evaluate(Perfect(), clock=clock).values
    assert clock.result.shape == (220, *DATA.shape)


def test_figure(perfect):
    figure = SemanticPath().draw([record_of(perfect, "perfect")], [perfect.arrays])["paths"]
    assert "told right 1.00" in figure.axes[0].get_ylabel()
    assert "tile" in "".join(ax.get_xlabel() for ax in figure.axes)
    assert SemanticPath().draw([], []) == {}


@pytest.mark.parametrize(
    ("given", "told"),
    [({"count": 3}, "count = 3"), ({"steps": 2}, "steps = 2"), ({"factors": ["a", "a"]}, "'a' twice")],
)
def test_bad_numbers_are_told_before_anything_runs(given, told):
    with pytest.raises(UserError, match=told):
        SemanticPath().check_parameters(**{"count": 200, "steps": 11, "factors": None} | given)
