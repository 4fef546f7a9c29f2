"""Digits, and classifiers of them that are trained in a second."""

from __future__ import annotations

import pytest
from attack_fakes import Ridge
from mfbench_defenses.cnn import CNN
from protocol_fakes import fitted

import mfbench


@pytest.fixture(scope="package")
def digits():
    return mfbench.get("dataset", "digits")


@pytest.fixture(scope="package")
def ridge(digits):
    return Ridge(digits)


@pytest.fixture(scope="package")
def network(digits):
    return fitted(CNN(width=8, iterations=150), digits)
