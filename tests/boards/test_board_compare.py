"""Two stores side by side: what differs, by how much, and whether that is allowed."""

import board_fakes as fakes
import numpy as np
import pytest

from mfbench.boards.compare import compare
from mfbench.cli import main
from mfbench.errors import UserError


def store(path, shift=0.0, seeds=(0, 1, 2), device="cpu", status="ok", more=()):
    records = []
    for seed in seeds:
        asked = fakes.cell(fakes.ood(), fakes.choice("likelihood", "kde"), seed, device=device)
        values = [("auroc", "", 0.8 + 0.01 * seed + shift * (1 + seed), 100, None, None)]
        records.append(fakes.result(asked, values, status=status if seed == 0 else "ok"))
    return fakes.fill(path, [*records, *more])


def test_equal_stores_hold(tmp_path):
    found = compare(store(tmp_path / "a.sqlite"), store(tmp_path / "b.sqlite"))
    assert found.holds
    assert (found.only_a, found.only_b, found.statuses) == (0, 0, [])


def test_a_difference_is_b_minus_a_paired_by_seed_with_students_interval(tmp_path):
    found = compare(store(tmp_path / "a.sqlite"), store(tmp_path / "b.sqlite", shift=0.1))
    [line] = found.differences.to_dict("records")
    assert not found.holds
    assert line["difference"] == pytest.approx(0.2)  # of 0.1, 0.2 and 0.3
    assert line["ci_high"] - line["difference"] == pytest.approx(4.302653 * 0.1 / np.sqrt(3), rel=1e-5)
    assert line["seeds"] == 3


def test_the_tolerance_is_relative(tmp_path):
    a, b = store(tmp_path / "a.sqlite"), store(tmp_path / "b.sqlite", shift=1e-5)
    assert not compare(a, b).holds
    assert compare(a, b, tolerance=1e-3).holds


def test_devices_are_compared(tmp_path):
    found = compare(store(tmp_path / "a.sqlite"), store(tmp_path / "b.sqlite", device="cuda"))
    assert found.holds
    assert len(found.differences) == 1


def test_a_side_with_both_devices_is_matched_device_by_device(tmp_path):
    on_gpu = fakes.cell(fakes.ood(), fakes.choice("likelihood", "kde"), 0, device="cuda")
    both = store(tmp_path / "a.sqlite", more=[fakes.result(on_gpu, [("auroc", "", 0.5, 100, None, None)])])
    found = compare(both, store(tmp_path / "b.sqlite"))
    assert found.holds
    assert (found.only_a, found.only_b) == (1, 0)


def test_a_cell_that_ended_otherwise_does_not_hold(tmp_path):
    found = compare(store(tmp_path / "a.sqlite"), store(tmp_path / "b.sqlite", status="failed"))
    assert not found.holds
    assert found.statuses == ["ood_auroc(spread_rounds=0) swiss_roll kde seed 0: ok in A, failed in B"]


def test_a_value_that_one_side_lacks_does_not_hold(tmp_path):
    asked = fakes.cell(fakes.ood(), fakes.choice("likelihood", "gmm"), 0)
    one = fakes.result(asked, [("auroc", "", 0.5, 1, None, None)])
    two = fakes.result(asked, [("auroc", "", 0.5, 1, None, None), ("auroc", "moons", 0.5, 1, None, None)])
    found = compare(fakes.fill(tmp_path / "a.sqlite", [one]), fakes.fill(tmp_path / "b.sqlite", [two]))
    assert list(found.differences["same"]) == [True, False]


def test_infinities_and_nan_are_the_same_as_themselves(tmp_path):
    def infinite(path, value):
        asked = fakes.cell(fakes.ood(), fakes.choice("likelihood", "kde"), 0)
        values = [("auroc", "", value, 1, None, None), ("auroc", "moons", float("nan"), 1, None, None)]
        return fakes.fill(path, [fakes.result(asked, values)])

    a, b = infinite(tmp_path / "a.sqlite", float("inf")), infinite(tmp_path / "b.sqlite", float("inf"))
    assert compare(a, b).holds
    assert not compare(a, infinite(tmp_path / "c.sqlite", float("-inf"))).holds


def test_nothing_in_common_is_an_error(tmp_path):
    a, b = store(tmp_path / "a.sqlite", seeds=(0,)), store(tmp_path / "b.sqlite", seeds=(5,))
    with pytest.raises(UserError, match="no cell in common"):
        compare(a, b)


def test_exit_codes_and_what_is_printed(tmp_path, capsys):
    a, b = store(tmp_path / "a.sqlite"), store(tmp_path / "b.sqlite", shift=0.1)
    assert main(["compare", str(a), str(a)]) == 0
    assert "1 values compared: all the same" in capsys.readouterr().out
    assert main(["compare", str(a), str(b)]) == 1
    said = capsys.readouterr().out
    assert "0.20 ± 0.25" in said
    assert "1 differ" in said
    assert main(["compare", str(a), str(tmp_path / "none.sqlite")]) == 2
