"""Artifacts: what is saved comes back, and damage is seen."""

import json
import math

import pytest
import torch

from mfbench import artifacts
from mfbench.errors import ContractError

KEY = "ab" + "0" * 62


@pytest.fixture
def state():
    weight = torch.arange(6.0).reshape(2, 3)
    return {
        "weight": weight,
        "tied": weight,
        "view": weight.t(),
        "count": torch.tensor(3),
        "steps": 7,
        "loss": math.inf,
        "name": "net",
        "done": True,
    }


def files(cache):
    folder = artifacts.artifact_folder(cache, KEY)
    return folder / artifacts.TENSORS, folder / artifacts.HEADER


def test_round_trip(tmp_path, state):
    digest = artifacts.save(tmp_path, KEY, state, {"seed": 3})
    assert artifacts.verified_hash(tmp_path, KEY) == digest
    loaded, header = artifacts.load(tmp_path, KEY)
    assert header["seed"] == 3
    assert loaded.keys() == state.keys()
    for name, value in state.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(loaded[name], value)
            assert loaded[name].dtype == value.dtype
        else:
            assert (loaded[name], type(loaded[name])) == (value, type(value))


def test_layout_and_nothing_else(tmp_path, state):
    artifacts.save(tmp_path, KEY, state, {})
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {f"fits/ab/{KEY}/state.safetensors", f"fits/ab/{KEY}/state.json"}
    json.loads(files(tmp_path)[1].read_text(), parse_constant=lambda constant: pytest.fail(constant))


def test_parameters_that_take_gradients_are_saved_as_numbers(tmp_path):
    parameter = torch.nn.Parameter(torch.ones(2))
    artifacts.save(tmp_path, KEY, {"p": parameter}, {})
    assert not artifacts.load(tmp_path, KEY)[0]["p"].requires_grad


@pytest.mark.parametrize("which", [0, 1])
def test_damage_is_seen_and_mended_by_saving_again(tmp_path, state, which):
    digest = artifacts.save(tmp_path, KEY, state, {})
    path = files(tmp_path)[which]
    path.write_bytes(path.read_bytes().replace(b"net", b"not") if which else path.read_bytes()[:-1] + b"\xff")
    assert artifacts.verified_hash(tmp_path, KEY) is None
    with pytest.raises(artifacts.CorruptArtifactError, match="not what was saved"):
        artifacts.load(tmp_path, KEY)
    assert artifacts.save(tmp_path, KEY, state, {}) == digest
    assert artifacts.verified_hash(tmp_path, KEY) == digest
    assert len(list((tmp_path / "fits" / "ab").iterdir())) == 1


@pytest.mark.parametrize("content", ["", "[]", "{}", "not json"])
def test_headers_that_are_none(tmp_path, state, content):
    artifacts.save(tmp_path, KEY, state, {})
    files(tmp_path)[1].write_text(content)
    assert artifacts.verified_hash(tmp_path, KEY) is None


def test_absent(tmp_path):
    assert artifacts.verified_hash(tmp_path, KEY) is None
    with pytest.raises(artifacts.CorruptArtifactError, match="cannot be read"):
        artifacts.load(tmp_path, KEY)


def test_a_good_artifact_stays(tmp_path):
    first = artifacts.save(tmp_path, KEY, {"x": torch.zeros(1)}, {})
    assert artifacts.save(tmp_path, KEY, {"x": torch.ones(1)}, {}) == first
    assert artifacts.load(tmp_path, KEY)[0]["x"].item() == 0


def test_what_cannot_be_saved_is_named(tmp_path):
    with pytest.raises(ContractError, match=r"state_dict\(\)\['f'\] is a function"):
        artifacts.save(tmp_path, KEY, {"f": lambda: 0}, {})
    assert list(tmp_path.iterdir()) == []


def test_parameter_count_is_of_floating_tensors(state):
    assert artifacts.floating_elements(state) == 18
