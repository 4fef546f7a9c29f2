"""Which cells are one row."""

from board_fakes import cell, choice, fill, result, steps

from mfbench.boards.cells import row_id
from mfbench.boards.collect import collect
from mfbench.registry import Registry
from mfbench.store import Store


def test_rows_are_told_apart_by_what_was_asked_and_not_by_equality(tmp_path):
    """1, 1.0 and true are equal in Python, and other requests; a row's seeds are the same one."""
    asked = [(flag, seed) for flag in (1, 1.0, True) for seed in (0, 1)]
    cells = [cell(steps(1.0), choice("sampler", "ddim", flag=flag), seed) for flag, seed in asked]
    fill(tmp_path / "r.sqlite", [result(each, [("distance", "", 1.0, 9, None, None)]) for each in cells])
    with Store(tmp_path / "r.sqlite") as store:
        records = collect(store, "quick", Registry()).records
    assert [record["row"] for record in records] == [row_id(each) for each in cells]
    assert len({record["row"] for record in records}) == 3
