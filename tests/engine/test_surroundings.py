"""What a cell changes around itself is put back when it ends."""

import gc
import os
import signal
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from mfbench.engine.surroundings import surroundings_kept


def state():
    return {
        "path": (id(sys.path), list(sys.path)),
        "meta_path": (id(sys.meta_path), list(sys.meta_path)),
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "limit": sys.getrecursionlimit(),
        "handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "alarm": signal.getitimer(signal.ITIMER_REAL)[0] > 0,
        "filters": list(warnings.filters),
        "numpy": np.geterr(),
        "stdout": sys.stdout,
        "collecting": gc.isenabled(),
    }


def devastate(folder):
    sys.path.clear()
    sys.meta_path = []
    os.environ.clear()
    os.environ["OMP_NUM_THREADS"] = "64"
    os.chdir(folder)
    sys.setrecursionlimit(5_000)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 100)
    warnings.simplefilter("error")
    np.seterr(all="raise")
    sys.stdout = None
    gc.disable()


@pytest.mark.parametrize("error", [None, SystemExit, KeyboardInterrupt])
def test_everything_is_put_back_however_the_cell_ends(tmp_path, error):
    def cell():
        with surroundings_kept():
            devastate(tmp_path)
            if error:
                raise error

    before = state()
    if error:
        with pytest.raises(error):
            cell()
    else:
        cell()
    assert state() == before


def test_a_folder_that_is_gone_is_no_failure(tmp_path, monkeypatch):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with surroundings_kept():
        os.chdir(tmp_path)
        folder.rmdir()


def test_it_works_in_any_thread(tmp_path):
    before = state()
    ended = []

    def cell():
        with surroundings_kept():
            os.environ["OMP_NUM_THREADS"] = "64"
        ended.append(True)

    thread = threading.Thread(target=cell)
    thread.start()
    thread.join()
    assert ended
    assert state() == before
