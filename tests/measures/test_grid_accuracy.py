"""Grid accuracy: what is found by assignment, against enumeration; what is fitted and what is held out."""

from itertools import permutations

import numpy as np
import pytest

from mfbench.measures import assign_grid, grid_accuracy


def two_digits(count=720, values=6, seed=0):
    return np.random.default_rng(seed).integers(0, values, (count, 2))


def test_a_perfect_grid_is_found_whatever_stands_for_what():
    factors = two_digits()
    relabelled = np.array([3, -2, 0, 2, 1, -1])[factors]
    codes = np.stack([np.zeros(len(factors)), relabelled[:, 1], relabelled[:, 0]], axis=1)
    rng = np.random.default_rng(1)
    codes += rng.uniform(-0.49, 0.49, codes.shape)
    assert grid_accuracy(codes, factors) == 1
    assert grid_accuracy(codes[:, 1:], factors, by="cells") == 1


def test_the_joint_accuracy_by_hand():
    factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 5)
    codes = factors.astype(float)
    codes[0, 0] = 1  # two images, each wrong in one factor
    codes[5, 1] = 0
    assert grid_accuracy(codes, factors) == pytest.approx(18 / 20)
    right = assign_grid(codes, factors).correct(codes, factors)
    np.testing.assert_allclose(right.mean(axis=0), [19 / 20, 19 / 20])
    assert (~right).nonzero()[0].tolist() == [0, 5]


def test_independent_codes_are_right_by_chance():
    rng = np.random.default_rng(2)
    factors = rng.integers(0, 4, (20_000, 2))
    assert grid_accuracy(rng.integers(0, 4, (20_000, 2)), factors) == pytest.approx(1 / 16, abs=0.01)


def test_axes_are_assigned_as_by_enumeration():
    rng = np.random.default_rng(3)
    for _ in range(10):
        factors = rng.integers(0, 3, (40, 2))
        codes = np.where(rng.random((40, 2)) < 0.5, factors[:, ::-1], rng.integers(0, 3, (40, 2)))
        best = 0.0
        for axes in permutations(range(2)):
            hits = 0
            for j, i in enumerate(axes):
                hits += max(
                    np.sum(np.array(means)[codes[:, i]] == factors[:, j]) for means in permutations(range(3))
                )
            best = max(best, hits / 80)
        assert assign_grid(codes, factors).correct(codes, factors).mean() == pytest.approx(best)


def test_cells_are_assigned_as_by_enumeration():
    rng = np.random.default_rng(4)
    factors, codes = rng.integers(0, 2, (60, 2)), rng.integers(0, 2, (60, 2))
    label, cell = factors @ [2, 1], codes @ [2, 1]
    best = max(np.mean(np.array(means)[cell] == label) for means in permutations(range(4)))
    assert grid_accuracy(codes, factors, by="cells") == pytest.approx(best)


def test_a_turned_grid_has_every_class_in_a_cell_and_no_axis_for_a_factor():
    factors = two_digits()
    codes = factors @ [[1, 1], [-1, 1]]
    assert grid_accuracy(codes, factors, by="cells") == 1
    assert grid_accuracy(codes, factors) < 0.3


def test_a_cell_for_every_image_is_not_a_perfect_code():
    factors = np.tile([[0, 0], [0, 1], [1, 0], [1, 1]], (25, 1))
    codes = np.arange(100)[:, None] * [1, 1]
    assert grid_accuracy(codes, factors, by="cells") == pytest.approx(4 / 100)


def test_an_assignment_made_on_validation_images_is_used_as_it_is():
    factors = two_digits(values=3)
    known = assign_grid(2 - factors, factors)
    assert grid_accuracy(2 - factors, factors, assignment=known) == 1
    assert grid_accuracy(factors, factors, assignment=known) == pytest.approx(
        np.mean((factors == 1).all(axis=1))
    )


@pytest.mark.parametrize("by", ["axes", "cells"])
def test_cells_and_values_that_validation_never_saw_say_nothing(by):
    seen = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    known = assign_grid(seen, seen, by=by)
    unseen = np.array([[0, 0], [0, 7], [2, 1], [1, 1]])
    right = known.correct(unseen, np.array([[0, 0], [0, 1], [1, 1], [1, 5]]))
    assert right.all(axis=1).tolist() == [True, False, False, False]


def test_an_assignment_reads_images_that_are_all_alike_and_no_other_codes():
    factors = two_digits(values=3)
    known = assign_grid(factors, factors)
    alike = np.ones((5, 2), dtype=int)
    assert grid_accuracy(alike, alike, assignment=known) == 1
    with pytest.raises(ValueError, match="one of 2 codes to 2 factors, not of 3 to 2"):
        known.correct(np.ones((5, 3)), alike)
    with pytest.raises(ValueError, match="one of 2 codes to 2 factors, not of 2 to 1"):
        known.correct(alike, alike[:, :1])


def test_assignments_on_few_images_flatter():
    rng = np.random.default_rng(5)
    few, many = rng.integers(0, 6, (50, 2)), rng.integers(0, 6, (20_000, 2))
    noise = rng.integers(0, 6, (50, 2)), rng.integers(0, 6, (20_000, 2))
    flattered = grid_accuracy(noise[0], few, by="cells")
    honest = grid_accuracy(noise[1], many, assignment=assign_grid(noise[0], few, by="cells"))
    assert flattered > 0.3
    assert honest == pytest.approx(1 / 36, abs=0.01)


def test_codes_beyond_the_grid_count_to_its_end():
    factors = np.array([[0, 1], [1, 0], [0, 0], [1, 1]])
    codes = np.array([[-7.0, 3.2], [1.4, 0.3], [0.2, -2.0], [9.0, 0.8]])
    assert grid_accuracy(codes, factors, centres=[0, 1]) == 1
    assert grid_accuracy(codes, factors) < 1
    known = assign_grid(codes, factors, centres=[0, 1])
    assert grid_accuracy(3 * (codes - 0.5) + 0.5, factors, assignment=known) == 1


def test_centres_need_not_be_integers():
    factors = two_digits(values=3)
    codes = np.array([-1.5, 0.25, 2.0])[factors]
    codes += np.random.default_rng(6).uniform(-0.8, 0.8, codes.shape)
    assert grid_accuracy(codes, factors, centres=[2.0, -1.5, 0.25]) == 1


def test_identity_takes_axes_and_values_at_their_word():
    factors = two_digits(values=2)
    assert grid_accuracy(factors, factors, by="identity") == 1
    assert grid_accuracy(1 - factors, factors, by="identity") == 0
    assert grid_accuracy(1 - factors, factors) == 1
    wider = np.concatenate([factors, 1 - factors], axis=1)
    assert grid_accuracy(wider, factors, by="identity") == 1


def test_bad_requests_are_named():
    factors = two_digits()
    with pytest.raises(ValueError, match="2 factors cannot have an axis each in codes of 1 dimensions"):
        grid_accuracy(factors[:, :1], factors)
    assert 0 < grid_accuracy(factors[:, :1], factors, by="cells") < 0.3
    with pytest.raises(ValueError, match="by = 'joint'"):
        grid_accuracy(factors, factors, by="joint")
    for centres in ([1.0], [1.0, 1.0], [0.0, np.nan], [[0.0, 1.0]]):
        with pytest.raises(ValueError, match="centres must be two or more"):
            grid_accuracy(factors, factors, centres=centres)
    many = np.stack([np.arange(5_000), np.arange(5_000)], axis=1)
    with pytest.raises(ValueError, match="5000 cells and 5000 values are too many"):
        grid_accuracy(many, many, by="cells")
