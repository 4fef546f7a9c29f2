"""What the Python interface refuses before it does anything."""

from __future__ import annotations

import numpy as np
import pytest

import mfbench


@pytest.mark.parametrize("seed", ["a", -1, 1.0, True, None])
def test_a_seed_is_a_whole_number_from_0_on(seed):
    with pytest.raises(mfbench.UserError, match="dataset 'swiss_roll', parameter 'seed': expected a whole"):
        mfbench.get("dataset", "swiss_roll", seed=seed)


def test_a_seed_of_numpy_is_one():
    assert mfbench.get("dataset", "swiss_roll", seed=np.int64(3)).seed == 3


@pytest.mark.parametrize("workers", [0, -1, "2", 1.5])
def test_workers_are_a_whole_number_from_1_on(tmp_path, workers):
    with pytest.raises(mfbench.UserError, match="workers: expected a whole number from 1 on, got "):
        mfbench.run("no.toml", workers=workers, store=tmp_path / "s.sqlite")


def test_a_store_is_made_in_a_folder_that_is_there(tmp_path):
    with pytest.raises(mfbench.UserError, match=r"there is no folder '.*gone' for the store"):
        mfbench.run("no.toml", store=tmp_path / "gone" / "s.sqlite")
    assert not list(tmp_path.iterdir())
