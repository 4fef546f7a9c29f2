"""Hashes and prepared splits that are kept: never stale, never trusted when damaged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from image_fakes import AnyMnist, write_mnist
from safetensors import SafetensorError

from mfbench.datasets import hashes, prepared
from mfbench.datasets.hashes import file_hash, folder_hash
from mfbench.datasets.images import RawImages

LONG_AGO = time.time() - 3600


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MFBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MFBENCH_DATA", str(tmp_path / "data"))
    return tmp_path / "cache"


# hashes


@pytest.fixture
def counted(monkeypatch):
    """Which files were really read."""
    read = []
    plain = hashes._plain_hash
    monkeypatch.setattr(hashes, "_plain_hash", lambda path: read.append(path.name) or plain(path))
    return read


def settle(monkeypatch):
    """As if all files had been left alone for a while."""
    monkeypatch.setattr(hashes, "_SETTLED_NS", 0)


def test_an_unchanged_file_is_read_once(tmp_path, counted, monkeypatch):
    settle(monkeypatch)
    path = tmp_path / "file"
    path.write_bytes(b"content")
    expected = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
    assert [file_hash(path) for _ in range(3)] == [expected] * 3
    assert counted == ["file"]
    assert file_hash(path, fresh=True) == expected
    assert len(counted) == 2


def test_a_changed_file_is_read_again_even_if_size_and_date_are_the_same(tmp_path, monkeypatch):
    settle(monkeypatch)
    path = tmp_path / "file"
    path.write_bytes(b"content")
    os.utime(path, (LONG_AGO, LONG_AGO))
    before = file_hash(path)
    path.write_bytes(b"CONTENT")
    os.utime(path, (LONG_AGO, LONG_AGO))
    assert file_hash(path) != before


def test_a_file_of_this_moment_is_not_remembered(tmp_path, counted):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    assert file_hash(path) == file_hash(path)
    assert len(counted) == 2


@pytest.mark.parametrize("damage", ["", "no hash", "ab" * 31])
def test_a_damaged_memory_is_not_believed(tmp_path, cache, damage, monkeypatch):
    settle(monkeypatch)
    path = tmp_path / "file"
    path.write_bytes(b"content")
    before = file_hash(path)
    (kept,) = (cache / "hashes").iterdir()
    kept.write_text(damage)
    assert file_hash(path) == before


def test_a_folder_hash_knows_names_and_contents(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    found = {folder_hash(tmp_path, "ab"), folder_hash(tmp_path, "ba"), folder_hash(tmp_path, "a")}
    assert len(found) == 2
    (tmp_path / "a").write_text("b")
    (tmp_path / "b").write_text("a")
    assert folder_hash(tmp_path, "ab") not in found


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("in the way")
    path = tmp_path / "file"
    path.write_bytes(b"content")
    os.utime(path, (LONG_AGO, LONG_AGO))
    assert file_hash(path) == file_hash(path)
    write_mnist(tmp_path / "data")
    monkeypatch.setattr(prepared, "_warned", set())
    with pytest.warns(RuntimeWarning, match="prepared images cannot be kept"):
        assert len(AnyMnist(size=14).train) == 36


# prepared splits

IMAGES = RawImages(
    np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4),
    y=np.array([0, 1]),
    attributes=np.array([[0, 1, 1], [1, 0, 0]]),
    names={"classes": ("a", "b"), "attributes": ("x", "y", "z")},
)


def kept_files(cache):
    return sorted(path.name for path in (cache / "prepared").rglob("*") if path.is_file())


def test_what_is_kept_comes_back(cache):
    assert prepared.recall("0" * 64, "train") is None
    prepared.remember("0" * 64, "train", IMAGES)
    found = prepared.recall("0" * 64, "train")
    assert np.array_equal(found.pixels, IMAGES.pixels)
    assert found.pixels.dtype == np.uint8
    assert np.array_equal(found.attributes, IMAGES.attributes)
    assert found.y.dtype == np.int64
    assert found.identity is None
    assert found.names == IMAGES.names
    assert prepared.recall("0" * 64, "val") is None
    assert kept_files(cache) == ["train.json", "train.safetensors"]


def test_pixels_are_memory_mapped(cache):
    prepared.remember("0" * 64, "train", IMAGES)
    found = prepared.recall("0" * 64, "train")
    address = found.pixels.__array_interface__["data"][0]
    with open("/proc/self/maps") as maps:  # noqa: PTH123
        mapped = [line.split() for line in maps if line.rstrip().endswith("train.safetensors")]
    ranges = [[int(end, 16) for end in line[0].split("-")] for line in mapped]
    assert any(start <= address < stop for start, stop in ranges)


DAMAGES = {
    "cut off": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "one bit": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "header": lambda content: b"\xff" * 8 + content[8:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_made_anew(tmp_path, cache, damage):
    write_mnist(tmp_path / "data")
    expected = AnyMnist(size=14).train.x
    path = next((cache / "prepared").rglob("train.safetensors"))
    whole = path.read_bytes()
    path.write_bytes(DAMAGES[damage](whole))
    assert torch.equal(AnyMnist(size=14).train.x, expected)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"sha256": 3, "names": 4}', b"\xff"])
def test_a_damaged_header_is_made_anew(tmp_path, cache, content):
    write_mnist(tmp_path / "data")
    expected = AnyMnist(size=14).train.x
    path = next((cache / "prepared").rglob("train.json"))
    path.write_bytes(content)
    assert torch.equal(AnyMnist(size=14).train.x, expected)
    assert json.loads(path.read_bytes())["sha256"] == file_hash(path.with_suffix(".safetensors"))


def test_the_second_load_reads_what_is_kept(tmp_path, monkeypatch):
    write_mnist(tmp_path / "data")
    first = AnyMnist(size=14, seed=3)
    parts = [first.train, first.val, first.test]
    monkeypatch.setattr(AnyMnist, "part", None)  # the files are not opened again
    second = AnyMnist(size=14, seed=3)
    for one, two in zip(parts, [second.train, second.val, second.test]):
        assert torch.equal(one.x, two.x)
        assert torch.equal(one.y, two.y)
        assert one.names == two.names


FULL_DISK = """
import resource, signal, sys, warnings
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.path.insert(0, {tests!r})
from image_fakes import AnyMnist
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))
data = AnyMnist(size=14)
print(len(data.train), len(data.val), len(data.test), len(AnyMnist(size=7).train))
"""


def test_a_disk_without_room_ends_nothing_is_said_once_and_holds_no_half(tmp_path, cache):
    """A file may grow to 4,000 bytes here: what the system says then comes out of safetensors."""
    write_mnist(tmp_path / "data")
    code = FULL_DISK.format(tests=str(Path(__file__).parent))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ["36", "4", "20", "36"], ran.stderr
    assert ran.stderr.count("RuntimeWarning: ") == 1
    assert f"{cache}/prepared: prepared images cannot be kept (" in ran.stderr
    assert "they are made anew each time" in ran.stderr
    assert kept_files(cache) == ["train.json", "train.safetensors", "val.json", "val.safetensors"]
    for path in (cache / "prepared").rglob("*.safetensors"):
        kept = prepared.recall(path.parent.name, path.stem)
        assert kept.pixels.shape[1:] == {"train": (1, 7, 7), "val": (1, 14, 14)}[path.stem]  # what had room


@pytest.mark.parametrize("failing", ["save_file", "file_hash"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SafetensorError("I/O error")])
def test_whatever_fails_while_keeping_leaves_nothing(cache, monkeypatch, failing, error):
    def fail(*asked):
        for path in asked:
            if isinstance(path, Path):
                path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(prepared, failing, fail)
    monkeypatch.setattr(prepared, "_warned", set())
    with pytest.warns(RuntimeWarning, match=r"prepared images cannot be kept \((\[Errno 28\]|I/O error)"):
        prepared.remember("0" * 64, "train", IMAGES)
    prepared.remember("0" * 64, "val", IMAGES)  # said once
    assert kept_files(cache) == []
    assert prepared.recall("0" * 64, "train") is None


def test_each_choice_and_each_file_is_kept_apart(tmp_path, cache):
    write_mnist(tmp_path / "data")
    choices = (
        {"size": 14},
        {"size": 7},
        {"jpeg_quality": 50},
        {"size": 14, "seed": 1},
        {"size": 14, "count": 8},
    )
    for parameters in choices:
        _ = AnyMnist(**parameters).train
    assert len(kept_files(cache)) == 2 * len(choices)
    write_mnist(tmp_path / "data", train=50)
    assert len(AnyMnist(size=14).train) == 45
    assert len(kept_files(cache)) == 2 * len(choices) + 2


def test_what_is_served_as_stored_is_not_kept_a_second_time(tmp_path, cache):
    write_mnist(tmp_path / "data")
    _ = AnyMnist().train, AnyMnist(dequantise=True).train
    assert not (cache / "prepared").exists()


def test_writing_to_a_split_leaves_what_is_kept_alone(tmp_path):
    write_mnist(tmp_path / "data")
    first = AnyMnist(size=14).train
    before = first.y.clone()
    kept = AnyMnist(size=14).train
    kept.x.zero_()
    kept.y.zero_()
    again = AnyMnist(size=14).train
    assert torch.equal(again.x, first.x)
    assert torch.equal(again.y, before)
