"""Downloads from a server on this machine: resumed, checked, in place whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from image_fakes import write_mnist

from mfbench import UserError
from mfbench.cli import main
from mfbench.datasets import download
from mfbench.datasets.download import fetch
from mfbench.datasets.idx import Mnist
from mfbench.datasets.sources import SourceFile

CONTENT = bytes((i * i) % 253 for i in range(300_000))
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Gives `content`; `breaks_after`: bytes after which it hangs up; `ranges`: whether it can resume."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.breaks_after, self.ranges, self.asked = CONTENT, None, True, []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/file.bin"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        if start and start >= len(server.content):
            self.send_error(416)
            return
        self.send_response(206 if wanted and server.ranges else 200)
        self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        self.wfile.write(server.content[start : server.breaks_after])
        if server.breaks_after is not None:
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    running = Server()
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MFBENCH_CACHE", str(tmp_path / "cache"))
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "data" / "set" / "file.bin"


def files_in(folder):
    return [path.name for path in folder.rglob("*") if path.is_file()] if folder.exists() else []


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_file_arrives_whole(server, target, cache):
    fetch([server.url], target, SHA256)
    assert target.read_bytes() == CONTENT
    assert files_in(target.parent) == ["file.bin"]
    assert files_in(cache / "downloads") == []


def test_what_broke_off_is_gone_on_with(server, target, cache):
    server.breaks_after = 100_000
    with pytest.raises(
        UserError, match="broke off after 100000 of 300000 bytes; try again to go on"
    ) as error:
        fetch([server.url], target, SHA256)
    assert "\n" not in str(error.value)
    assert files_in(target.parent) == []
    server.breaks_after = None
    fetch([server.url], target, SHA256)
    assert server.asked == [None, "bytes=100000-"]
    assert target.read_bytes() == CONTENT
    assert files_in(cache / "downloads") == []


def test_a_server_that_cannot_resume_is_asked_for_all(server, target):
    server.breaks_after = 100_000
    with pytest.raises(UserError):
        fetch([server.url], target, SHA256)
    server.breaks_after, server.ranges = None, False
    fetch([server.url], target, SHA256)
    assert target.read_bytes() == CONTENT


def test_a_part_of_another_version_is_thrown_away(server, target, cache):
    server.content, server.breaks_after = b"?" * 300_000, 100_000
    with pytest.raises(UserError):
        fetch([server.url], target, SHA256)
    server.content, server.breaks_after = CONTENT, None
    fetch([server.url], target, SHA256)
    assert server.asked == [None, "bytes=100000-", None]
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_all_there_is_needs_no_more(server, target, cache):
    server.breaks_after = 100_000
    with pytest.raises(UserError):
        fetch([server.url], target, SHA256)
    (part,) = (cache / "downloads").iterdir()
    part.write_bytes(CONTENT)
    server.breaks_after = None
    fetch([server.url], target, SHA256)  # the server answers 416
    assert target.read_bytes() == CONTENT


def test_other_content_is_refused_and_not_kept(server, target, cache):
    target.parent.mkdir(parents=True)
    target.write_text("what was there")
    server.content = b"<html>moved</html>"
    with pytest.raises(UserError, match=f"has the SHA-256 [0-9a-f]{{64}}, not {SHA256}"):
        fetch([server.url], target, SHA256)
    assert target.read_text() == "what was there"
    assert files_in(target.parent) == ["file.bin"]
    assert files_in(cache / "downloads") == []


def test_the_next_address_is_tried(server, target):
    gone = server.url.replace("file.bin", "missing")
    fetch([f"http://127.0.0.1:{closed_port()}/file.bin", gone, server.url], target, SHA256)
    assert target.read_bytes() == CONTENT
    target.unlink()
    with pytest.raises(UserError, match=rf"{gone} \(HTTP status 404\); or put the file at {target}"):
        fetch([gone], target, SHA256)


def test_the_wrapper_may_differ_where_the_content_is_hashed(server, target):
    server.content = gzip.compress(CONTENT, 1)
    fetch([server.url], target, SHA256, gunzip=True)
    assert gzip.decompress(target.read_bytes()) == CONTENT
    target.unlink()
    server.content = gzip.compress(CONTENT)[:-9]
    with pytest.raises(UserError, match="has the SHA-256 of no gzip file"):
        fetch([server.url], target, SHA256, gunzip=True)
    assert files_in(target.parent) == []


def test_a_full_disk_leaves_no_half_of_a_file(server, target, monkeypatch):
    def half(source, beside):
        beside.write_bytes(CONTENT[:1000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download.shutil, "copyfile", half)
    with pytest.raises(UserError, match=r"file.bin: cannot be written \(.*No space left"):
        fetch([server.url], target, SHA256)
    assert files_in(target.parent) == []


# through the command line


@pytest.fixture
def mnist_server(server, tmp_path, monkeypatch):
    """Serves MNIST's label file as all four files; the hashes say so."""
    write_mnist(tmp_path / "origin")
    server.content = (tmp_path / "origin" / "mnist" / "train-labels-idx1-ubyte.gz").read_bytes()
    sha256 = hashlib.sha256(gzip.decompress(server.content)).hexdigest()
    sources = tuple(SourceFile(s.path, sha256, (server.url,), gunzip=True) for s in Mnist.sources)
    monkeypatch.setattr(Mnist, "sources", sources)
    monkeypatch.setenv("MFBENCH_DATA", str(tmp_path / "data"))
    return server


def test_data_download_fetches_what_is_missing_or_damaged(mnist_server, capsys, tmp_path):
    folder = tmp_path / "data" / "mnist"
    assert main(["data", "check", "mnist"]) == 1
    assert capsys.readouterr().out.count("no such file") == 4
    assert main(["data", "download", "mnist"]) == 0
    assert len(mnist_server.asked) == 4
    assert capsys.readouterr().out == f"mnist: the files in {tmp_path / 'data'} are right\n"
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    assert main(["data", "check", "mnist"]) == 1
    assert "t10k-labels-idx1-ubyte.gz: damaged gzip file" in capsys.readouterr().out
    assert main(["data", "download", "mnist"]) == 0
    assert len(mnist_server.asked) == 5


def test_without_network_there_is_one_line_and_nothing_is_left(monkeypatch, capsys, tmp_path):
    address = f"http://127.0.0.1:{closed_port()}/file"
    sources = tuple(SourceFile(s.path, s.sha256, (address,), gunzip=True) for s in Mnist.sources)
    monkeypatch.setattr(Mnist, "sources", sources)
    assert main(["data", "download", "mnist", "--data-root", str(tmp_path / "data")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mfbench: train-images-idx3-ubyte.gz cannot be downloaded: ")
    assert f"{address} (no connection: [Errno 111] Connection refused)" in said
    assert said.count("\n") == 1
    assert files_in(tmp_path / "data") == []
    assert files_in(tmp_path / "cache") == []
