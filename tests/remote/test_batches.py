"""Which cells travel together: those of a sort known to be short, and never one that lost a worker."""

import asyncio
import json
import time

import pytest

from mfbench.errors import UserError
from mfbench.remote.batches import MOST_TOGETHER, SHORT_S, Errand, Pace, Waiting
from mfbench.remote.hands import Hand, Hands, WorkerLostError


def errand(method="quick", kind="cell", number=0):
    parts = {part: {"name": part, "number": number} for part in ("protocol", "data")}
    job = {**parts, "method": {"name": method}, "key": f"{method}{number}", "cell_id": str(number)}
    return Errand(json.dumps({"type": kind, "job": job}))


def test_cells_of_a_sort_go_together_once_one_was_short():
    pace = Pace()
    assert not pace.is_short(errand())
    pace.took(errand(), SHORT_S / 2)
    assert pace.is_short(errand(number=1))
    assert not pace.is_short(errand("other"))
    assert not pace.is_short(errand(kind="fit"))
    assert not pace.is_short(errand(kind="timing"))
    assert pace.has_short


def test_a_long_one_is_remembered_but_not_for_ever():
    pace = Pace()
    for seconds in (SHORT_S / 2, 10 * SHORT_S, SHORT_S / 2):
        pace.took(errand(), seconds)
    assert not pace.is_short(errand())
    for _ in range(30):
        pace.took(errand(), SHORT_S / 2)
    assert pace.is_short(errand())


def test_what_lost_a_worker_goes_alone():
    pace, one = Pace(), errand()
    pace.took(one, 0.0)
    one.lost = 1
    assert not pace.is_short(one)


def test_an_errand_is_settled_once():
    one = errand()
    one.settle("a record")
    one.fail(UserError("too late"))
    one.settle("another")
    assert one.future.result() == "a record"


def executor_of(answers, retries=2):
    """A DaskExecutor without Dask: `_call` gives what the answers say, in turn, and notes what was sent."""
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'mfbench[dask]'")
    from mfbench.remote.executor import DaskExecutor

    one = object.__new__(DaskExecutor)
    one._retries, one._closing, one._files = retries, False, {}
    one._waiting, one._pace = Waiting(), Pace()
    one._tasks, one.sent = set(), []
    one.hands = Hands("cpu", 0.05, "tcp://head:8786")
    one.hands.join(Hand("tcp://a:1", ["cpu"], {"machine": "m"}))

    async def call(hand, device, batch):
        one.sent.append([each.task["job"]["key"] for each in batch])
        return answers.pop(0)(batch)

    one._call = call
    return one


def all_done(batch):
    return {"records": [[each.task["job"]["key"], 0.0] for each in batch], "missing": []}


def first_done(batch):
    return {"records": all_done(batch)["records"][:1], "missing": []}


def lost(batch):
    raise WorkerLostError


def broken(batch):
    raise RuntimeError("nobody thought of it")


def handed_out(one, asked):
    """Run the loop until all that was asked is settled."""

    async def run():
        for each in asked:
            one._waiting.put_nowait(each)
        giving = asyncio.ensure_future(one._hand_out())
        deadline = time.monotonic() + 20
        while not all(each.done() for each in asked):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.005)
        giving.cancel()

    asyncio.run(run())
    return one.sent


def short(one):
    one._pace.took(errand(), 0.0)
    return one


def test_short_cells_go_together_and_every_one_has_its_record():
    asked = [errand(number=number) for number in range(MOST_TOGETHER + 2)]
    sent = handed_out(short(executor_of([all_done, all_done])), asked)
    assert [len(batch) for batch in sent] == [MOST_TOGETHER, 2]
    assert [each.future.result() for each in asked] == [f"quick{number}" for number in range(len(asked))]


def test_cells_that_nobody_knows_go_alone():
    asked = [errand("new", number=number) for number in range(3)]
    one = executor_of([all_done] * 3)
    one._pace.took = lambda *_: None
    assert handed_out(one, asked) == [["new0"], ["new1"], ["new2"]]


def test_a_stranger_ends_the_company():
    asked = [errand(number=0), errand("other"), errand(number=1)]
    one = short(executor_of([all_done] * 3))
    one._pace.took = lambda *_: None
    assert handed_out(one, asked) == [["quick0"], ["other0"], ["quick1"]]


def test_what_a_worker_left_is_done_without_being_done_twice():
    asked = [errand(number=number) for number in range(3)]
    sent = handed_out(short(executor_of([first_done, all_done])), asked)
    assert sent == [["quick0", "quick1", "quick2"], ["quick1", "quick2"]]


def test_of_a_lost_worker_all_that_it_had_queue_again_one_by_one():
    asked = [errand(number=number) for number in range(3)]
    sent = handed_out(short(executor_of([first_done, lost, all_done, all_done])), asked)
    assert sent[2:] == [["quick1"], ["quick2"]]
    assert [each.lost for each in asked] == [0, 1, 1]


def test_where_nothing_is_done_again_nothing_goes_together():
    asked = [errand(number=number) for number in range(2)]
    sent = handed_out(short(executor_of([all_done, all_done], retries=0)), asked)
    assert sent == [["quick0"], ["quick1"]]


def test_an_error_that_nobody_thought_of_reaches_the_coordinator():
    asked = [errand()]
    handed_out(executor_of([broken]), asked)
    with pytest.raises(RuntimeError, match="nobody thought of it"):
        asked[0].future.result()


def test_nobody_there_is_told():
    asked = [errand()]
    one = executor_of([])
    one.hands.leave("tcp://a:1")
    handed_out(one, asked)
    with pytest.raises(UserError, match="no worker has been left"):
        asked[0].future.result()


def test_the_coordinator_queues_more_where_cells_are_short():
    hands = executor_of([]).hands
    hands.deep = True
    assert sum(hands.take() is not None for _ in range(2 * MOST_TOGETHER)) == MOST_TOGETHER
