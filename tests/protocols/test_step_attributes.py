"""Flips of attributes: `mfbench.protocols.step_attributes`, through `step_consistency`."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mfbench import measures
from mfbench.contracts import PredictsAttributes
from mfbench.errors import ContractError
from tests.protocols.test_step_images import (
    COUNT,
    Brightness,
    Negatives,
    Squares,
    evaluate,
    is_light,
    values_of,
)


class Attributed(Squares):
    """With two attributes: whether an image is light, and one that nothing on it shows."""

    def make_split(self, split):
        made = super().make_split(split)
        table = torch.stack([made.y, torch.ones_like(made.y)], dim=1)
        return replace(made, attributes=table, names={**made.names, "attributes": ("light", "hidden")})


class Unlabelled(Attributed):
    def make_split(self, split):
        return replace(super().make_split(split), y=None)


class Judge(Brightness, PredictsAttributes):
    """Sees the light, and believes that the hidden attribute is 0."""

    def predict_attributes(self, x):
        assert 0 <= x.min() <= x.max() <= 1
        light = is_light(x).long()
        return torch.stack([light, torch.zeros_like(light)], dim=1)


def test_flips_by_attribute_and_their_mean_by_hand():
    values = values_of(evaluate(Negatives(), step=6, data=Attributed(), classifier=Judge()))
    light = values["attribute_flips", "light"]
    wilson = measures.wilson(30, COUNT)
    assert (light.value, light.n, light.ci_low, light.ci_high) == (0.3, COUNT, wilson.low, wilson.high)
    assert values["attribute_flips", "hidden"].value == 0.0
    overall = values["attribute_flips", ""]
    student = measures.student(torch.tensor([0.5] * 30 + [0.0] * 70).numpy())
    assert overall.value == pytest.approx(0.15)
    assert (overall.ci_low, overall.ci_high) == pytest.approx((student.low, student.high))
    assert values["self_attribute_flips", ""].value == pytest.approx(0.15)
    assert values["judge_accuracy", ""].value == pytest.approx(0.5)
    assert values["label_agreement", ""].value == 0.7


def test_fewer_are_compared_with_the_own_first_step():
    values = values_of(evaluate(Negatives(), step=6, data=Attributed(), classifier=Judge(), own_count=60))
    assert values["self_attribute_flips", ""].value == pytest.approx(0.25)
    assert values["self_attribute_flips", ""].n == 60


def test_a_judge_needs_no_labels():
    values = values_of(evaluate(Negatives(), step=6, data=Unlabelled(), classifier=Judge()))
    assert "label_agreement" not in {metric for metric, _ in values}
    assert values["attribute_flips", "light"].value == 0.3


def test_a_classifier_of_labels_alone_has_no_flips():
    values = values_of(evaluate(Negatives(), step=6, data=Attributed(), classifier=Brightness()))
    assert "attribute_flips" not in {metric for metric, _ in values}


@pytest.mark.parametrize("shape", [(7,), (7, 2), None])
def test_predictions_of_another_shape_are_refused(shape):
    class Broken(Judge):
        def predict_attributes(self, x):
            return None if shape is None else torch.zeros(shape)

    with pytest.raises(
        ContractError, match=r"Broken.predict_attributes must return shape \(100, attributes\)"
    ):
        evaluate(Negatives(), step=6, data=Attributed(), classifier=Broken())
