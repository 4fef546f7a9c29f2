"""Freed memory is kept for the next allocation: no page is faulted in twice."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
{prepare}
def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        [np.ones(1 << 20, np.uint8) for _ in range(8)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults(3)
print(faults(100))
"""


def _faults(prepare):
    code = FAULTS.format(prepare=prepare)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told how to keep its heap")
def test_blocks_are_faulted_in_once():
    kept = _faults("from mfbench.engine.heap import keep_freed_memory; keep_freed_memory()")
    assert kept < 1000 < _faults("")
