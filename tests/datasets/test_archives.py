"""Archives with care: what belongs is unpacked, anything else is named and nothing is written."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile

import pytest

from mfbench import UserError
from mfbench.datasets.archives import extract


def tar_of(path, *members, mode="w:gz"):
    """`members`: (name, content) or a TarInfo."""
    with tarfile.open(path, mode) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path


def zip_of(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


GOOD = (("set/one.txt", b"1" * 5000), ("set/deep/two.txt", b"2"))


@pytest.mark.parametrize(
    "make", [lambda p: tar_of(p / "a.tar.gz", *GOOD), lambda p: zip_of(p / "a.zip", *GOOD)]
)
def test_files_are_unpacked_over_what_is_there(tmp_path, make):
    target = tmp_path / "data"
    (target / "set").mkdir(parents=True)
    (target / "set" / "one.txt").write_text("old")
    (target / "set" / "mine.txt").write_text("kept")
    extract(make(tmp_path), target)
    assert tree(target) == {**dict(GOOD), "set/mine.txt": b"kept"}
    assert [path.name for path in target.iterdir()] == ["set"]


BAD_NAMES = ["../out.txt", "set/../../out.txt", "/out.txt", "..\\out.txt", "C:\\out.txt", "C:out.txt"]


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_path_that_leaves_the_folder_is_named_and_nothing_is_written(tmp_path, kind, name):
    members = (*GOOD, (name, b"evil"))
    archive = tar_of(tmp_path / "a.tar", *members) if kind == "tar" else zip_of(tmp_path / "a.zip", *members)
    target = tmp_path / "deep" / "data"
    with pytest.raises(UserError) as error:
        extract(archive, target)
    said = str(error.value)
    assert said.startswith(f"{archive}: {name!r} is a path that leaves the folder; nothing was unpacked")
    assert "\n" not in said
    assert tree(tmp_path).keys() == {archive.name}


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "member",
    [
        special("set/link", tarfile.SYMTYPE, "/etc/passwd"),
        special("set/link", tarfile.SYMTYPE, "one.txt"),
        special("set/link", tarfile.LNKTYPE, "../../out"),
        special("set/pipe", tarfile.FIFOTYPE),
        special("set/device", tarfile.CHRTYPE),
    ],
)
def test_links_and_devices_are_refused(tmp_path, member):
    archive = tar_of(tmp_path / "a.tar", *GOOD, member)
    with pytest.raises(UserError, match=rf"'{member.name}' is a link or device; nothing was unpacked"):
        extract(archive, tmp_path / "data")
    assert tree(tmp_path / "data") == {}


def test_a_link_in_a_zip_is_refused(tmp_path):
    link = zipfile.ZipInfo("set/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = zip_of(tmp_path / "a.zip", *GOOD, (link, "/etc/passwd"))
    with pytest.raises(UserError, match="'set/link' is a link or device"):
        extract(archive, tmp_path / "data")
    assert tree(tmp_path / "data") == {}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_tar_leaves_nothing(tmp_path, mode, share):
    noise = bytes((7 * i * i) % 251 for i in range(20000))
    archive = tar_of(tmp_path / "a.tar", *GOOD, ("set/noise", noise), ("set/last", noise[::-1]), mode=mode)
    content = archive.read_bytes()
    archive.write_bytes(
        content[: int(share * 0.5 * len(content)) if mode == "w" else int(share * len(content))]
    )
    with pytest.raises(UserError, match=r"a.tar: damaged archive \("):
        extract(archive, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_damaged_zip_leaves_nothing(tmp_path):
    archive = zip_of(tmp_path / "a.zip", ("set/one", b"first"), ("set/two", bytes(range(256)) * 40))
    content = bytearray(archive.read_bytes())
    middle = content.index(b"set/two") + 20
    content[middle : middle + 8] = b"XXXXXXXX"
    archive.write_bytes(bytes(content))
    with pytest.raises(UserError, match=r"a.zip: damaged archive \("):
        extract(archive, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_an_encrypted_zip_is_a_line(tmp_path):
    archive = zip_of(tmp_path / "a.zip", ("set/one", b"first"))
    content = bytearray(archive.read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + flags] |= 1
    archive.write_bytes(bytes(content))
    with pytest.raises(UserError, match=r"damaged archive .*encrypted"):
        extract(archive, tmp_path / "data")


def test_a_folder_that_cannot_be_made_is_a_line(tmp_path):
    archive = zip_of(tmp_path / "a.zip", *GOOD)
    (tmp_path / "data").write_text("a file is in the way")
    with pytest.raises(UserError, match=r"a.zip: cannot be unpacked into .*data"):
        extract(archive, tmp_path / "data")
