"""What children said is kept, and a damaged cache costs time and nothing else."""

import pytest

from mfbench.paths import cache_root
from mfbench.registry import memo


def test_what_is_remembered_is_recalled():
    memo.remember("memo", ["it"], {"names": ["a"]})
    assert memo.recall("memo", ["it"]) == {"names": ["a"]}
    assert memo.recall("memo", ["another"]) is None


@pytest.mark.parametrize(
    "damage", ["", "{}", "null", "[1]", '{"error": null}', '{"answer": {}, "sha256": ""}', "\0" * 10]
)
def test_a_damaged_entry_is_no_entry(damage, tmp_path, monkeypatch):
    monkeypatch.setenv("MFBENCH_CACHE", str(tmp_path))
    memo.remember("memo", ["it"], {"names": ["a"]})
    (file,) = (cache_root() / "memo").glob("*.json")
    file.write_text(damage)
    assert memo.recall("memo", ["it"]) is None


def test_entries_depend_on_the_contracts(tmp_path, monkeypatch):
    """Signatures read under other contracts are read again."""
    ground = tmp_path / "mfbench"
    for name in ("registry/memo.py", "contracts/method.py", "cards.py"):
        (ground / name).parent.mkdir(parents=True, exist_ok=True)
        (ground / name).write_text("x = 1")
    monkeypatch.setattr(memo, "__file__", str(ground / "registry" / "memo.py"))

    def reader_hash():
        memo._reader_hash.cache_clear()
        return memo._reader_hash()

    hashes = {reader_hash()}
    for name in ("registry/memo.py", "contracts/method.py", "cards.py"):
        (ground / name).write_text("x = 2")
        hashes.add(reader_hash())
    memo._reader_hash.cache_clear()
    assert len(hashes) == 4
