"""What a person is told: progress, failures, provenance."""

import io
import os
import warnings

import pytest
import torch
from test_order_of_work import cell, fit

from mfbench.engine.datasets import DatasetCache
from mfbench.engine.failures import describe, last_words, status_of
from mfbench.engine.limits import memory_limited, readable, resident_size
from mfbench.engine.listening import Summary, Totals
from mfbench.engine.progress import LiveListener, PlainListener, Tally, duration, make_listener
from mfbench.engine.provenance import checkout, provenance
from mfbench.errors import ContractError, Unsupported

FAILED = {"status": "failed", "error": {"type": "ValueError", "message": "two\nlines"}, "wall_s": 1.0}
OK = {"status": "ok", "error": None, "wall_s": 1.0}


def a_fit(key="f"):
    made = fit(key)
    made.choice.update(kind="generator", name="ddpm")
    made.data.update(name="moons")
    return made


def a_cell(key="c"):
    made = cell(key)
    made.protocol.update(name="ood_auroc")
    made.data.update(name="moons")
    return made


def tell(listener):
    listener.started(Totals("run", "quick", 4, 1, 1, {"f": 2.0, "c": 1.0}))
    listener.begun(a_fit())
    listener.progress({"job": {"key": "f"}}, 3, 10)
    listener.finished(a_fit(), OK)
    listener.begun(a_cell())
    listener.finished(a_cell(), FAILED)
    listener.timing(1)
    listener.timed(a_cell(), OK)
    listener.ended(Summary("run", "quick", {"failed": 1, "ok": 1}, 1, 1, {"ok": 1}, 1, 61.0, True))


def test_plain_lines():
    stream = io.StringIO()
    tell(PlainListener(stream))
    assert stream.getvalue().splitlines() == [
        "quick: 4 cells, 1 of them computed before; 1 fits",
        "fitting ddpm on moons, seed 0",
        "fitted ddpm on moons, seed 0 in 1 s",
        "failed: ood_auroc of  on moons, seed 0: ValueError: two lines",
        "timing 1 configurations, one after another",
        "quick: interrupted (results are kept; run again to go on) after 1 min 1 s: 1 failed, 1 ok",
    ]


def test_the_live_display_says_the_same_and_draws_bars():
    stream = io.StringIO()
    listener = LiveListener(stream)
    tell(listener)
    said = stream.getvalue()
    for words in ("4 cells", "ValueError: two lines", "cells", "interrupted", "1 failed"):
        assert words in said
    assert listener._fits == {}


def test_the_display_suits_the_stream():
    assert isinstance(make_listener(io.StringIO()), PlainListener)
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    assert isinstance(make_listener(terminal), LiveListener)


def test_the_time_left_follows_from_the_weights():
    tally = Tally(Totals("", "", 2, 0, 1, {"f": 30.0, "c": 10.0, "d": 20.0}))
    assert tally.time_left() is None
    tally.begun -= 15.0
    tally.add(a_fit(), OK)
    assert tally.time_left() == pytest.approx(15.0, rel=0.01)  # twice as fast as foreseen
    tally.add(a_cell(), FAILED)
    assert (tally.left, tally.failed) == (1, 1)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.042, "0.042 s"), (42.4, "42 s"), (125, "2 min 5 s"), (12000, "3 h 20 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unsupported("no density"), "unsupported"),
        (ContractError("NaN"), "failed"),
        (MemoryError(), "oom"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried ..."), "oom"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "oom"),
        (RuntimeError("shapes do not match"), "failed"),
        (ValueError("out of memory"), "failed"),
    ],
)
def test_statuses_of_exceptions(error, status):
    assert status_of(error) == status


def test_long_messages_are_shortened_and_causes_are_told():
    try:
        try:
            raise KeyError("cause")
        except KeyError as cause:
            raise ValueError("x" * 10_000) from cause
    except ValueError as error:
        told = describe(error)
    assert len(told["message"]) < 2_100
    assert told["message"].endswith("(10000 characters)")
    assert "KeyError: 'cause'" in told["traceback"]


@pytest.mark.parametrize("message", ["x" * 5_000_000, "line of text\n" * 400_000])
def test_tracebacks_of_huge_messages_are_shortened_too(message):
    try:
        raise ValueError(message)
    except ValueError as error:
        told = describe(error)
    assert "ValueError" in told["type"]
    assert 0 < len(told["traceback"]) < 25_000
    assert len(told["message"]) < 2_100
    assert len(last_words(message)) < 25_000


@pytest.mark.parametrize("raised", [RuntimeError("no"), SystemExit(3), KeyboardInterrupt()])
def test_an_exception_whose_text_raises_is_described(raised):
    class MuteError(RuntimeError):
        def __str__(self):
            raise raised

    assert status_of(MuteError()) == "failed"
    told = describe(MuteError())
    assert told["type"] == "MuteError"
    assert type(raised).__name__ in told["message"]
    assert told["traceback"]


def test_last_words_keep_the_top_of_a_stack_and_the_end_of_anything_else():
    stack = [f'  File "deep.py", line {i} in f' for i in range(100)]
    said = last_words(
        "\n".join(["noise"] * 50 + ["Fatal Python error", "Stack (most recent call first):", *stack])
    )
    assert "line 0 in f" in said
    assert "line 99 in f" not in said
    assert "Fatal Python error" in said
    assert last_words("\n".join(map(str, range(100)))).splitlines()[-1] == "99"


def test_provenance_names_commit_versions_and_machine(tmp_path):
    found = provenance(tmp_path)
    assert found["packages"]["torch"] == torch.__version__.partition("+")[0] or found["packages"]["torch"]
    assert found["mfbench"]["version"]
    assert found["cpu"]
    assert found["cpus"] >= 1
    assert found["checkout"] == checkout(tmp_path) == {"commit": None, "dirty": None}
    assert provenance(tmp_path) is found


def test_a_checkout_is_dirty_when_it_is(tmp_path):
    git = f"git -C {tmp_path} -c user.name=a -c user.email=a@b"
    (tmp_path / "file").write_text("one")
    assert os.system(f"{git} init -q && {git} add . && {git} commit -qm one") == 0
    clean = checkout(tmp_path)
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    (tmp_path / "file").write_text("two")
    assert checkout(tmp_path) == {**clean, "dirty": True}


def test_sizes():
    assert readable(1536) == "1.5 KiB"
    assert readable(8 << 30) == "8 GiB"
    assert resident_size() > 1 << 20
    assert resident_size(2**22 + 1) is None


def test_a_memory_limit_holds_inside_and_not_after():
    """Four gigabytes that are never written: more than what earlier tests of this process may have freed and
    not given back, which costs no new memory.
    """
    with (
        memory_limited(resident_size() + (64 << 20), "cpu"),
        pytest.raises((MemoryError, RuntimeError)) as caught,
    ):
        torch.empty(1 << 30)
    assert status_of(caught.value) == "oom"
    assert torch.ones(1 << 24).sum() == 1 << 24


def test_few_data_sets_are_kept_those_used_last():
    from bad_plugin import Line

    made = []

    def make(seed):
        made.append(seed)
        return Line(seed=seed)

    cache = DatasetCache(size=2)
    assert len(cache.get("a", lambda: make(0)).train) == 16
    assert cache.get("a", lambda: make(1)) is cache.get("a", lambda: make(2))
    for seed, key in enumerate("bcb", start=3):
        cache.get(key, lambda: make(seed))  # noqa: B023
    cache.get("a", lambda: make(9))
    assert made == [0, 3, 4, 9]


def test_the_engine_starts_without_torch_and_pandas():
    import subprocess
    import sys

    code = "import sys, mfbench.engine.run; print('torch' in sys.modules or 'pandas' in sys.modules)"
    with warnings.catch_warnings():
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
