"""Arrays without a published SHA-256: `data check` reads them and says what it cannot tell."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from mfbench import UserError
from mfbench.cli import main
from mfbench.datasets import npz
from mfbench.datasets.cifar import Cifar10Jpeg
from mfbench.datasets.orl import OrlFaces

RNG = np.random.default_rng(0)
ORL = {
    "images": RNG.integers(0, 256, (400, 112, 92), dtype=np.uint8),
    "subject": np.repeat(np.arange(1, 41), 10),
    "index": np.tile(np.arange(1, 11), 40),
}
CIFAR = {
    "images": RNG.integers(0, 256, (2000, 32, 32, 3), dtype=np.uint8),
    "labels": np.arange(2000) % 10,
    "classes": np.array([f"class{number}".encode() for number in range(10)]),
}
SETS = {
    "orl_faces": ("orl_faces/orl_faces_400.npz", ORL, OrlFaces),
    "cifar10_jpeg": ("cifar10_jpeg/cifar10_jpeg_test_2k.npz", CIFAR, Cifar10Jpeg),
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MFBENCH_DATA", str(tmp_path))
    return tmp_path


def place(root, name, **changed):
    file, arrays, _ = SETS[name]
    path = root / file
    path.parent.mkdir(exist_ok=True)
    np.savez(path, **{**arrays, **changed})
    return path


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("verb", ["check", "download"])
def test_what_looks_as_it_should_is_not_called_right(root, capsys, name, verb):
    place(root, name)
    assert main(["data", verb, name]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{name}: not verified: {SETS[name][0]} has no published SHA-256; its own is ")
    assert second == f"{name}: the files in {root} can be read and look as they should"


BLANK = ORL["images"].copy()
BLANK[7:10] = 33
FEW = {key: array[:100] for key, array in ORL.items()}


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("orl_faces", {"images": BLANK}, "3 images are of a single colour"),
        ("orl_faces", FEW, "holds 100 images of 10 people, not 10 of each of 40"),
        ("orl_faces", {"subject": ORL["subject"] - 1}, "subject lie between 0 and 39, not 1 and 40"),
        ("orl_faces", {"index": ORL["index"] + 0.5}, "array 'index' is float64, not of integers"),
        ("orl_faces", {"subject": np.full(400, "a")}, "array 'subject' is <U1, not of integers"),
        ("orl_faces", {"subject": np.full(400, None)}, "without pickles (array 'subject' holds objects)"),
        ("orl_faces", {"images": ORL["images"][:, :5]}, "has shape (400, 5, 92), not (400, 112, 92)"),
        ("orl_faces", {"images": np.uint8(1)}, "array 'images' has shape (), not (1, 112, 92)"),
        ("orl_faces", {key: array[:0] for key, array in ORL.items()}, "array 'images' holds nothing"),
        ("cifar10_jpeg", {"labels": CIFAR["labels"] // 2}, "holds 2000 images, not 200 of each of 10"),
        ("cifar10_jpeg", {"labels": np.full(2000, np.nan)}, "array 'labels' is float64, not of integers"),
        ("cifar10_jpeg", {"labels": np.full(2000, 2**64 - 1, dtype=np.uint64)}, "not 0 and 9"),
        ("cifar10_jpeg", {"classes": np.full(10, b"\xff")}, "array 'classes' is |S1, not ten names in ASCII"),
        ("cifar10_jpeg", {"classes": np.full(10, "ü")}, "array 'classes' is <U1, not ten names in ASCII"),
        ("cifar10_jpeg", {"images": np.zeros((2000, 32, 32, 3))}, "array 'images' is float64, not uint8"),
    ],
)
def test_other_content_is_named_and_not_called_right(root, capsys, name, changed, message):
    path = place(root, name, **changed)
    for verb in ("check", "download"):
        assert main(["data", verb, name]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith(f"{name}: {path}: ")
        assert message in lines[0]
        assert not any("right" in line or "as they should" in line for line in lines)


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, b"PK\3\4" + bytes(500)])
@pytest.mark.parametrize("name", SETS)
def test_garbage_is_an_error_that_names_the_file(root, capsys, name, content):
    path = place(root, name)
    path.write_bytes(content)
    assert main(["data", "check", name]) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"{name}: {path}: cannot be read as .npz without pickles (")
    assert out.count("\n") == 1  # nothing is added of what could not be verified
    assert main(["try", "sample_quality", "--data", name, "--method", "gmm", "--executor", "inline"]) != 0
    captured = capsys.readouterr()
    assert str(path) in captured.out + captured.err


def test_one_wrong_bit_in_the_pixels_is_found(root):
    """By the checksum of the archive, where the array itself would take any value."""
    path = place(root, "orl_faces")
    content = bytearray(path.read_bytes())
    content[2_000_000] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(
        UserError, match=r"cannot be read as .npz without pickles \(Bad CRC-32 for file 'images.npy'"
    ):
        OrlFaces.read(path)


def header(*shape):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            header(10**9, 112, 92),
            "array 'images' says it has 10304000000128 bytes; at most 1073741824 are read",
        ),
        (header(2**62, 112, 92), "at most 1073741824 are read"),
        (
            header(-1, 112, 92),
            "cannot be read as .npz without pickles (array 'images' says it has -10176 bytes",
        ),
        (header(3, 112, 92) + bytes(50), "says it has 31040 bytes, there are 178"),
        (b"\x93NUMPY\x09\x00" + bytes(100), "cannot be read as .npz without pickles ("),
        (b"hello", "cannot be read as .npz without pickles ("),
        (b"", "cannot be read as .npz without pickles ("),
    ],
)
def test_headers_are_not_believed(tmp_path, images, message):
    path = zipped(tmp_path / "a.npz", images=images, subject=header(3) + bytes(3), index=header(3) + bytes(3))
    with pytest.raises(UserError) as error:
        OrlFaces.read(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_what_unpacks_to_much_more_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "MOST_BYTES", 1 << 20)
    read = []
    monkeypatch.setattr(npz, "_read", lambda *asked: read.append(asked))
    images = header(1000, 112, 92) + bytes(1000 * 112 * 92)
    path = zipped(
        tmp_path / "a.npz",
        images=images,
        subject=header(1000) + bytes(1000),
        index=header(1000) + bytes(1000),
    )
    assert path.stat().st_size < 20_000
    with pytest.raises(
        UserError, match="array 'images' says it has 10304128 bytes; at most 1048576 are read"
    ):
        OrlFaces.read(path)
    assert not read


def test_an_archive_of_nothing_and_one_array(tmp_path):
    with pytest.raises(UserError, match="has no array 'images', nor any other"):
        OrlFaces.read(zipped(tmp_path / "none.npz"))
    with pytest.raises(UserError, match=r"has no array 'images', only odd\?name"):
        OrlFaces.read(zipped(tmp_path / "odd.npz", **{"odd\x1bname": b""}))
