"""Numbers that mean nothing, whatever the method and the data are, are refused before anything is fitted."""

from __future__ import annotations

import re

import pytest

from mfbench.errors import UserError
from mfbench.registry import load_registry

REFUSED = [
    ("super_resolution", {"features": "cnn", "factor": 3}, "factor = 3: a power of 2"),
    ("super_resolution", {"features": "cnn", "temperature": -1.0}, "temperature = -1.0"),
    ("level_quality", {"features": "cnn", "levels": [0]}, "levels = [0]: whole numbers from 1"),
    ("level_quality", {"features": "cnn", "count": 2}, "count = 2: at least 0 and 3"),
    ("reconstruction", {"levels": [2, 2]}, "levels = [2, 2]: whole numbers from 1"),
    ("reconstruction", {"count": 1}, "count = 1: at least 2"),
]


@pytest.mark.parametrize(("protocol", "given", "said"), REFUSED)
def test_parameters_of_level_protocols_are_refused(protocol, given, said):
    made = load_registry().create("protocol", protocol)
    defaults = {"factor": 2, "temperature": 1.0, "count": 500, "draws": 4, "levels": (1,)}
    with pytest.raises(UserError, match=re.escape(said)):
        made.check_parameters(**{**defaults, **given})
    made.check_parameters(**defaults)
