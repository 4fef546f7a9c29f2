"""Finds plugins and reads what they register: entry points, modules and single files, through one function.

Entry points are installed on purpose and imported in this process. A module or a file named by `--plugin` or
a suite is anybody's experiment: it is read in a child process, and what a file registered is kept by its
content.
"""

from __future__ import annotations

import hashlib
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import FrameType
from typing import Any

import pluggy

from mfbench import hookspecs
from mfbench.cards import LIFE_CYCLE, Plugin, PluginError, Registrar
from mfbench.errors import UserError
from mfbench.registry import filemodules, probe
from mfbench.registry.memo import recall, remember
from mfbench.spelling import did_you_mean
from mfbench.version import __version__

GROUP = "mfbench"
"""The entry point group."""

BUILT_IN = "mfbench.builtin"
"""The bench's own data sets and protocols: a plugin like any other, named here and not imported."""

GIVEN_AS = "give its Python file (mine.py), or the name of its module once it is installed (my_package)"
"""What every message about a plugin that is neither says."""

Loaded = tuple[Plugin, object]
"""A plugin, and the object that holds its hooks (None where it is broken or was only read in a child)."""


def resolve_source(source: str, base: Path | None = None) -> str:
    """A `--plugin` or suite plugin as every process understands it: an absolute path, or a module's name.

    `base` is the folder that relative files are relative to (default: the current one). UserError for what is
    neither: a file that is not there, a folder, a module's name with an empty part.
    """
    if not source.endswith(".py") and "/" not in source and "\\" not in source:
        if not all(part.strip() for part in source.split(".")):
            raise UserError(f"plugin {source!r}: is neither a file nor a module's name; {GIVEN_AS}")
        return source
    path = ((base or Path.cwd()) / Path(source).expanduser()).resolve()
    if path.is_dir():
        raise UserError(f"plugin {source!r}: {path} is a folder; {GIVEN_AS}")
    if not path.is_file():
        raise UserError(f"plugin {source!r}: there is no file {path}")
    return str(path)


def built_in() -> Loaded:
    """The bench's own data sets and protocols."""
    return load("mfbench", "built in", lambda: import_module(BUILT_IN), __version__)


def from_entry_points() -> Iterator[Loaded]:
    """Every installed plugin: those that come with the bench, then the others, each in the order of names.

    So a name that is taken twice stays with the bench's own plugin, and then with the first by name.
    """
    for point in sorted(entry_points(group=GROUP), key=_precedence):
        yield from_entry_point(point)


def _precedence(point: EntryPoint) -> tuple[bool, str, str]:
    return point.dist is None or point.dist.name != "mfbench", point.name, point.value


def from_entry_point(point: EntryPoint) -> Loaded:
    version = point.dist.version if point.dist else ""
    return load(point.name, "entry point", point.load, version)


def from_source(source: str) -> Loaded:
    """A plugin named by `--plugin` or by a suite: a module's name or, with a path in it, a file."""
    return from_file(Path(source)) if source.endswith(".py") else (_ask_child(source, source, None)[0], None)


def load(name: str, source: str, importer: Callable[[], object], version: str | None = None) -> Loaded:
    """Import a plugin and let it register; whatever goes wrong makes it a broken one."""
    try:
        with _interrupts_noted() as interrupts:
            found = importer()
        version = str(getattr(found, "__version__", "")) if version is None else version
        manager, hooks = _manager_of(name, found)
        registrar = Registrar(name, version)
        manager.hook.mfbench_register(registry=registrar)
    except BaseException as error:  # SystemExit and the like: a plugin must not end the bench
        if isinstance(error, KeyboardInterrupt) and interrupts:
            raise
        return Plugin(name, source, version or "", error=describe(error)), None
    return Plugin(name, source, version, tuple(registrar.cards), hooks), found


@contextmanager
def _interrupts_noted() -> Iterator[list[int]]:
    """A list that is empty as long as no SIGINT came: a plugin may raise KeyboardInterrupt itself."""
    came: list[int] = []
    usual = signal.getsignal(signal.SIGINT)
    if not callable(usual) or threading.current_thread() is not threading.main_thread():
        yield came  # no interrupt of the user's is raised here
        return

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        usual(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield came
    finally:
        if signal.getsignal(signal.SIGINT) is note:  # the plugin may have set its own
            signal.signal(signal.SIGINT, usual)


def describe(error: BaseException) -> str:
    """An exception in one line, with the place in the plugin's code that it came from."""
    if isinstance(error, PluginError | UserError):
        return str(error)
    said = " ".join(str(error).split())
    line = f"{type(error).__name__}: {said}" if said else type(error).__name__
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_foreign(frame.filename)]
    return f"{line} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else line


def _is_foreign(filename: str) -> bool:
    """Whether a line of a traceback is neither the bench's nor the standard library's."""
    path = Path(filename)
    if filename.startswith("<") or Path(__file__).parent in path.parents:
        return False
    return "site-packages" in path.parts or Path(traceback.__file__).parent not in path.parents


def _import(module: str) -> object:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        hint = f"; the folder {module} is no plugin: {GIVEN_AS}" if Path(module).is_dir() else ""
        hint = f"; for the file, say {module}.py" if Path(f"{module}.py").is_file() else hint
        raise PluginError(f"no module named {module!r} is installed{hint}") from error


def _manager_of(name: str, plugin: object) -> tuple[pluggy.PluginManager, tuple[str, ...]]:
    """A manager that knows this plugin only: what is wrong is the plugin's own. And its life-cycle hooks."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, name)
    except pluggy.PluginValidationError as error:
        raise PluginError("; ".join(str(error).splitlines()[1:])) from error
    hooks = [caller.name for caller in manager.get_hookcallers(plugin) or ()]
    if not hooks:
        raise PluginError("has no function marked @mfbench.hookimpl")
    for hook in hooks:
        if not hasattr(hookspecs, hook):
            raise PluginError(f"{hook} is not a hook{did_you_mean(hook, ('mfbench_register', *LIFE_CYCLE))}")
    return manager, tuple(hook for hook in LIFE_CYCLE if hook in hooks)


def from_file(path: Path, *, anew: bool = False) -> Loaded:
    """What a file registers, read in a child unless the same content was read before.

    anew: read it all the same: what it imports may be on another machine that shares the cache.
    """
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return Plugin(path.name, str(path), error=f"cannot be read: {error.strerror}"), None
    filemodules.add_file(path)
    identity = [str(path), digest]
    answer = None if anew else recall("plugins", identity)
    if answer is not None:
        return Plugin.from_json(answer), None
    plugin, answer = _ask_child(path.name, str(path), f"sha256:{digest[:12]}")
    if plugin.error is None:
        remember("plugins", identity, answer)
    return plugin, None


def _ask_child(name: str, source: str, version: str | None) -> tuple[Plugin, dict[str, Any]]:
    """What a source registers, read in a child, and the child's own words."""
    (answer,) = probe.ask([{"ask": "cards", "source": source, "version": version}])
    return Plugin(name, source, error=answer["error"]) if answer["error"] else Plugin.from_json(
        answer
    ), answer


def load_source(source: str, version: str | None = None) -> Loaded:
    """Import a module or a single-file plugin in this process: what the child does."""
    if not source.endswith(".py"):
        return load(source, source, lambda: _import(source), version)
    path = Path(source)
    module = filemodules.add_file(path)
    return load(path.name, source, lambda: import_module(module), version)
