"""Image files damaged in the middle: found where their format tells, before a run and while decoding."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mfbench import UserError
from mfbench.datasets.decoding import decode, read_header, require_whole
from mfbench.datasets.folder import ImageFolder

RNG = np.random.default_rng(0)
BLOBS = Image.fromarray(RNG.integers(0, 256, (12, 9, 3), dtype=np.uint8)).resize(
    (90, 120), Image.Resampling.BICUBIC
)


def encoded(kind, mode="RGB", **options):
    stream = io.BytesIO()
    BLOBS.convert(mode).save(stream, kind, **options)
    return stream.getvalue()


JPEGS = {
    "colour": encoded("JPEG", quality=90),
    "444": encoded("JPEG", quality=90, subsampling=0),
    "grey": encoded("JPEG", "L", quality=90),
    "CMYK": encoded("JPEG", "CMYK", quality=90),
    "progressive": encoded("JPEG", quality=90, progressive=True),
    "RGB inside": encoded("JPEG", quality=90, keep_rgb=True),
    "restarts": encoded("JPEG", quality=90, restart_marker_blocks=4),
}


def lost(content, place=0.5):
    """Without 512 bytes, or a third of a small file, at this share of the file."""
    count = min(512, len(content) // 3)
    start = int(place * (len(content) - count))
    return content[:start] + content[start + count :]


def passes_pillow(content):
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_damaged_in_the_middle_is_named(tmp_path, kind):
    """Not always: codes that happen to end with the last block are a picture, if another one."""
    path = tmp_path / "image.jpg"
    path.write_bytes(JPEGS[kind])
    require_whole(path)
    assert decode(path).shape[1:] == (120, 90)
    found = passed = 0
    places = np.linspace(0.3, 0.95, 20)
    for place in places:
        damaged = lost(JPEGS[kind], place)
        passed += passes_pillow(damaged)
        path.write_bytes(damaged)
        said = [message_of(reader, path) for reader in (require_whole, decode)]
        assert said[0] == said[1]
        if said[0] is not None:
            found += 1
            assert said[0].startswith(f"{path}: damaged image (")
            assert "\n" not in said[0]
    assert passed >= 0.8 * len(places)  # what this is about
    assert found >= 0.8 * len(places)


def message_of(reader, path):
    try:
        reader(path)
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize("kind", JPEGS)
def test_pixels_are_pillows(tmp_path, kind):
    path = tmp_path / "image.jpg"
    path.write_bytes(JPEGS[kind])
    with Image.open(path) as image:
        expected = np.asarray(image.convert("L" if kind == "grey" else "RGB"))
    assert np.array_equal(decode(path), expected[None] if kind == "grey" else expected.transpose(2, 0, 1))


@pytest.mark.parametrize("count", [1, 100, 5000])
def test_what_cameras_append_is_no_damage(tmp_path, count):
    path = tmp_path / "image.jpg"
    path.write_bytes(JPEGS["colour"] + RNG.bytes(count))
    require_whole(path)
    assert decode(path).shape == (3, 120, 90)


def test_a_png_with_one_wrong_bit_is_named(tmp_path):
    """Its checksums tell: wherever the bit is in the compressed pixels."""
    path = tmp_path / "image.png"
    content = encoded("PNG")
    start, stop = content.index(b"IDAT") + 4, content.index(b"IEND") - 8
    for place in np.linspace(start, stop - 1, 25).astype(int):
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(bytes(damaged))
        for reader in (require_whole, decode):
            with pytest.raises(UserError, match=r"image.png: damaged image \(") as error:
                reader(path)
            assert "\n" not in str(error.value)


def test_damage_in_the_middle_of_a_folder_ends_a_run_before_it_starts(tmp_path, monkeypatch):
    monkeypatch.setenv("MFBENCH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(9):
        (folder / f"{number}.jpg").write_bytes(JPEGS["colour"])
    assert len(ImageFolder(folder=str(folder)).files()) == 1
    (folder / "4.jpg").write_bytes(lost(JPEGS["colour"]))
    with pytest.raises(UserError, match=r"4.jpg: damaged image"):
        ImageFolder(folder=str(folder)).files()
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("content", "jpeg"),
    [
        (JPEGS["colour"], True),
        (JPEGS["CMYK"], True),
        (encoded("PNG"), False),
        (encoded("WEBP"), False),
        (encoded("TIFF", compression="jpeg"), True),
        (encoded("TIFF", compression="tiff_lzw"), False),
    ],
)
def test_a_header_goes_by_content(tmp_path, content, jpeg):
    path = tmp_path / "image.bmp"
    path.write_bytes(content)
    header = read_header(path)
    assert (header.jpeg, header.height, header.width) == (jpeg, 120, 90)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", JPEGS["colour"][:30], b"GIF89a"]
)
@pytest.mark.parametrize("reader", [require_whole, decode, read_header])
def test_beginnings_alone_are_named(tmp_path, content, reader):
    path = tmp_path / "image.jpg"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        reader(path)
    assert str(error.value).startswith(f"{path}: ")
    with pytest.raises(UserError, match=r"nowhere.jpg: no such file"):
        reader(tmp_path / "nowhere.jpg")
