"""CelebA's official layout, small: attributes, partitions and people as listed, and bad lists named."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import torch
from image_fakes import ATTRIBUTES, PEOPLE, jpeg_bytes, smooth_image, write_celeba
from PIL import Image

import mfbench
from mfbench import UserError
from mfbench.cli import main
from mfbench.datasets import celeba, decoding
from mfbench.datasets.celeba import CelebA
from mfbench.datasets.hashes import file_hash
from mfbench.datasets.sources import SourceFile


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MFBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MFBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data"


def rows_of(split):
    """Which image each row is, by the brightness of the crop's corner, (39, 19) of a gradient."""
    corner = 40 + 80 * 19 / 178 + 40 * 39 / 218
    return ((split.x[:, 0, 0, 0] * 255 - corner) / 10).round().int().tolist()


def test_official_layout(root):
    write_celeba(root)
    data = mfbench.get("dataset", "celeba")
    assert data.shape == (3, 140, 140)
    assert [len(part) for part in (data.train, data.val, data.test)] == [8, 2, 2]
    assert data.train.names == {"attributes": ATTRIBUTES}
    assert data.train.y is None
    assert data.train.attributes.shape == (8, 40)
    for split in (data.train, data.val, data.test):
        for row, identity, attributes in zip(rows_of(split), split.identity, split.attributes):
            assert int(identity) == PEOPLE[row]
            assert attributes.tolist() == [int((row + column) % 3 == 0) for column in range(40)]


def test_an_attribute_may_be_the_class(root):
    write_celeba(root)
    name = ATTRIBUTES[4]
    data = mfbench.get("dataset", "celeba", label=name)
    assert data.spec().classes == 2
    assert data.train.names == {"attributes": ATTRIBUTES, "classes": (f"not {name}", name)}
    for split in (data.train, data.val, data.test):
        assert torch.equal(split.y, split.attributes[:, 4].long())
    with pytest.raises(UserError, match=f"label: no attribute '{name}x'; did you mean '{name}'"):
        _ = mfbench.get("dataset", "celeba", label=name + "x").train


def test_crop_is_the_central_square(root):
    folder = write_celeba(root)
    image = np.asarray(Image.open(folder / "img_align_celeba" / "000011.jpg"))
    for crop, top, left in ((140, 39, 19), (178, 20, 0)):
        data = CelebA(crop=crop, test_count=2)
        row = data.test.identity.tolist().index(7)
        cut = image[top : top + crop, left : left + crop].transpose(2, 0, 1)
        found = (data.test.x * 255).round().byte().numpy()
        assert any(np.array_equal(cut, candidate) for candidate in found), row
    with pytest.raises(UserError, match="crop = 179: between 1 and 178"):
        CelebA(crop=179)


def test_sizes_and_channels_follow_the_crop(root):
    write_celeba(root)
    data = CelebA(size=32, channels="grey")
    assert data.shape == data.train.x.shape[1:] == (1, 32, 32)
    with pytest.raises(UserError, match="size = 141: between 1 and 140"):
        CelebA(size=141)


def test_people_of_later_splits_are_left_out_of_earlier_ones(root):
    write_celeba(root, people=(3, 3, 8, 8, 8, 8, 9, 9, 5, 7, 7, 7))
    data = CelebA()
    assert set(data.train.identity.tolist()) == {3, 8, 9}
    assert data.val.identity.tolist() == [5]
    assert data.test.identity.tolist() == [7, 7]


def test_images_are_decoded_once_and_only_those_asked_for(root, monkeypatch):
    write_celeba(root)
    decoded = []
    monkeypatch.setattr(
        decoding, "decode", lambda path, decode=decoding.decode: decoded.append(path) or decode(path)
    )
    first = CelebA(size=16, count=4).train.x
    assert len(decoded) == 4
    again = CelebA(size=16, count=4).train.x
    assert len(decoded) == 4
    assert torch.equal(first, again)


def test_what_is_in_the_files_enters_the_digest(root):
    folder = write_celeba(root)
    before = CelebA().digest
    assert CelebA().digest == before
    path = folder / "img_align_celeba" / "000005.jpg"
    path.write_bytes(jpeg_bytes(smooth_image(218, 178, 11)))
    changed = CelebA().digest
    assert changed != before
    (folder / "identity_CelebA.txt").write_text(
        (folder / "identity_CelebA.txt").read_text().replace("000001.jpg 3", "000001.jpg 4")
    )
    assert CelebA().digest not in (before, changed)


def replace_line(folder, file, number, text):
    path = folder / file
    lines = path.read_text().splitlines()
    lines[number - 1 : number] = [] if text is None else [text]
    path.write_text("\n".join(lines) + "\n")


ONES = " ".join(["1"] * 40)


@pytest.mark.parametrize(
    ("file", "line", "text", "message"),
    [
        ("list_attr_celeba.txt", 1, "13", "line 1 says 13 images, 12 follow"),
        ("list_attr_celeba.txt", 1, "many", "line 1 must be the number of images"),
        (
            "list_attr_celeba.txt",
            2,
            " ".join(ATTRIBUTES[:39]),
            ", line 3: 40 values for 39 attributes (line 2)",
        ),
        ("list_attr_celeba.txt", 5, "000003.jpg 1 -1", ", line 5: 2 values for 40 attributes (line 2)"),
        (
            "list_attr_celeba.txt",
            5,
            f"000003.jpg 2 {ONES[2:]}",
            ", line 5: the attributes of 000003.jpg must be",
        ),
        (
            "list_attr_celeba.txt",
            5,
            f"../../3.jpg {ONES}",
            ", line 5: '../../3.jpg' must be the name of a file",
        ),
        ("list_attr_celeba.txt", 5, f"000004.jpg {ONES}", ", line 6: 000004.jpg is there already"),
        (
            "list_attr_celeba.txt",
            2,
            " ".join((ATTRIBUTES[7], *ATTRIBUTES[1:])),
            ", line 2: attribute Attribute_7 is there twice",
        ),
        (
            "list_eval_partition.txt",
            4,
            "000002.jpg 2",
            ", line 4: 000002.jpg is there already, on a line before",
        ),
        (
            "list_eval_partition.txt",
            12,
            "000012.jpg 2\n000013.jpg 0",
            "has a line for 000013.jpg, which list_attr_celeba.txt does not list",
        ),
        (
            "identity_CelebA.txt",
            1,
            "000001.jpg 3\n0.jpg 3",
            "has a line for 0.jpg, which list_attr_celeba.txt",
        ),
        ("list_eval_partition.txt", 4, None, "has no line for 000004.jpg, which list_attr_celeba.txt lists"),
        ("list_eval_partition.txt", 4, "000004.jpg 3", "000004.jpg must have 0, 1 or 2"),
        (
            "list_eval_partition.txt",
            4,
            "000004.jpg",
            ", line 4: expected a file and a number, found '000004.jpg'",
        ),
        ("identity_CelebA.txt", 9, None, "has no line for 000009.jpg"),
        ("identity_CelebA.txt", 9, "000009.jpg minus", ", line 9: expected a file and a number"),
        ("identity_CelebA.txt", 9, f"000009.jpg {'9' * 20}", ", line 9: expected a file and a number"),
        ("list_attr_celeba.txt", 1, "9" * 5000, "line 1 must be the number of images"),
        ("list_attr_celeba.txt", 5, f"3\0.jpg {ONES}", ", line 5: '3\\x00.jpg' must be the name of a file"),
    ],
)
def test_a_bad_list_is_named_with_its_line(root, file, line, text, message):
    folder = write_celeba(root)
    replace_line(folder, file, line, text)
    with pytest.raises(UserError) as error:
        _ = CelebA().train
    said = str(error.value)
    assert said.startswith(f"{folder / file}")
    assert message in said
    assert "\n" not in said


@pytest.mark.parametrize("file", ["list_attr_celeba.txt", "list_eval_partition.txt", "identity_CelebA.txt"])
def test_a_missing_list_is_named(root, file):
    folder = write_celeba(root)
    (folder / file).unlink()
    with pytest.raises(UserError, match=f"{file}: no such file; `mfbench data download celeba`"):
        _ = CelebA().train
    assert CelebA.missing(root) == [f"celeba/{file}"]


def test_a_list_that_is_no_text(root):
    folder = write_celeba(root)
    (folder / "identity_CelebA.txt").write_bytes(b"\xff\xfe\0")
    with pytest.raises(UserError, match=r"identity_CelebA.txt: no text \(ordinal not in range"):
        _ = CelebA().train


def test_a_listed_image_that_is_missing(root):
    folder = write_celeba(root)
    (folder / "img_align_celeba" / "000007.jpg").unlink()
    with pytest.raises(UserError, match=r"000007.jpg: no such file, though list_attr_celeba.txt lists it"):
        _ = CelebA().digest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (jpeg_bytes(smooth_image(218, 178))[:900], r"damaged image \(Premature end of JPEG file"),
        (b"\0" * 500, "no image, or damaged from its beginning"),
        (b"", "no image, or damaged from its beginning"),
        (jpeg_bytes(smooth_image(178, 178)), "is 178 x 178 RGB, not 218 x 178 RGB"),
        (jpeg_bytes(smooth_image(218, 178, mode="L")), "is 218 x 178 grey, not 218 x 178 RGB"),
    ],
)
def test_a_corrupt_image_in_the_middle_is_named_and_nothing_is_kept(root, content, message, tmp_path):
    folder = write_celeba(root)
    path = folder / "img_align_celeba" / "000006.jpg"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        _ = CelebA().files()  # before a run starts
    assert str(error.value).startswith(f"{path}: ")
    with pytest.raises(UserError, match=message):
        _ = CelebA().train
    assert not list((tmp_path / "cache").rglob("*.safetensors"))
    path.write_bytes(jpeg_bytes(smooth_image(218, 178, 5)))
    assert len(CelebA().train) == 8


# on the command line


def test_download_says_where_to_get_it_and_where_to_put_it(root, capsys):
    assert main(["data", "download", "celeba"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "its licence (research only) forbids passing it on" in said
    assert "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html" in said
    assert f"{root}/celeba" in said
    assert not root.exists()


def test_check_tells_a_subset_from_the_official_files(root, capsys):
    folder = write_celeba(root)
    assert main(["data", "check", "celeba"]) == 1
    out = capsys.readouterr().out
    assert f"celeba: {folder}/list_attr_celeba.txt: its SHA-256 is " in out
    assert "not the official list (a subset may be used as it is)" in out
    assert "remove it" not in out
    assert f"celeba: {folder}/img_align_celeba: holds 12 of 202599 images (*.jpg)" in out
    assert "not verified" not in out


def test_check_names_damaged_images_and_does_not_list_them_all(root, capsys):
    folder = write_celeba(root) / "img_align_celeba"
    whole = (folder / "000002.jpg").read_bytes()
    (folder / "000002.jpg").write_bytes(whole[:2000] + whole[2300:])
    (folder / "000003.jpg").write_bytes(jpeg_bytes(smooth_image(100, 178)))
    assert main(["data", "check", "celeba"]) == 1
    out = capsys.readouterr().out
    assert f"celeba: {folder}/000002.jpg: damaged image (" in out
    assert f"celeba: {folder}/000003.jpg: is 100 x 178 RGB, not 218 x 178 RGB (height x width)" in out
    assert out.count(".jpg: ") == 2
    for path in folder.glob("*.jpg"):
        path.write_bytes(b"garbage")
    assert main(["data", "check", "celeba"]) == 1
    out = capsys.readouterr().out
    assert out.count(".jpg: no image, or damaged from its beginning") == 10
    assert f"celeba: {folder}: and more of them" in out


@pytest.fixture
def archive(root, monkeypatch):
    """The images as `img_align_celeba.zip`, which is taken for the official one."""
    folder = write_celeba(root)
    path = folder / "img_align_celeba.zip"
    with zipfile.ZipFile(path, "w") as opened:
        for image in sorted((folder / "img_align_celeba").iterdir()):
            opened.write(image, f"img_align_celeba/{image.name}")
    monkeypatch.setattr(CelebA, "archive", SourceFile(CelebA.archive.path, file_hash(path)))
    return path


def test_what_was_half_unpacked_is_completed(root, archive):
    images = archive.parent / "img_align_celeba"
    before = CelebA().digest
    (images / "000007.jpg").unlink()
    (images / "000008.jpg").write_bytes((images / "000008.jpg").read_bytes()[:900])
    CelebA.download(root)
    assert CelebA().digest == before
    assert archive.is_file()


def test_an_archive_that_is_unpacked_is_left_alone(root, archive, monkeypatch):
    monkeypatch.setattr(celeba, "extract", lambda *paths: pytest.fail("unpacked again"))
    CelebA.download(root)


def test_half_an_archive_is_one_line(root, archive, monkeypatch):
    archive.write_bytes(archive.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"img_align_celeba.zip: its SHA-256 is "):
        CelebA.download(root)
    monkeypatch.setattr(CelebA, "archive", SourceFile(CelebA.archive.path, file_hash(archive)))
    with pytest.raises(UserError) as error:
        CelebA.download(root)
    assert str(error.value) == f"{archive}: cut off, or no zip file; remove it and fetch it again"


def test_the_advice_on_a_missing_image_does_not_go_in_a_circle(root):
    path = write_celeba(root) / "img_align_celeba" / "000007.jpg"
    path.unlink()
    for ask in (CelebA().files, lambda: CelebA.download(root)):
        with pytest.raises(UserError) as error:
            ask()
        said = str(error.value)
        assert said.startswith(f"{path}: no such file, though list_attr_celeba.txt lists it; where ")
        assert said.endswith("unpacks it; without it, take the image out of all three lists")


def test_images_are_unpacked_from_the_official_archive_only(root):
    folder = write_celeba(root)
    for path in (folder / "img_align_celeba").iterdir():
        path.unlink()
    (folder / "img_align_celeba").rmdir()
    archive = folder / "img_align_celeba.zip"
    archive.write_bytes(b"no zip")
    with pytest.raises(
        UserError, match=r"img_align_celeba.zip: its SHA-256 is [0-9a-f]{64}, not 46fb89443c578308"
    ):
        CelebA.download(root)
