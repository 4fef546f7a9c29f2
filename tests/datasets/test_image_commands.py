"""Image sets on the command line: what is absent is listed, and bad files end a run before it starts."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from dataclasses import replace

import pytest
from image_fakes import smooth_image, write_celeba, write_mnist

from mfbench.cli import main
from mfbench.datasets.cifar import Cifar10
from mfbench.datasets.hashes import file_hash
from mfbench.datasets.sources import SourceFile


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MFBENCH_DATA", str(tmp_path))
    return tmp_path


def test_data_list_says_what_is_absent(root, capsys):
    write_mnist(root)
    assert main(["data", "list"]) == 0
    out = capsys.readouterr().out
    for name, where in (
        ("mnist", "files"),
        ("fashion_mnist", "absent"),
        ("celeba", "absent"),
        ("digits", "computed"),
    ):
        assert re.search(rf"^  {name} +{where} +mfbench ", out, re.MULTILINE), name


@pytest.mark.parametrize("name", ["mnist", "cifar10", "svhn", "orl_faces", "cifar10_jpeg", "celeba"])
def test_check_names_every_missing_file(root, capsys, name):
    from mfbench.registry import load_registry

    registry = load_registry()
    missing = registry.load(registry.card("dataset", name)).missing(root)
    assert missing
    assert main(["data", "check", name]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(missing)
    for path, line in zip(missing, lines):
        assert line.startswith(f"{name}: {root / path}: ")


def test_a_truncated_file_ends_a_run_before_it_starts(root, capsys):
    write_mnist(root)
    path = root / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    assert main(["try", "sample_quality", "--data", "mnist", "--method", "gmm"]) == 2
    said = capsys.readouterr().err
    assert f"{path}: damaged gzip file (it ends too early); remove it and fetch it again" in said
    assert "Traceback" not in said
    assert said.count("\n") == 1


def test_a_missing_partition_ends_a_run_before_it_starts(root, capsys):
    (write_celeba(root) / "list_eval_partition.txt").unlink()
    assert main(["try", "sample_quality", "--data", "celeba", "--method", "gmm"]) == 2
    said = capsys.readouterr().err
    assert f"{root}/celeba/list_eval_partition.txt: no such file" in said
    assert "Traceback" not in said
    assert said.count("\n") == 1


def test_a_folder_enters_a_cell_by_its_content(root, capsys):
    folder = root / "mine"
    folder.mkdir()
    for number in range(30):
        smooth_image(16, 16, number % 12).save(folder / f"{number}.png")
    data = f'{{name = "image_folder", folder = "{folder}", size = 4, channels = "grey"}}'
    command = ["try", "sample_quality", "--data", data, "--method", "held_out", "--executor", "inline"]
    assert main(command) == 0
    assert "folder=mine@" in capsys.readouterr().out
    (folder / "7.png").write_bytes(b"no image")
    assert main(command) == 2  # before anything is computed
    said = capsys.readouterr().err
    assert f"{folder}/7.png: no image, or damaged from its beginning" in said
    assert said.count("\n") == 1


def test_another_file_than_the_official_one_ends_a_run_before_it_starts(root, capsys):
    write_mnist(root)
    assert main(["try", "sample_quality", "--data", "mnist", "--method", "gmm"]) == 2
    said = capsys.readouterr().err
    assert f"{root}/mnist/train-images-idx3-ubyte.gz: the SHA-256 of its content is " in said
    assert said.count("\n") == 1


def test_an_archive_that_leaves_its_folder_is_not_unpacked(root, capsys, monkeypatch):
    archive = root / "cifar10" / "cifar-10-binary.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as opened:
        opened.addfile(tarfile.TarInfo("cifar-10-batches-bin/../../../evil"))
    monkeypatch.setattr(Cifar10, "archive", SourceFile("cifar10/cifar-10-binary.tar.gz", file_hash(archive)))
    assert main(["data", "download", "cifar10"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"mfbench: {archive}: 'cifar-10-batches-bin/../../../evil' is a path that leaves")
    assert said.count("\n") == 1
    assert [path.name for path in root.rglob("*")] == ["cifar10", archive.name]


def write_cifar(root, monkeypatch):
    """CIFAR-10's layout with a record a file, taken for the official one; its archive."""
    archive = root / "cifar10" / "cifar-10-binary.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as opened:
        for source in Cifar10.sources:
            info = tarfile.TarInfo(source.path.removeprefix("cifar10/"))
            info.size = 3073
            opened.addfile(info, io.BytesIO(bytes(3073)))
    sha256 = hashlib.sha256(bytes(3073)).hexdigest()
    monkeypatch.setattr(Cifar10, "sources", tuple(replace(each, sha256=sha256) for each in Cifar10.sources))
    monkeypatch.setattr(Cifar10, "archive", SourceFile(Cifar10.archive.path, file_hash(archive)))
    return archive


def test_an_archive_of_the_users_own_is_kept(root, capsys, monkeypatch):
    archive = write_cifar(root, monkeypatch)
    content = archive.read_bytes()
    for _ in range(2):
        assert main(["data", "download", "cifar10"]) == 0
        assert "cifar10: the files in" in capsys.readouterr().out
        assert archive.read_bytes() == content
        assert sorted(path.name for path in archive.parent.iterdir()) == [
            "cifar-10-batches-bin",
            archive.name,
        ]


def test_a_damaged_archive_is_not_put_back(root, monkeypatch):
    archive = write_cifar(root, monkeypatch)
    whole = archive.read_bytes()
    archive.write_bytes(b"damaged")

    def fetch(*_):
        archive.unlink()  # as a file that arrives is put in place: another inode
        archive.write_bytes(whole)

    monkeypatch.setattr(SourceFile, "fetch", fetch)
    assert main(["data", "download", "cifar10"]) == 0
    assert [path.name for path in archive.parent.iterdir()] == ["cifar-10-batches-bin"]
