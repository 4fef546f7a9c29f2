"""What all tests share: a cache folder of their own, and plugins made on the spot."""

from __future__ import annotations

import os
import signal
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mfbench.registry import sources

os.environ.setdefault("OMP_NUM_THREADS", "1")
"""Before torch is imported: small tensors on many threads wait for each other more than they compute."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in what a shell starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _data_folder_as_before() -> Iterator[None]:
    """`--data-root` sets MFBENCH_DATA for the process: the tests after one that gives it must not see it."""
    before = os.environ.get("MFBENCH_DATA")
    yield
    os.environ.pop("MFBENCH_DATA", None)
    if before is not None:
        os.environ["MFBENCH_DATA"] = before


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One cache for the session: what a child said about a plugin is asked once."""
    before = os.environ.get("MFBENCH_CACHE")
    os.environ["MFBENCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["MFBENCH_CACHE"]
    else:
        os.environ["MFBENCH_CACHE"] = before


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """`write("folder/file.py", text)`: a file in the test's folder."""

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write_file


@pytest.fixture
def install(
    tmp_path: Path, write: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """`install("dist", {"module": source, ...})`: as pip would, with an entry point a module; its folder."""

    def install_distribution(name: str, modules: dict[str, str], version: str = "1.0") -> Path:
        site = tmp_path / "site-packages"
        for module, source in modules.items():
            write(f"site-packages/{module.replace('.', '/')}.py", source)
        points = "\n".join(f"{module} = {module}" for module in modules if "." not in module)
        write(f"site-packages/{name}-{version}.dist-info/METADATA", f"Name: {name}\nVersion: {version}\n")
        write(f"site-packages/{name}-{version}.dist-info/entry_points.txt", f"[mfbench]\n{points}\n")
        monkeypatch.syspath_prepend(str(site))
        sources.forget()
        return site

    return install_distribution
