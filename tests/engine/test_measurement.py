"""What a protocol may give back, and what is said of anything else."""

import math

import numpy as np
import pytest
import torch

from mfbench import Measurement, Metric, Value
from mfbench.engine.measurement import encode_measurement
from mfbench.errors import ContractError
from mfbench.store import decode_array

METRICS = (Metric("auroc", primary=True), Metric("bits", "nat", None))


def test_numbers_of_every_make_become_json():
    given = [
        Value("auroc", "a", np.float32(0.5), n=np.int64(3)),
        Value("auroc", "b", torch.tensor(0.25), ci_low=-math.inf, ci_high=1),
        Value("bits", "", math.nan),
    ]
    found = encode_measurement(Measurement(given, nfe=np.float64(2), notes=("one",)), METRICS)
    assert [value["value"] for value in found["values"]] == [0.5, 0.25, "nan"]
    assert [value["n"] for value in found["values"]] == [3, None, None]
    assert (found["values"][1]["ci_low"], found["values"][1]["ci_high"]) == ("-inf", 1.0)
    assert (found["nfe"], found["notes"]) == (2.0, ["one"])


def test_arrays_become_blobs():
    given = Measurement(scores={"in": np.arange(3)}, arrays={"grid": np.eye(2, dtype=bool)})
    found = encode_measurement(given, METRICS)
    assert decode_array(found["scores"]["in"]).tolist() == [0, 1, 2]
    assert decode_array(found["arrays"]["grid"]).tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "evaluate returned a NoneType, not a Measurement"),
        (Measurement([Value("area", "", 1.0)]), "metric 'area' is none of the protocol's: auroc, bits"),
        (Measurement([Value("bits", "a", 1.0)] * 2), "metric 'bits' of 'a' was measured twice"),
        (Measurement([Value("auroc", "", math.nan)]), "metric 'auroc' is NaN"),
        (Measurement([Value("bits", "", "1")]), "metric 'bits' is a str, not a number"),
        (Measurement([Value("bits", "", np.zeros(2))]), "is a ndarray of shape (2,), not a number"),
        (Measurement([Value("bits", "", 1.0, n=-1)]), "n is -1"),
        (Measurement([Value("bits", "", 1.0, n=2.5)]), "n is 2.5"),
        (Measurement([Value("bits", None, 1.0)]), "part is a NoneType"),
        (Measurement(scores={"in": np.zeros((2, 1))}), "scores['in'] has shape (2, 1)"),
        (Measurement(scores={"in": torch.zeros(2)}), "is a Tensor of shape (2,), not a NumPy array"),
        (Measurement(arrays={"x": np.array(["a"])}), "arrays['x']: an array of <U1"),
        (Measurement(nfe=math.inf), "nfe is inf"),
        (Measurement(nfe=-1), "nfe is -1"),
    ],
)
def test_anything_else_is_named(given, words):
    with pytest.raises(ContractError) as caught:
        encode_measurement(given, METRICS)
    assert words in str(caught.value)
