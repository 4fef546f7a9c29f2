"""A user's folder of images: any size, any format, classes by sub-folder."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
import torch
from image_fakes import jpeg_bytes, smooth_image
from PIL import Image

import mfbench
from mfbench import UserError
from mfbench.cli import main
from mfbench.datasets import decoding
from mfbench.datasets import preprocessing as steps
from mfbench.datasets.decoding import decode
from mfbench.datasets.folder import ImageFolder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MFBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    """Ten cats and ten dogs, of as many sizes."""
    path = tmp_path / "pets"
    for number in range(20):
        name = path / ("cats", "dogs")[number // 10] / f"{number}.{'jpg' if number % 2 else 'png'}"
        name.parent.mkdir(parents=True, exist_ok=True)
        smooth_image(40 + number, 60 - number, number % 10).save(name)
    return path


def test_splits_labels_and_shapes(folder):
    data = mfbench.get("dataset", "image_folder", folder=str(folder), size=24)
    assert data.shape == (3, 24, 24)
    parts = (data.train, data.val, data.test)
    assert [len(part) for part in parts] == [14, 2, 4]
    assert all(part.x.shape[1:] == data.shape for part in parts)
    assert data.train.names == {"classes": ("cats", "dogs")}
    assert torch.bincount(torch.cat([part.y for part in parts])).tolist() == [10, 10]


def test_each_image_takes_the_one_path(folder):
    one = folder / "cats" / "0.png"
    for path in [path for path in folder.rglob("*.*") if path != one]:
        path.unlink()
    for copy in range(6):
        (folder / "cats" / f"copy{copy}.png").write_bytes(one.read_bytes())
    data = ImageFolder(folder=str(folder), size=24, channels="grey", jpeg_quality=60)
    pixels = decode(one)[None]
    expected = steps.resize(steps.central_square(steps.to_grey(steps.reencode(pixels, 60))), 24)
    assert torch.equal(data.train.x[:1], steps.to_unit(expected))


def test_without_sub_folders_there_are_no_labels(tmp_path):
    for number in range(8):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg_bytes(smooth_image(30, 30, number)))
    data = ImageFolder(folder=str(tmp_path), size=30)
    assert data.train.y is None
    assert data.train.names == {}


def test_content_and_names_enter_the_digest(folder):
    digests = {ImageFolder(folder=str(folder), size=24).digest}
    smooth_image(50, 50, 3).save(folder / "dogs" / "12.png")
    digests.add(ImageFolder(folder=str(folder), size=24).digest)
    (folder / "dogs" / "12.png").rename(folder / "cats" / "12.png")
    digests.add(ImageFolder(folder=str(folder), size=24).digest)
    (folder / "notes.txt").write_text("not an image")
    digests.add(ImageFolder(folder=str(folder), size=24).digest)
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (jpeg_bytes(smooth_image(60, 60))[:700], "13.jpg: damaged image (Premature end of JPEG file"),
        (b"GIF", "13.jpg: no image, or damaged from its beginning"),
        (jpeg_bytes(smooth_image(60, 20)), "13.jpg: size = 24: between 1 and 20, the native size"),
    ],
)
def test_a_bad_image_is_named(folder, content, message, tmp_path):
    (folder / "dogs" / "13.jpg").write_bytes(content)
    data = ImageFolder(folder=str(folder), size=24)
    with pytest.raises(UserError) as error:
        _ = data.train, data.val, data.test
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("file", ["cats/1.jpg", "cats/2.png"])
def test_files_cut_off_are_found_without_decoding_the_whole_ones(folder, file, monkeypatch):
    decoded = []
    monkeypatch.setattr(
        decoding, "decode", lambda path, real=decoding.decode: decoded.append(path) or real(path)
    )
    _ = ImageFolder(folder=str(folder), size=24).digest
    assert decoded == []
    path = folder / file
    path.write_bytes(path.read_bytes()[:-80])
    with pytest.raises(UserError, match=rf"{path.name}: damaged image"):
        _ = ImageFolder(folder=str(folder), size=24).digest
    assert decoded == []


def test_what_cameras_append_to_a_jpeg_is_no_damage(folder):
    path = folder / "cats" / "1.jpg"
    path.write_bytes(path.read_bytes() + bytes(500))
    assert len(ImageFolder(folder=str(folder), size=24).digest) == 64


def test_bad_folders(folder, tmp_path):
    for given, message in (
        (None, 'image_folder needs a folder: folder = "PATH"'),
        (str(tmp_path / "nowhere"), "nowhere: no such folder"),
        (str(folder / "cats" / "0.png"), "0.png: no such folder"),
        (str(tmp_path / "empty"), "empty: holds no image"),
    ):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(UserError, match=message):
            _ = ImageFolder(folder=given).train
    (folder / "stray.png").write_bytes((folder / "cats" / "0.png").read_bytes())
    with pytest.raises(UserError, match=r"stray.png: lies beside the sub-folders"):
        _ = ImageFolder(folder=str(folder), size=8).train


def link(path):
    path.symlink_to(path.parent / "gone")


def link_to_a_folder(path):
    path.symlink_to(path.parent.parent / "dogs")


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("cats/more.png", link, "a link to nothing; mend it or remove it"),
        ("birds", link, "a link to nothing; mend it or remove it"),
        ("cats/more", link_to_a_folder, "a link to a folder, which is not followed; put the images "),
        ("cats/more.png", os.mkfifo, "no image but a pipe, socket or device; remove it"),
    ],
)
def test_what_would_be_passed_over_is_named(folder, name, make, message):
    path = folder / name
    make(path)
    with pytest.raises(UserError) as error:
        ImageFolder(folder=str(folder), size=8).files()
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


def test_a_link_to_an_image_and_files_that_are_none_are_welcome(folder):
    (folder / "cats" / "again.png").symlink_to(folder / "cats" / "0.png")
    os.mkfifo(folder / "cats" / "pipe")
    (folder / "cats" / "notes.txt").write_text("not an image")
    (folder / "cats" / "more.png").mkdir()
    names = ImageFolder(folder=str(folder), size=8)._names
    assert len(names) == 21
    assert "cats/again.png" in names


def test_a_folder_that_may_not_be_read_is_named(folder, monkeypatch):
    """What the system says to anyone but root, who may read all."""

    def scandir(path, real=os.scandir):
        if os.fspath(path).endswith("dogs"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(UserError) as error:
        ImageFolder(folder=str(folder), size=8).files()
    assert str(error.value) == f"{folder}/dogs: Permission denied"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is locked for root")
@pytest.mark.parametrize("name", ["dogs", "dogs/12.png", "dogs/13.jpg"])
def test_what_is_locked_is_named(folder, name):
    path = folder / name
    path.chmod(0)
    try:
        with pytest.raises(UserError) as error:
            ImageFolder(folder=str(folder), size=8).files()
    finally:
        path.chmod(0o755)
    assert str(error.value) == f"{path}: Permission denied"


def test_jpeg_at_a_size_of_its_own(folder):
    data = ImageFolder(folder=str(folder), size=12, jpeg_quality=60, jpeg_size=24)
    assert data.shape == (3, 12, 12)
    assert len(data.train) == 14
    with pytest.raises(UserError, match=r"jpeg_size = 42: between 1 and \d+, the native size") as error:
        _ = ImageFolder(folder=str(folder), size=12, jpeg_quality=60, jpeg_size=42).train
    assert str(error.value).startswith(str(folder))
    for parameters, message in (
        ({"size": 0}, "size = 0: at least 1"),
        ({"jpeg_size": 70}, "jpeg_size = 70: .* set jpeg_quality too"),
        ({"jpeg_quality": 75, "jpeg_size": 20}, "jpeg_size = 20: at least size = 64"),
        ({"jpeg_quality": 0}, "jpeg_quality = 0: between 1 and 95"),
    ):
        with pytest.raises(UserError, match=message):
            ImageFolder(folder=str(folder), **parameters)


def png(array, mode=None):
    stream = io.BytesIO()
    (Image.fromarray(array) if mode is None else Image.fromarray(array).convert(mode)).save(stream, "PNG")
    return stream.getvalue()


def test_formats_that_are_not_plain_rgb(tmp_path):
    rgb = np.asarray(smooth_image(20, 10))
    path = tmp_path / "image.png"
    for mode, channels in (("P", 3), ("RGBA", 3), ("L", 1), ("LA", 1), ("1", 1)):
        path.write_bytes(png(rgb, mode))
        assert decode(path).shape == (channels, 20, 10), mode
    path.write_bytes(png(np.zeros((4, 4), dtype=np.uint16)))
    with pytest.raises(UserError, match=r"image.png: its pixels are of Pillow's mode 'I;16'"):
        decode(path)
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held on its side
    smooth_image(20, 10).save(path, exif=turned)
    assert decode(path).shape == (3, 10, 20)


def test_command_line_says_what_it_reads(capsys):
    for action in ("check", "download"):
        assert main(["data", action, "image_folder"]) == 2
        assert "image_folder reads the folder that its parameter `folder` names" in capsys.readouterr().err
