"""The schedule's bookkeeping: fits before what needs them, and what is lost with a fit."""

from hypothesis import given
from hypothesis import strategies as st

from mfbench.engine.schedule import Schedule
from mfbench.plan import Cell, Fit


def fit(key, *needs):
    return Fit(key, {}, {}, 0, "float32", 1, "cpu", {n: n for n in needs}, 1.0, None)


def cell(key, *needs):
    named = {n: n for n in needs}
    return Cell(key, key, {}, {}, {}, 0, "float32", 1, "cpu", named, "method", "", 1.0, None, 0)


def name(job):
    return job.key if isinstance(job, Fit) else job.cache_key


def drain(schedule, broken=()):
    """Do everything, one after another; the order in which jobs were done, and those lost."""
    order, lost = [], []
    while (job := schedule.next()) is not None:
        order.append(name(job))
        if isinstance(job, Fit) and job.key in broken:
            lost += [name(other) for other in schedule.failed(job.key)]
        elif isinstance(job, Fit):
            schedule.done(job.key)
    return order, lost


def test_fits_come_first_and_cells_wait_for_theirs():
    schedule = Schedule([fit("a"), fit("b", "a")], [cell("1", "b"), cell("2"), cell("3", "a")], ())
    assert drain(schedule) == (["a", "b", "2", "3", "1"], [])


def test_what_is_done_already_is_not_waited_for():
    schedule = Schedule([fit("b", "a")], [cell("1", "a", "b")], {"a"})
    assert drain(schedule) == (["b", "1"], [])


def test_a_failed_fit_takes_with_it_what_needs_it_directly_or_not():
    fits = [fit("a"), fit("b", "a"), fit("c")]
    cells = [cell("1", "b"), cell("2", "a", "b"), cell("3", "c"), cell("4", "a", "c")]
    order, lost = drain(Schedule(fits, cells, ()), broken={"a"})
    assert order == ["a", "c", "3"]
    assert sorted(lost) == ["1", "2", "4", "b"]


@given(st.data())
def test_every_job_is_done_or_lost_exactly_once(data):
    count = data.draw(st.integers(0, 6))
    keys = [f"f{i}" for i in range(count)]
    fits = [
        fit(key, *data.draw(st.sets(st.sampled_from(keys[:i] or [key])) if i else st.just(set())))
        for i, key in enumerate(keys)
    ]
    cells = [cell(f"c{i}", *(data.draw(st.sets(st.sampled_from(keys))) if keys else ())) for i in range(5)]
    broken = data.draw(st.sets(st.sampled_from(keys))) if keys else set()
    order, lost = drain(Schedule(fits, cells, ()), broken)
    assert sorted(order + lost) == sorted([*keys, *(f"c{i}" for i in range(5))])
    needs = {name(job): set(job.needs) for job in [*fits, *cells]}
    for position, job in enumerate(order):
        assert needs[job] <= set(order[:position]) - broken
