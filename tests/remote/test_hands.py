"""Who is given tasks: slots and back-pressure, as the coordinator sees them and as the loop does."""

import asyncio

import pytest

from mfbench.engine.crew import Slots
from mfbench.engine.executors import find_factory
from mfbench.errors import UserError
from mfbench.remote.hands import Hand, Hands


def hand(name, slots=1, machine="a machine"):
    return Hand(name, ["cpu"] * slots, {"machine": machine, "host": name, "cpus": 4, "gpus": 0})


@pytest.fixture
def hands():
    return Hands("cpu", 0.05, "tcp://head:8786")


def taken(crew):
    """How many slots can be taken now."""
    count = 0
    while crew.take() is not None:
        count += 1
    return count


def test_slots_are_as_many_as_there_are_devices():
    slots = Slots(["cuda:0", "cuda:1"])
    assert [slots.take() for _ in range(3)] == ["cuda:0", "cuda:1", None]
    slots.give_back("cuda:1")
    assert slots.take() == "cuda:1"
    assert slots.about() == {}


def test_no_more_is_out_than_there_are_slots_and_one_where_there_is_nobody(hands):
    assert taken(hands) == 1  # it waits for a worker
    hands.join(hand("a", 2))
    assert taken(hands) == 1
    hands.join(hand("b", 3))
    assert taken(hands) == 3
    hands.leave("b")
    assert taken(hands) == 0  # five are out, for two slots
    for _ in range(4):
        hands.give_back("cpu")
    assert taken(hands) == 1


def test_the_coordinator_is_woken_when_a_worker_comes(hands):
    woken = []
    hands.wake = lambda: woken.append(len(hands))
    hands.join(hand("a"))
    assert woken == [1]


def test_the_least_busy_worker_is_hired_and_times_are_taken_on_one_machine(hands):
    async def hire():
        hands.join(hand("a", 1, "slow"))
        hands.join(hand("c", 2, "fast"))
        hands.join(hand("b", 1, "fast"))
        assert hands.machine() == "fast"
        timed, device = await hands.hire(timing=True)
        hands.release(timed, device)
        hired = [(await hands.hire(timing=False))[0].address for _ in range(4)]
        return timed.address, sorted(hired)

    assert asyncio.run(hire()) == ("b", ["a", "b", "c", "c"])


def test_who_waits_is_given_the_slot_that_comes_free(hands):
    async def wait():
        only = hand("a")
        hands.join(only)
        _, device = await hands.hire(timing=False)
        second = asyncio.ensure_future(hands.hire(timing=False))
        await asyncio.sleep(0.1)  # longer than `wait`: a busy worker is not an absent one
        assert not second.done()
        hands.release(only, device)
        return await second

    assert asyncio.run(wait())[0].address == "a"


def test_nobody_for_too_long_is_told(hands):
    words = r"no worker has been left at tcp://head:8786 for 0\.05 s"
    with pytest.raises(UserError, match=words):
        asyncio.run(hands.hire(timing=False))


def test_a_worker_that_goes_tells_who_waits_for_it(hands):
    async def lose():
        gone = hand("a")
        hands.join(gone)
        loss, forgotten = gone.loss(), gone.loss()
        gone.forget(forgotten)
        hands.leave("a")
        hands.leave("a")  # the scheduler may say it twice
        return loss.done(), forgotten.done(), gone.gone, len(hands)

    assert asyncio.run(lose()) == (True, False, True, 0)


def test_an_executor_is_found_by_its_name():
    assert find_factory("dask").__module__ == "mfbench.remote.opening"
    with pytest.raises(
        UserError, match="--executor dusk: it is 'local', 'inline', 'dask' or 'module:factory'"
    ):
        find_factory("dusk")
