"""The families that lie in files: small files of the official layouts, read right and refused when bad."""

from __future__ import annotations

import gzip
import hashlib
import struct
import tarfile

import numpy as np
import pytest
import torch
from image_fakes import AnyCifar10, AnyCifar100, AnyMnist, AnySvhn, idx_bytes, write_mnist
from scipy.io import savemat

import mfbench
from mfbench import UserError
from mfbench.datasets.cifar import Cifar10, Cifar10Jpeg
from mfbench.datasets.idx import Mnist, read_idx
from mfbench.datasets.orl import OrlFaces
from mfbench.datasets.sources import SourceFile


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MFBENCH_DATA", str(tmp_path))
    return tmp_path


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


# digits


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    stored = load_digits()
    data = mfbench.get("dataset", "digits")
    x = torch.cat([data.train.x, data.val.x, data.test.x])
    assert data.shape == (1, 8, 8)
    assert data.files() == {}
    rows = {tuple(row) for row in (x * 255 * 16 / 255).round().flatten(1).int().tolist()}
    assert rows == {tuple(row) for row in stored.images.reshape(-1, 64).astype(int).tolist()}
    assert (
        torch.bincount(torch.cat([data.train.y, data.val.y, data.test.y])).tolist()
        == np.bincount(stored.target).tolist()
    )


# IDX


def test_mnist_layout(root):
    arrays = write_mnist(root)
    data = AnyMnist()
    assert [len(part) for part in (data.train, data.val, data.test)] == [36, 4, 20]
    x, y = torch.cat([data.train.x, data.val.x]), torch.cat([data.train.y, data.val.y])
    number = (x[:, 0, 0, 0] * 255).round().long()
    images, labels = arrays["train"]
    assert sorted(number.tolist()) == list(range(40))
    assert torch.equal((x[:, 0] * 255).round().byte(), torch.from_numpy(images)[number])
    assert torch.equal(y, torch.from_numpy(labels).long()[number])
    assert data.test.names["classes"] == tuple("0123456789")


def test_idx_reads_any_number_of_dimensions(tmp_path):
    path = tmp_path / "cube.gz"
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path.write_bytes(gzip.compress(idx_bytes(array)))
    assert np.array_equal(read_idx(path), array)


IMAGES = gzip.compress(idx_bytes(np.zeros((5, 28, 28))))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (IMAGES[:-20], "damaged gzip file (it ends too early)"),
        (IMAGES[:30] + b"XXXXXXXXXX" + IMAGES[40:], "damaged gzip file ("),
        (b"<html>not found</html>", "damaged gzip file (Not a gzipped file"),
        (b"", "no IDX file of unsigned bytes (it begins with nothing)"),
        (
            gzip.compress(b"\0\0\x0d\x01" + bytes(8)),
            "no IDX file of unsigned bytes (it begins with 00 00 0d 01)",
        ),
        (gzip.compress(b"\0\0\x08\x03" + bytes(5)), "IDX header of 16 bytes is cut off after 9"),
        (gzip.compress(idx_bytes(np.zeros((5, 28, 28)))[:-1]), "says 5 x 28 x 28 = 3920 bytes, 3919 follow"),
        (
            gzip.compress(idx_bytes(np.zeros((5, 28, 28))) + b"!"),
            "says 5 x 28 x 28 = 3920 bytes, 3921 follow",
        ),
        (gzip.compress(struct.pack(">BBBB3I", 0, 0, 8, 3, 2**31, 2**31, 9)), "0 follow"),
        (gzip.compress(struct.pack(">BBBB3I", 0, 0, 8, 3, 0, 2**32 - 1, 2**32 - 1)), "it holds nothing"),
        (gzip.compress(struct.pack(">BBBB", 0, 0, 8, 255) + bytes(1020)), "says 255 dimensions, at most 8"),
        (IMAGES + b"garbage", "damaged gzip file (Not a gzipped file (b'ga'))"),
    ],
    ids=lambda part: part if isinstance(part, str) else "content",  # gzip holds the time: no name to go by
)
def test_a_bad_idx_file_is_named_with_what_is_wrong(root, content, message):
    write_mnist(root)
    path = root / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        _ = AnyMnist().train
    said = one_line(error)
    assert said.startswith(f"{path}: ")
    assert message in said


@pytest.mark.parametrize(
    ("file", "array", "message"),
    [
        ("train-labels-idx1-ubyte.gz", np.zeros(39), "(39,) labels for the 40 images of train-images-idx3"),
        ("train-labels-idx1-ubyte.gz", np.full(40, 11), "a label is 11, beyond 10 classes"),
        ("t10k-images-idx3-ubyte.gz", np.zeros((20, 14, 14)), "of shape (20, 14, 14), not images of 28 x 28"),
    ],
)
def test_files_that_do_not_fit_each_other(root, file, array, message):
    write_mnist(root)
    path = root / "mnist" / file
    path.write_bytes(gzip.compress(idx_bytes(array)))
    with pytest.raises(UserError) as error:
        _ = AnyMnist().train, AnyMnist().test
    assert one_line(error).startswith(f"{path}: ")
    assert message in str(error.value)


def test_another_file_than_the_official_one_is_refused_before_it_is_read(root):
    write_mnist(root)
    with pytest.raises(UserError) as error:
        _ = Mnist().test
    said = one_line(error)
    assert said.startswith(f"{root}/mnist/train-images-idx3-ubyte.gz: the SHA-256 of its content is ")
    assert "not ba891046e6505d7a" in said
    assert Mnist.check(root)[0] == said
    assert len(Mnist.check(root)) == 4


def test_the_gzip_wrapper_does_not_matter(root):
    write_mnist(root)
    before = AnyMnist().digest
    path = root / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=1, mtime=9))
    assert AnyMnist().digest == before
    path.write_bytes(gzip.compress(idx_bytes(np.ones((40, 28, 28)))))
    assert AnyMnist().digest != before


def test_a_missing_file_is_named_with_the_remedy(root):
    write_mnist(root)
    (root / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UserError) as error:
        _ = AnyMnist().train
    assert one_line(error).startswith(f"{root}/mnist/t10k-labels-idx1-ubyte.gz: no such file; `mfbench data")
    assert AnyMnist.missing(root) == ["mnist/t10k-labels-idx1-ubyte.gz"]


def test_a_file_without_published_hash_is_said_to_be_unverified(root):
    write_mnist(root)
    remarks = AnyMnist.unverified(root)
    assert len(remarks) == 4
    assert "mnist/train-images-idx3-ubyte.gz has no published SHA-256; its own is " in remarks[0]
    assert Mnist.unverified(root) == []


# CIFAR


def write_cifar10(root, per_batch=6):
    folder = root / "cifar10" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    batches = {}
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        batches[name] = rng.integers(0, 256, (per_batch, 3073), dtype=np.uint8)
        batches[name][:, 0] = np.arange(per_batch) % 10
        (folder / f"{name}.bin").write_bytes(batches[name].tobytes())
    return folder, batches


def test_cifar10_binary_layout(root):
    _, batches = write_cifar10(root)
    data = AnyCifar10()
    assert [len(part) for part in (data.train, data.val, data.test)] == [27, 3, 6]
    record = batches["test_batch"][4]
    row = data.test.y.tolist().index(4)
    assert torch.equal(
        (data.test.x[row] * 255).round().byte(), torch.from_numpy(record[1:].reshape(3, 32, 32))
    )
    assert data.test.names["classes"][4] == "deer"


def test_cifar100_has_fine_and_coarse_labels(root):
    folder = root / "cifar100" / "cifar-100-binary"
    folder.mkdir(parents=True)
    records = np.zeros((20, 3074), dtype=np.uint8)
    records[:, 0], records[:, 1] = np.arange(20), 5 * np.arange(20)
    for part in ("train", "test"):
        (folder / f"{part}.bin").write_bytes(records.tobytes())
    fine, coarse = AnyCifar100(), AnyCifar100(labels="coarse")
    assert sorted(fine.test.y.tolist()) == list(range(0, 100, 5))
    assert sorted(coarse.test.y.tolist()) == list(range(20))
    assert (len(fine.test.names["classes"]), len(coarse.test.names["classes"])) == (100, 20)
    assert fine.digest != coarse.digest


def test_a_batch_that_is_cut_off_or_mislabelled_is_named(root):
    folder, batches = write_cifar10(root)
    path = folder / "data_batch_3.bin"
    path.write_bytes(batches["data_batch_3"].tobytes()[:-5])
    with pytest.raises(UserError, match=r"data_batch_3.bin: 18433 bytes are not whole records of 3073"):
        _ = AnyCifar10().train
    (folder / "test_batch.bin").write_bytes(np.full((2, 3073), 10, dtype=np.uint8).tobytes())
    with pytest.raises(UserError, match=r"test_batch.bin: a label is 10, beyond 10 classes"):
        _ = AnyCifar10().test


@pytest.mark.parametrize("own", [True, False])
def test_cifar_is_unpacked_and_only_a_fetched_archive_is_removed(root, monkeypatch, own):
    folder, _ = write_cifar10(root)
    archive = root / "cifar10" / "cifar-10-binary.tar.gz"
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(folder, "cifar-10-batches-bin")
    for path in folder.iterdir():
        path.unlink()
    elsewhere = root / "archive"
    sha256 = mfbench.datasets.hashes.file_hash(archive)
    if not own:
        archive.rename(elsewhere)
    source = type(Cifar10.archive)(Cifar10.archive.path, sha256, (elsewhere.as_uri(),))
    monkeypatch.setattr(AnyCifar10, "archive", source)
    AnyCifar10.download(root)
    assert len(AnyCifar10().test) == 6
    left = ["cifar-10-batches-bin", *(["cifar-10-binary.tar.gz"] if own else [])]
    assert sorted(path.name for path in (root / "cifar10").iterdir()) == left


@pytest.mark.parametrize("content", [None, b"damaged"])
def test_a_damaged_archive_is_named_where_there_is_no_network(root, monkeypatch, content):
    archive = root / "cifar10" / "cifar-10-binary.tar.gz"
    archive.parent.mkdir()
    if content:
        archive.write_bytes(content)
    nowhere = SourceFile(Cifar10.archive.path, Cifar10.archive.sha256, ("http://127.0.0.1:1/file",))
    monkeypatch.setattr(Cifar10, "archive", nowhere)
    with pytest.raises(UserError) as error:
        Cifar10.download(root)
    said = one_line(error)
    damaged = f"{archive}: its SHA-256 is {hashlib.sha256(b'damaged').hexdigest()}, not c4a38c50a1bc5f3a"
    assert said.startswith(damaged if content else "cifar-10-binary.tar.gz cannot be downloaded: ")
    assert "cifar-10-binary.tar.gz cannot be downloaded: http://127.0.0.1:1/file (no connection: " in said
    assert [path.name for path in root.rglob("*") if path.is_file()] == ([archive.name] if content else [])


# SVHN


def write_svhn(root, count=12, **changed):
    folder = root / "svhn"
    folder.mkdir(exist_ok=True)
    images = np.random.default_rng(2).integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
    labels = (1 + np.arange(count) % 10).astype(np.uint8)[:, None]
    for part in ("train", "test"):
        savemat(folder / f"{part}_32x32.mat", {"X": images, "y": labels, **changed}, do_compression=True)
    return images, labels


def test_svhn_layout(root):
    images, labels = write_svhn(root)
    data = AnySvhn()
    row = data.test.y.tolist().index(0)  # ten stands for zero
    expected = images[:, :, :, labels.ravel().tolist().index(10)].transpose(2, 0, 1)
    assert np.array_equal((data.test.x[row] * 255).round().byte().numpy(), expected)
    assert [len(part) for part in (data.train, data.val, data.test)] == [11, 1, 12]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": np.ones((11, 1))}, "y must hold 12 labels from 1 to 10"),
        ({"y": np.full((12, 1), 11)}, "y must hold 12 labels from 1 to 10"),
        (
            {"X": np.zeros((32, 32, 12), dtype=np.uint8)},
            "X is uint8 of shape (32, 32, 12), not uint8 (32, 32",
        ),
        ({"X": np.zeros((32, 32, 3, 12))}, "X is double of shape"),
    ],
)
def test_svhn_files_of_other_content_are_refused(root, changed, message):
    write_svhn(root, **changed)
    with pytest.raises(UserError) as error:
        _ = AnySvhn().test
    assert one_line(error).startswith(f"{root}/svhn/test_32x32.mat: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    "y",
    [
        np.full((12, 1), np.nan),
        np.full((12, 1), 1.5),
        np.ones((12, 1)) * 1j,
        "hello, world",
        np.ones((12, 2)),
    ],
)
def test_labels_that_are_no_numbers_of_digits_are_refused(root, y):
    write_svhn(root, y=y)
    with pytest.raises(UserError, match=r"test_32x32.mat: y must hold 12 labels from 1 to 10"):
        _ = AnySvhn().test


@pytest.mark.parametrize("keep", [0, 60, 200, 5000])
def test_a_truncated_mat_file_is_named(root, keep):
    write_svhn(root)
    path = root / "svhn" / "test_32x32.mat"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError) as error:
        _ = AnySvhn().test
    assert one_line(error).startswith(f"{path}: ")


# npz


def write_orl(root, people=10, **changed):
    folder = root / "orl_faces"
    folder.mkdir(exist_ok=True)
    subject = np.repeat(np.arange(1, people + 1), 10).astype(np.uint8)
    images = np.random.default_rng(3).integers(0, 256, (len(subject), 112, 92), dtype=np.uint8)
    arrays = {"images": images, "subject": subject, "index": np.tile(np.arange(1, 11), people), **changed}
    path = folder / "orl_faces_400.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_orl_shows_other_people_in_each_split(root):
    write_orl(root)
    data = OrlFaces()
    people = [set(part.identity.tolist()) for part in (data.train, data.val, data.test)]
    assert [len(group) for group in people] == [7, 1, 2]
    assert set.union(*people) == set(range(10))
    assert data.shape == data.train.x.shape[1:] == (1, 112, 92)
    assert OrlFaces(size=64).train.x.shape[1:] == (1, 64, 64)
    assert torch.equal(data.train.y, data.train.identity)
    assert data.train.names["classes"][9] == "s10"


class Surprise:
    """What unpickling would call."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('unpickled')",))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"subject": None}, "has no array 'subject', only images, index"),
        ({"subject": np.zeros(99)}, "array 'subject' has shape (99,), not (100,)"),
        (
            {"images": np.zeros((100, 92, 112), dtype=np.uint8)},
            "has shape (100, 92, 112), not (100, 112, 92)",
        ),
        ({"images": np.zeros((100, 112, 92))}, "array 'images' is float64, not uint8"),
        ({"index": np.array([Surprise()] * 100)}, "cannot be read as .npz without pickles"),
    ],
)
def test_an_npz_of_other_content_is_refused(root, changed, message):
    path = write_orl(root, **changed)
    with pytest.raises(UserError) as error:
        _ = OrlFaces().train
    assert one_line(error).startswith(f"{path}: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    "change",
    [lambda b: b[:5000], lambda b: b"", lambda b: b[:3000] + b"?" * 9 + b[3009:], lambda b: b[:-30]],
)
def test_a_damaged_npz_is_named(root, change):
    path = write_orl(root)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError) as error:
        _ = OrlFaces().train
    assert one_line(error).startswith(f"{path}: cannot be read as .npz")


def test_cifar10_jpeg_layout(root):
    (root / "cifar10_jpeg").mkdir()
    images = np.random.default_rng(4).integers(0, 256, (50, 32, 32, 3), dtype=np.uint8)
    labels = (np.arange(50) % 10).astype(np.uint8)
    images[:, 0, 0, 0] = np.arange(50)
    classes = np.array([f"class {i}".encode() for i in range(10)])
    path = root / "cifar10_jpeg" / "cifar10_jpeg_test_2k.npz"
    np.savez(path, images=images, labels=labels, classes=classes)
    data = Cifar10Jpeg()
    assert [len(part) for part in (data.train, data.val, data.test)] == [36, 4, 10]
    number = int((data.val.x[0, 0, 0, 0] * 255).round())
    assert np.array_equal((data.val.x[0] * 255).round().numpy(), images[number].transpose(2, 0, 1))
    assert data.val.y[0] == number % 10
    assert data.val.names["classes"][3] == "class 3"
    np.savez(path, images=images, labels=labels + np.uint8(1), classes=classes)
    with pytest.raises(UserError, match="labels lie between 1 and 10, not 0 and 9"):
        _ = Cifar10Jpeg().val


def test_how_to_get_what_has_no_public_address(root, tmp_path):
    for cls, file in ((OrlFaces, "orl_faces/orl_faces_400.npz"), (Cifar10Jpeg, "cifar10_jpeg_test_2k.npz")):
        with pytest.raises(UserError, match="cannot be downloaded: it") as error:
            cls.download(tmp_path / "elsewhere")
        assert file in one_line(error)
    assert not (tmp_path / "elsewhere").exists()


# what a class says of itself without the registry


GREY_SETS = ["digits", "mnist", "fashion_mnist", "orl_faces"]
COLOUR_SETS = ["cifar10", "cifar100", "cifar10_jpeg", "svhn", "celeba", "image_folder"]


@pytest.mark.parametrize("name", GREY_SETS + COLOUR_SETS)
def test_parameters_are_the_registrys_with_and_without_it(name):
    """The digest names the prepared data: a parameter that is left out would mix two of them."""
    from mfbench.registry import load_registry

    registry = load_registry()
    created = registry.create("dataset", name, size=5, count=7)
    alone = registry.load(registry.card("dataset", name))(size=5, count=7)
    assert alone.parameters == created.parameters
    assert alone.shape == created.shape
    assert alone.name == name
