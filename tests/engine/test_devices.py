"""A device that was asked for by name is there, or that is told before anything else happens."""

from __future__ import annotations

import pytest

from mfbench.engine.devices import choose_device, device_type
from mfbench.errors import UserError


@pytest.fixture
def cuda(monkeypatch):
    """`cuda(2)`: torch can use so many CUDA devices."""

    def has(count: int) -> None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: count > 0)
        monkeypatch.setattr("torch.cuda.device_count", lambda: count)
        monkeypatch.setattr("mfbench.engine.devices.gpus", lambda: [{"name": "a GPU"}] * count)

    return has


@pytest.mark.parametrize("asked", ["cuda", "cuda:0", "cuda:99"])
def test_cuda_without_a_device_is_bad_input(cuda, asked):
    cuda(0)
    with pytest.raises(UserError, match=f"--device {asked}: this machine has no CUDA device"):
        choose_device(asked)


@pytest.mark.parametrize(("count", "there"), [(1, "cuda:0 alone"), (8, "cuda:0 to cuda:7")])
def test_an_index_beyond_the_last_is_bad_input(cuda, count, there):
    cuda(count)
    with pytest.raises(UserError, match=f"--device cuda:8: there is no such device; .* {there}"):
        choose_device("cuda:8")


@pytest.mark.parametrize("asked", ["cpu", "cuda", "cuda:0", "cuda:1"])
def test_a_device_that_is_there_is_taken(cuda, asked):
    cuda(2)
    assert choose_device(asked) == asked


@pytest.mark.parametrize(("count", "chosen"), [(0, "cpu"), (1, "cuda")])
def test_auto_takes_what_is_there(cuda, count, chosen):
    cuda(count)
    assert choose_device("auto") == chosen


def test_workers_elsewhere_have_devices_of_their_own(cuda):
    cuda(0)
    assert choose_device("cuda:3", "my_cluster:open") == "cuda:3"
    for executor in ("local", "inline"):
        with pytest.raises(UserError, match="no CUDA device"):
            choose_device("cuda:3", executor)


def test_the_type_of_a_device():
    assert [device_type(device) for device in ("cpu", "cuda", "cuda:3")] == ["cpu", "cuda", "cuda"]
