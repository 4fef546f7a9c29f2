"""docs/datasets.md says what is registered, and its code does what it says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mfbench.datasets.images import ImageDataset
from mfbench.datasets.orl import OrlFaces
from mfbench.registry import load_registry

TEXT = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()
ROWS = {row[1]: row[2] for row in re.finditer(r"^\| `(\w+)` \| ([^|]+) \|", TEXT, re.MULTILINE)}


def block(language, holds=""):
    """The first block of a language that holds a text."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return next(code for code in found if holds in code)


def image_sets():
    registry = load_registry()
    loaded = {
        card.name: registry.load(card) for card in registry.cards("dataset") if card.plugin == "mfbench"
    }
    return {name: target for name, target in loaded.items() if issubclass(target, ImageDataset)}


def test_every_image_set_has_a_row_with_its_native_shape():
    sets = image_sets()
    assert ROWS.keys() >= sets.keys()
    for name, target in sets.items():
        shape = [int(number) for number in re.findall(r"\d+", ROWS[name])]
        if len(shape) == 3:
            assert tuple(shape) == tuple(target().shape), name


@pytest.mark.parametrize(
    "name", ["mnist", "cifar10", "cifar100", "svhn", "celeba", "orl_faces", "cifar10_jpeg"]
)
def test_the_files_are_where_the_table_says(name):
    (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| `{name}` |")]
    folders = {source.path.partition("/")[0] for source in image_sets()[name].sources}
    assert all(f"`{folder}/" in row for folder in folders)
    assert ("no SHA-256 is published" in row) == any(
        not source.sha256 for source in image_sets()[name].sources
    )


def test_the_fair_pair_is_fair():
    (run,) = tomllib.loads(block("toml", "[suite]"))["run"]
    registry = load_registry()
    inside, outside = (
        registry.create("dataset", entry.pop("name"), **entry) for entry in (run["data"], *run["against"])
    )
    assert inside.shape == outside.shape == (1, 28, 28)
    assert list(inside.history.differences(outside.history)) == []


def test_the_orl_array_is_what_the_data_set_reads(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for subject in range(1, 41):
        (tmp_path / "att" / f"s{subject}").mkdir(parents=True)
        for index in range(1, 11):
            image = rng.integers(0, 256, (112, 92), dtype=np.uint8)
            image[0, 0] = subject
            Image.fromarray(image).save(tmp_path / "att" / f"s{subject}" / f"{index}.pgm")
    names: dict = {}
    exec(compile(block("python", "def orl_array"), "datasets.md", "exec"), names)
    (tmp_path / "orl_faces").mkdir()
    names["orl_array"](tmp_path / "att", tmp_path / "orl_faces" / "orl_faces_400.npz")
    monkeypatch.setenv("MFBENCH_DATA", str(tmp_path))
    data = OrlFaces()
    assert [len(part) for part in (data.train, data.val, data.test)] == [290, 30, 80]
    first_pixel = (data.train.x[:, 0, 0, 0] * 255).round().long()
    assert first_pixel.tolist() == (data.train.identity + 1).tolist()
