"""Hashes of source code: what a result depends on besides what was asked.

A target's hash covers the syntax trees of its module and of the modules that it imports, directly or not,
from its own distribution and from the bench's measuring code. Comments, docstrings, formatting and what only
registers do not count, nor does the version of Python. Nothing is imported. Other libraries are provenance,
not identity.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules

from mfbench.cards import Card
from mfbench.measures import HOME, MENTIONED, TOGETHER
from mfbench.registry.filemodules import stable_name

_DOOR = ("mfbench", "mfbench.contracts", "mfbench.errors", "mfbench.hookspecs", "mfbench.measures")
"""What every target shares with the bench, or what only hands out what other modules hold: no number depends
on these files."""

_GROUND = {
    "mfbench.AdversarialPool": "mfbench.pools",
    "mfbench.LinearSchedule": "mfbench.schedules",
    "mfbench.breaches": "mfbench.threats",
    "mfbench.patch_masks": "mfbench.threats",
}
"""Where that lies which `mfbench` hands out lazily."""


def source_hash(card: Card) -> str:
    """SHA-256 of the code that answers for a registered name: which class, and all that it is made of."""
    start, _, name = card.target.partition(":")
    hasher = hashlib.sha256(f"{stable_name(start)}:{name}\n".encode())
    for module, fingerprint in sorted(_closure(start).items()):
        hasher.update(f"{stable_name(module)} {fingerprint}\n".encode())
    return hasher.hexdigest()


def forget() -> None:
    """Look again for what is installed where: for processes that install something while they run."""
    for cached in (_source_root, _siblings, _places):
        cached.cache_clear()


def _closure(start: str) -> dict[str, str]:
    """Fingerprints, by name, of a module and of all that it imports from its own distribution."""
    scope = _Scope(start.partition(".")[0])
    found: dict[str, str] = {}
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        module = waiting.pop()
        if module in seen or not scope.holds(module):
            continue
        seen.add(module)
        waiting += _parents(module)
        file = find_file(module, scope.root)
        if file is not None:
            source = _read(file)
            found[module] = source.fingerprint
            waiting += source.imports(module, is_package=file.name == "__init__.py")
            if source.is_lazy:
                waiting += [f"{module}.{name.name}" for name in iter_modules([str(file.parent)])]
    return found


def _parents(module: str) -> list[str]:
    """The packages that importing a module imports on the way."""
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


class _Scope:
    """Which modules count as the target's own distribution."""

    def __init__(self, top: str) -> None:
        self.top = top
        self.root = _source_root(top)
        self.siblings = _siblings(top)

    def holds(self, module: str) -> bool:
        top = module.partition(".")[0]
        if top == "mfbench":
            return not (module in _DOOR or module.startswith("mfbench.contracts."))
        if top == self.top or top in self.siblings:
            return True
        return self.root is not None and (_source_root(top) == self.root or _beside(self.root, top))


@cache
def _source_root(top: str) -> Path | None:
    """The folder that holds a top-level module, unless it is one where unrelated distributions meet."""
    places = _places(top)
    root = places[0].parent if places else None
    if root is None or {"site-packages", "dist-packages"} & set(root.parts):
        return None
    return root


@cache
def _siblings(top: str) -> frozenset[str]:
    """The top-level packages of the distribution that registers this one as a plugin."""
    tops = {
        point.module.partition(".")[0]: point.dist
        for point in entry_points(group="mfbench")
        if point.dist is not None
    }
    owner = tops.get(top)
    if owner is None:
        return frozenset()
    registered = {other for other, dist in tops.items() if dist.name == owner.name}
    parts = [file.parts[0].removesuffix(".py") for file in owner.files or () if file.suffix == ".py"]
    return frozenset(registered | {part for part in parts if part.isidentifier()})


def _beside(root: Path, top: str) -> bool:
    """Whether a module lies in a plugin's own folder, which the plugin may put on the path when it runs."""
    return not _places(top) and ((root / f"{top}.py").is_file() or (root / top).is_dir())


@cache
def _places(top: str) -> tuple[Path, ...]:
    """A top-level package's folders, or the file of a top-level module; empty where there is none."""
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return ()
    if spec is None:
        return ()
    if spec.submodule_search_locations is not None:
        return tuple(Path(place) for place in spec.submodule_search_locations)
    return (Path(spec.origin),) if spec.origin and spec.has_location else ()


def find_file(module: str, root: Path | None = None) -> Path | None:
    """The file of a module, without importing its package; None where there is none.

    What is not on the path is looked for in `root`.
    """
    top, *rest = module.split(".")
    if root is not None and not _places(top):
        return _in_folder(root.joinpath(top, *rest))
    for place in _places(top):
        if place.is_file() and not rest:
            return place
        file = _in_folder(place.joinpath(*rest))
        if file is not None:
            return file
    return None


def _in_folder(stem: Path) -> Path | None:
    """The file that a dotted path names: a package, a module, or compiled code."""
    candidates = [stem / "__init__.py", stem.with_name(f"{stem.name}.py")]
    candidates += [stem.with_name(stem.name + suffix) for suffix in EXTENSION_SUFFIXES]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


@dataclass(frozen=True)
class _Source:
    """A file's fingerprint, its imports as (level, module, names), and whether it is a lazy package.

    A package that defines `__getattr__` may import any of its modules when it is asked for a name.
    """

    fingerprint: str
    statements: tuple[tuple[int, str, tuple[str, ...]], ...] = ()
    is_lazy: bool = False

    def imports(self, module: str, *, is_package: bool) -> Iterator[str]:
        """Every module that the file may import: of `from a import b` that is a.b (and a, its parent)."""
        parts = module.split(".")
        for level, name, names in self.statements:
            base = parts[: len(parts) - level + is_package] if level else []
            origin = ".".join([*base, *([name] if name else [])])
            for imported in [f"{origin}.{each}" for each in names] or [origin]:
                yield from _handed_out(imported)


def _handed_out(imported: str) -> list[str]:
    """Where that lies which the bench hands out lazily; anything else is where it says."""
    if imported in _GROUND:
        return [_GROUND[imported]]
    package, _, name = imported.rpartition(".")
    if package == "mfbench.measures" and name in HOME:
        return [f"{package}.{HOME[name]}"]
    if imported == "mfbench.measures":
        return [f"{imported}.{module}" for module in TOGETHER]
    if imported == "mfbench.measures.*":
        return [f"{package}.{module}" for module in sorted(set(HOME.values()))]
    return [imported]


def _read(file: Path) -> _Source:
    status = file.stat()
    return _read_version(file, status.st_mtime_ns, status.st_size)


@cache
def _read_version(file: Path, mtime_ns: int, size: int) -> _Source:
    content = file.read_bytes()
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):  # compiled code, or a file that will not import anyway
        return _Source(hashlib.sha256(content).hexdigest())
    text = "".join(_written(tree))
    is_lazy = file.name == "__init__.py" and any(
        isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in tree.body
    )
    return _Source(hashlib.sha256(text.encode()).hexdigest(), tuple(_statements(tree)), is_lazy)


def _written(node: object) -> Iterator[str]:
    """A syntax tree as text, without what has no effect: positions, string statements, empty fields.

    `ast.dump` differs between versions of Python, which add fields that are empty in older code.
    """
    if isinstance(node, ast.AST):
        yield f"{type(node).__name__}("
        for name, value in ast.iter_fields(node):
            if value not in (None, []) or name == "value":
                yield f"{name}="
                yield from _written(value)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for item in node:
            if not (_is_remark(item) or _registers(item)):
                yield from _written(item)
                yield ","
        yield "]"
    else:
        yield repr(node)


def _is_remark(node: object) -> bool:
    """Whether a statement is a bare string: a docstring, or the like of one."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _registers(node: object) -> bool:
    """Whether this is a function of one argument called `registry`: no number depends on what it does."""
    return isinstance(node, ast.FunctionDef) and [each.arg for each in node.args.args] == ["registry"]


def _statements(tree: ast.AST) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """The imports in a tree, those inside functions included, those for the type checker not."""
    if _registers(tree):
        return
    if isinstance(tree, ast.If) and _is_type_checking(tree.test):
        for node in tree.orelse:
            yield from _statements(node)
        return
    if isinstance(tree, ast.Import):
        yield from ((0, alias.name, ()) for alias in tree.names)
    elif isinstance(tree, ast.ImportFrom):
        yield tree.level, tree.module or "", tuple(alias.name for alias in tree.names)
    elif isinstance(tree, ast.Attribute) and getattr(tree.value, "id", "") == "mfbench":
        yield 0, "mfbench", (tree.attr,)
    elif (mentioned := _mentioned(tree)) in MENTIONED:
        yield 0, "mfbench.measures", (mentioned,)
    elif isinstance(tree, ast.Call):
        yield from _called_import(tree)
    for child in ast.iter_child_nodes(tree):
        yield from _statements(child)


def _mentioned(tree: ast.AST) -> str:
    """The attribute asked for, of whatever name the measures go by there; or a string, as for `getattr`."""
    name = getattr(tree, "value", "") if isinstance(tree, ast.Constant) else getattr(tree, "attr", "")
    return name if isinstance(name, str) else ""


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _called_import(call: ast.Call) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """`import_module("a.b")` with the name written out."""
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if function == "import_module" and call.args:
        name = getattr(call.args[0], "value", None)
        if isinstance(name, str) and not name.startswith("."):
            yield 0, name, ()
