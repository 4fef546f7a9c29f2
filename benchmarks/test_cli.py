"""What it costs to start: `mfbench list` answers in under 0.3 s (the minimum of five runs)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mfbench.registry import load_registry
from mfbench.registry.signatures import read_signatures
from mfbench.registry.sources import source_hash

COMMAND = Path(sys.executable).with_name("mfbench")
LIST_BUDGET_S = 0.3


@pytest.mark.parametrize("arguments", [("list",), ("--help",)], ids=" ".join)
def test_start(benchmark, arguments):
    """The whole process, from the shell's point of view."""
    command = [str(COMMAND), *arguments]
    benchmark.pedantic(
        subprocess.run, (command,), {"check": True, "capture_output": True}, rounds=5, warmup_rounds=1
    )
    assert benchmark.stats.stats.min < LIST_BUDGET_S


def test_load_registry(benchmark):
    """Every plugin found and asked, in a process that has done it before."""
    benchmark(load_registry)


def test_source_hashes(benchmark):
    """The hashes of everything that comes with the bench, sources parsed before."""
    cards = load_registry().cards()
    benchmark(lambda: [source_hash(card) for card in cards])


def test_signatures_kept(benchmark):
    """Every signature, kept from before: no child process."""
    registry = load_registry()
    keys = [(card.kind, card.name) for card in registry.cards()]
    read_signatures(registry, keys, {})
    benchmark(read_signatures, registry, keys, {})
