"""Writes a new plugin: a package that installs, registers one working thing and tests it."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Template

from mfbench.cards import KINDS
from mfbench.errors import UserError
from mfbench.spelling import did_you_mean

SUMMARIES = {
    "generator": "one Gaussian with the data's mean and covariance",
    "sampler": "Euler steps on the probability-flow ODE",
    "likelihood": "independent Gaussians, one a coordinate",
    "disentangler": "principal components as a code",
    "defense": "nearest mean behind a median filter",
    "attack": "one step up the gradient of the loss",
    "dataset": "points around a circle in the plane",
    "protocol": "mean log-density of unseen data",
}

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")


def scaffold(name: str, kind: str, folder: Path) -> list[Path]:
    """Write the package into `folder`, which must not exist or be empty; the files written."""
    if kind not in KINDS:
        raise UserError(f"--kind {kind}: there is no such kind{did_you_mean(kind, KINDS)}")
    if not _NAME.fullmatch(name):
        raise UserError(f"plugin name {name!r}: use small letters, digits, - and _, beginning with a letter")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists already: remove it, or name another folder with --folder")
    written = []
    for path, text in _contents(name, kind).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        written.append(file)
    return written


def _contents(name: str, kind: str) -> dict[str, str]:
    """Texts of the package's files by path."""
    words = {
        "name": name.replace("-", "_"),
        "kind": kind,
        "title": "".join(word.capitalize() for word in re.split("[_-]", name)),
        "package": f"mfbench_{name.replace('-', '_')}",
        "distribution": f"mfbench-{name.replace('_', '-')}",
        "summary": SUMMARIES[kind],
    }
    source = f"src/{words['package']}"
    templates = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{source}/__init__.py": "init.py",
        f"{source}/{kind}.py": f"{kind}.py",
        f"tests/test_{words['name']}.py": "test.py",
    }
    return {path: _template(template).substitute(words) for path, template in templates.items()}


def _template(name: str) -> Template:
    return Template((files("mfbench.cli") / "templates" / f"{name}.txt").read_text(encoding="utf-8"))
