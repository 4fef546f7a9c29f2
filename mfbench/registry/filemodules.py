"""Single-file plugins as modules: each file gets a module name of its own, under which `import` finds it.

The name depends on the file's path alone, so a card's target means the same in every process that was told
of the same files.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

PREFIX = "mfbench_file_"

_files: dict[str, Path] = {}


def add_file(path: Path) -> str:
    """Make a file importable in this process; the module's name. The file is not imported."""
    path = path.resolve()
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:10]
    name = f"{PREFIX}{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{digest}"
    if _finder not in sys.meta_path:
        sys.meta_path.append(_finder)
    _files[name] = path
    return name


def stable_name(module: str) -> str:
    """A module's name without what depends on where its file lies: the same on every machine."""
    return module.rpartition("_")[0] if module.startswith(PREFIX) else module


class _Loader(SourceFileLoader):
    """Compiles the file each time: cached bytecode is told apart by seconds, too coarse while editing."""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = _files.get(fullname)
        if file is None:
            return None
        return spec_from_file_location(fullname, file, loader=_Loader(fullname, str(file)))


_finder = _Finder()
