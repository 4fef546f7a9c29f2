"""What a worker must have in common with the coordinator, asked before it is given work.

A result is kept under a key that names the code and the data: a worker that had others would put wrong
numbers under right names. So the bench's own code, the code behind every name that the plan uses, the files
of its data sets, and the versions of the libraries that numbers depend on must be the same.
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import mfbench
from mfbench.engine.machine import cpu_count, machine_name
from mfbench.engine.records import choices_in
from mfbench.errors import UserError
from mfbench.identity import sha256_of
from mfbench.plan import Plan
from mfbench.plan.choices import choice_arguments
from mfbench.registry import Registry, load_registry
from mfbench.registry.loading import from_file
from mfbench.registry.signatures import data_manifest, read_signatures
from mfbench.registry.sources import source_hash
from mfbench.remote.parcels import file_parcel, find_file
from mfbench.version import __version__

REQUIRED = ("torch", "numpy", "scipy", "scikit-learn", "distributed")
"""Distributions that numbers depend on, or through which tasks travel."""

OPTIONAL = ("torchvision", "torchattacks", "lpips", "zuko", "diffusers")
"""Of these two versions must not meet; where one is absent, the methods that need it say so."""

_GPU_PROBE = """
import json, torch
from mfbench.engine.machine import machine_name
count = torch.cuda.device_count() if torch.cuda.is_available() else 0
print(json.dumps([count, machine_name("cuda:0") if count else ""]))
"""
_GPU_PATIENCE_S = 300.0

Question = dict[str, Any]
"""{"plugins": {source: sha256}, "cards": [[kind, name]], "data": [[name, arguments, seed]], "cuda": bool,
"anew": bool}; anew: whether plugin files are imported even where a shared cache knows what they register."""


def make_question(plan: Plan, plugins: Mapping[str, str], cuda: bool) -> Question:
    """What every worker is asked before this plan's tasks."""
    registry = load_registry(plan.plugins)
    choices = {sha256_of(choice): choice for choice in _choices(plan)}
    cards = sorted({(choice["kind"], choice["name"]) for choice in choices.values()})
    sets = [choice for choice in choices.values() if choice["kind"] == "dataset"]
    return {
        "plugins": dict(plugins),
        "cards": [list(card) for card in cards],
        "data": _data_that_reads_files(registry, sets, plan.cells[0].seed),
        "cuda": cuda,
        "anew": True,
    }


def introduce(question: Question) -> dict[str, Any]:
    """What this process answers; `{"missing": parcels}` of plugin files that it has to be sent first."""
    found = {path: find_file(path, sha) if sha else path for path, sha in question["plugins"].items()}
    missing = [file_parcel(path, question["plugins"][path]) for path, here in found.items() if here is None]
    if missing:
        return {"missing": missing}
    gpus, machine = _gpus() if question["cuda"] else (0, machine_name())
    answer: dict[str, Any] = {"machine": machine, "cpus": cpu_count(), "gpus": gpus, "host": platform.node()}
    try:
        if question["anew"]:
            _require_imports([path for path, sha in question["plugins"].items() if sha], found)
        registry = load_registry([path for path in found.values() if path])
        registry.require_sources()
        sources = {
            f"{kind}/{name}": source_hash(registry.card(kind, name)) for kind, name in question["cards"]
        }
        data = {name: _manifest(registry, name, given, seed) for name, given, seed in question["data"]}
    except UserError as error:
        return {**answer, "problem": str(error)}
    return {**answer, "problem": "", "versions": _versions(), "sources": sources, "data": data}


def _require_imports(plugins: Iterable[str], found: Mapping[str, str | None]) -> None:
    """UserError for a plugin file that cannot be imported on this machine."""
    for path in plugins:
        plugin, _ = from_file(Path(found[path] or path), anew=True)
        if plugin.error is not None:
            raise UserError(
                f"plugin {path}: {plugin.error}; a plugin file travels alone, "
                "what it imports must be installed there"
            )


def disagreement(here: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """Why a worker that answered `there` cannot do the work, in one line; "" where it can."""
    if "missing" in there:
        names = ", ".join(parcel["root"] for parcel in there["missing"])
        return f"it does not keep what it is sent ({names}); see MFBENCH_CACHE there"
    if there["problem"]:
        return str(there["problem"])
    for name, mine in here["versions"].items():
        theirs = there["versions"].get(name, "")
        if theirs != mine and not (name in OPTIONAL and "" in (mine, theirs)):
            return (
                f"it has {name} {theirs or '(none)'} and the coordinator {mine or '(none)'}: "
                "install the same there (pip install -c constraints.txt)"
            )
    for name, mine in here["sources"].items():
        if there["sources"][name] != mine:
            return (
                f"the code of {name} is not the coordinator's: install the same version of its package there "
                "(a plugin file travels alone; what it imports from files beside it must be a package)"
            )
    for name, mine in here["data"].items():
        if there["data"][name] != mine:
            return f"the files of data set {name!r} are not the coordinator's; see MFBENCH_DATA there"
    return ""


def _choices(plan: Plan) -> Iterator[Mapping[str, Any]]:
    """Every choice of a plan; what cells share is looked into once. A fit's are those of its cells."""
    shared = {id(part): part for cell in plan.cells for part in (cell.protocol, cell.method, cell.data)}
    for part in shared.values():
        yield from choices_in(part)


def _data_that_reads_files(registry: Registry, sets: list[Mapping[str, Any]], seed: int) -> list[list[Any]]:
    """[name, arguments, seed] of the data sets that read files."""
    names = {("dataset", choice["name"]) for choice in sets}
    reading = {key[1] for key, found in read_signatures(registry, names).items() if found.reads_files}
    return [
        [choice["name"], choice_arguments(choice["parameters"]), seed]
        for choice in sets
        if choice["name"] in reading
    ]


def _manifest(registry: Registry, name: str, arguments: Mapping[str, Any], seed: int) -> str:
    return sha256_of(data_manifest(registry, name, arguments, seed))


def _versions() -> dict[str, str]:
    major, minor, _ = platform.python_version_tuple()
    found = {"python": f"{major}.{minor}", "mfbench": f"{__version__} ({_code()[:12]})"}
    return found | {name: _version(name) for name in (*REQUIRED, *OPTIONAL)}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _code() -> str:
    """SHA-256 of the bench's own files: two checkouts may have one version and different code."""
    folder = Path(mfbench.__file__).parent
    hasher = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        hasher.update(f"{file.relative_to(folder)}\n".encode() + file.read_bytes())
    return hasher.hexdigest()


def _gpus() -> tuple[int, str]:
    """CUDA devices that torch can use, and the machine's name with them; asked of a child: torch is large."""
    command = [sys.executable, "-c", _GPU_PROBE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GPU_PATIENCE_S, check=True)
        count, machine = json.loads(done.stdout.strip().splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return 0, ""
    return int(count), str(machine)
