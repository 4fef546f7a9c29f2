"""Image files of which Pillow gives a part without a word: more than 8 bits, more than one picture."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from image_fakes import smooth_image
from PIL import Image

from mfbench import UserError
from mfbench.cli import main
from mfbench.datasets.decoding import decode, read_header, require_whole
from mfbench.datasets.folder import ImageFolder

PICTURE = smooth_image(20, 10)


def chunk(kind, content):
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(bits, colour, channels):
    """A PNG of 20 x 10 zeros: Pillow writes no 16-bit colour."""
    header = struct.pack(">IIBBBBB", 10, 20, bits, colour, 0, 0, 0)
    rows = bytes(20 * (1 + 10 * channels * bits // 8))
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def tiff(bits):
    """An uncompressed RGB TIFF of 20 x 10 zeros."""
    pixels = bytes(20 * 10 * 3 * bits // 8)
    depths = struct.pack("<HHH", bits, bits, bits)
    tags = [
        (256, 3, 1, 10),
        (257, 3, 1, 20),
        (258, 3, 3, 8 + 2 + 9 * 12 + 4),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 8 + 2 + 9 * 12 + 4 + 6),
        (277, 3, 1, 3),
        (278, 3, 1, 20),
        (279, 4, 1, len(pixels)),
    ]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + depths + pixels


def encoded(kind, **options):
    stream = io.BytesIO()
    PICTURE.save(stream, kind, **options)
    return stream.getvalue()


def pictures(kind):
    others = [smooth_image(20, 10, number) for number in (3, 6)]
    return encoded(kind, save_all=True, append_images=others)


PLAIN = {
    "PNG": png(8, 2, 3),
    "TIFF": tiff(8),
    "PPM": b"P6 10 20 255\n" + bytes(600),
    "GIF": encoded("GIF"),
    "WEBP": encoded("WEBP"),
    "JPEG with a preview": pictures("MPO"),
}
DEEP = {
    "RGB": png(16, 2, 3),
    "RGBA": png(16, 6, 4),
    "grey and alpha": png(16, 4, 2),
    "TIFF": tiff(16),
    "PPM": b"P6 10 20 65535\n" + bytes(1200),
}
SEVERAL = {kind: pictures(kind) for kind in ("GIF", "TIFF", "PNG", "WEBP")}


@pytest.mark.parametrize("kind", PLAIN)
def test_one_picture_of_8_bits_is_read(tmp_path, kind):
    path = tmp_path / "image"
    path.write_bytes(PLAIN[kind])
    require_whole(path)
    assert (read_header(path).height, read_header(path).width) == (20, 10)
    assert decode(path).shape == (3, 20, 10)


@pytest.mark.parametrize("reader", [decode, read_header])
@pytest.mark.parametrize("kind", DEEP)
def test_more_than_8_bits_are_refused(tmp_path, kind, reader):
    path = tmp_path / "image.png"
    path.write_bytes(DEEP[kind])
    with Image.open(path) as image:
        assert image.mode in ("RGB", "RGBA", "LA")  # which does not tell
    with pytest.raises(UserError) as error:
        reader(path)
    assert str(error.value) == (
        f"{path}: its pixels have more than 8 bits a channel; convert it to 8-bit grey or RGB"
    )


@pytest.mark.parametrize("reader", [decode, read_header])
@pytest.mark.parametrize("content", [png(16, 0, 1), b"P5 10 20 65535\n" + bytes(400)])
def test_deep_grey_is_refused(tmp_path, content, reader):
    path = tmp_path / "image.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"image.png: its pixels are of Pillow's mode 'I"):
        reader(path)


@pytest.mark.parametrize("reader", [decode, read_header])
@pytest.mark.parametrize("kind", SEVERAL)
def test_several_pictures_are_refused(tmp_path, kind, reader):
    path = tmp_path / "image.gif"
    path.write_bytes(SEVERAL[kind])
    with pytest.raises(UserError) as error:
        reader(path)
    assert str(error.value) == f"{path}: holds 3 pictures (animated, or pages); one a file is right"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png(16, 0, 1), "its pixels are of Pillow's mode 'I;16', not 8-bit grey or RGB"),
        (DEEP["RGB"], "its pixels have more than 8 bits a channel"),
        (SEVERAL["GIF"], "holds 3 pictures"),
        (encoded("PNG"), "size = 16: between 1 and 10, the native size; images are never enlarged"),
    ],
)
def test_a_folder_is_refused_before_a_run_starts(tmp_path, monkeypatch, content, message):
    """By its headers: `files` is asked for while planning, and again where the hash of the folder is kept."""
    monkeypatch.setenv("MFBENCH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(9):
        smooth_image(30, 30, number).save(folder / f"{number}.png")
    assert len(ImageFolder(folder=str(folder), size=16).files()) == 1
    bad = folder / "4.png"
    bad.write_bytes(content)
    for _ in range(2):
        with pytest.raises(UserError) as error:
            ImageFolder(folder=str(folder), size=16).files()
        assert str(error.value).startswith(f"{bad}: {message}")


def test_a_small_image_ends_a_run_with_exit_code_2(tmp_path, capsys):
    for number in range(9):
        smooth_image(30, 30, number).save(tmp_path / f"{number}.png")
    smooth_image(1, 1).save(tmp_path / "dot.png")
    data = f'{{name = "image_folder", folder = "{tmp_path}", size = 16}}'
    assert main(["try", "sample_quality", "--data", data, "--method", "held_out"]) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path}/dot.png: size = 16: between 1 and 1, the native size" in said
    assert said.count("\n") == 1
