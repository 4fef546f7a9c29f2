"""Codes read as grid centres: how often the centre nearest to a code says the factors right.

GridVAE (Tu et al. 2023, section 3) wants each centre of its grid to stand for one class. Without labels
nothing says which axis stands for which factor, nor which centre for which value, so this is found by
assignment, on the samples given or, for an honest figure, on others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mfbench.measures.convert import Array, Values, as_array
from mfbench.measures.factors import Labels, codes_and_factors

By = Literal["axes", "cells", "identity"]

_LARGEST = 2**24
"""Numbers in the largest table of cells by combinations of factors that is assigned (128 MiB)."""

Piece = tuple[list[int], list[int], Array, Labels]
"""(axes, factors, centres (m, a), values (m, f)): on the axes, a row of centres says a row of values."""


@dataclass(frozen=True)
class GridAssignment:
    """What the centres of a grid stand for. Made by `assign_grid`.

    pieces: see `Piece`; a cell that none lists says nothing. centres (m,): of the grid on every axis, None
    for the integers. sizes: the numbers of codes and of factors.
    """

    pieces: tuple[Piece, ...]
    centres: Array | None
    sizes: tuple[int, int]

    def correct(self, codes: Values, factors: Values) -> np.ndarray:
        """Whether each factor is read right, (n, k) bool, from codes (n, d).

        The mean over images is the accuracy of each factor, the mean of `.all(axis=1)` the joint one.
        """
        code, factor = codes_and_factors(codes, factors, varying=False)
        if (code.shape[1], factor.shape[1]) != self.sizes:
            raise ValueError(
                f"the assignment is one of {self.sizes[0]} codes to {self.sizes[1]} factors, not of "
                f"{code.shape[1]} to {factor.shape[1]}"
            )
        cells = nearest_centres(code, self.centres)
        right = np.zeros(factor.shape, dtype=bool)
        for axes, told, known, values in self.pieces:
            row = _find(cells[:, axes], known)
            right[:, told] = (row >= 0)[:, None] & (values[row] == factor[:, told])
        return right


def grid_accuracy(
    codes: Values,
    factors: Values,
    *,
    assignment: GridAssignment | None = None,
    by: By = "axes",
    centres: Values | None = None,
) -> float:
    """Share of images, in [0, 1], all of whose factors are told by the grid centre nearest to their code.

    codes (n, d), real; factors (n, k), integers. The joint accuracy: one wrong factor makes an image wrong,
    because decoder and receiver read the whole cell. (Accuracies of single factors, which start from chance
    at 1 / values, are the means of `GridAssignment.correct`.) What centres stand for is the best assignment
    `by` axes or cells, see `assign_grid`, on these very samples. That flatters, the more the fewer they are:
    to report a number, make the `assignment` on validation images and give it here; `by` and `centres` are
    then those that it was made with.

    Centres and values are matched one to one. Were each cell to stand for its most frequent class, a code
    with a cell for every image would be perfect.
    """
    if assignment is None:
        assignment = assign_grid(codes, factors, by=by, centres=centres)
    return float(np.mean(assignment.correct(codes, factors).all(axis=1)))


def assign_grid(
    codes: Values, factors: Values, *, by: By = "axes", centres: Values | None = None
) -> GridAssignment:
    """What the centres of a grid stand for, judged by codes (n, d), real, and factors (n, k), integers.

    `by`: "axes" (k <= d): each factor has an axis of its own, on which centres stand for its values one to
    one; of all such assignments the one with the highest mean accuracy over factors. This asks for
    disentanglement. "cells": whole cells stand for combinations of factors one to one, as the classes of
    Fig. 9, wherever they lie: it asks for clusters only. "identity" (k <= d): axis j stands for factor j and
    centre v for value v, without fitting: for methods that were guided to it.
    `centres` (m,): of the grid on every axis, beyond whose ends codes count to the last; None: all integers.
    """
    code, factor = codes_and_factors(codes, factors)
    grid = None if centres is None else _checked(centres)
    if by not in ("axes", "cells", "identity"):
        raise ValueError(f"by = {by!r}: it is 'axes', 'cells' or 'identity'")
    if by != "cells" and code.shape[1] < factor.shape[1]:
        raise ValueError(
            f"{factor.shape[1]} factors cannot have an axis each in codes of {code.shape[1]} dimensions"
        )
    cells = nearest_centres(code, grid)
    pieces = {"axes": _by_axes, "cells": _by_cells, "identity": _identity}[by](cells, factor)
    return GridAssignment(tuple(pieces), grid, (code.shape[1], factor.shape[1]))


def nearest_centres(codes: Array, centres: Array | None) -> Array:
    """The centre nearest to each code, (n, d); of two at equal distance the lower (of integers, the even)."""
    if centres is None:
        return np.rint(codes)
    between = (centres[1:] + centres[:-1]) / 2
    nearest: Array = centres[np.searchsorted(between, codes)]
    return nearest


_Distinct = tuple[np.ndarray, np.ndarray]
"""The distinct rows (m, a) of an array (n, a), and which of them each row is (n,)."""


def _by_axes(cells: Array, factors: Labels) -> list[Piece]:
    from scipy.optimize import linear_sum_assignment

    axes = [_distinct(column[:, None]) for column in cells.T]
    told = [_distinct(column[:, None]) for column in factors.T]
    options = [[_matched(axis, factor) for axis in axes] for factor in told]
    hits = np.array([[hits for hits, _, _ in row] for row in options])
    chosen = zip(*linear_sum_assignment(hits, maximize=True))
    return [([int(i)], [int(j)], *options[j][i][1:]) for j, i in chosen]


def _by_cells(cells: Array, factors: Labels) -> list[Piece]:
    _, known, values = _matched(_distinct(cells), _distinct(factors))
    return [(list(range(cells.shape[1])), list(range(factors.shape[1])), known, values)]


def _identity(cells: Array, factors: Labels) -> list[Piece]:
    each = [np.unique(column)[:, None] for column in factors.T]
    return [([j], [j], values.astype(np.float64), values) for j, values in enumerate(each)]


def _matched(cells: _Distinct, factors: _Distinct) -> tuple[int, Array, Labels]:
    """Distinct cells and distinct combinations of factors, paired one to one so that most samples agree.

    Gives the number of samples that agree, and row by row the cells (m, a) and what they stand for (m, f).
    """
    from scipy.optimize import linear_sum_assignment

    (known, cell), (combinations, label) = cells, factors
    size = len(known) * len(combinations)
    if size > _LARGEST:
        raise ValueError(
            f"{len(known)} cells and {len(combinations)} values are too many to be assigned one to one: "
            "round the codes to fewer centres, or assign by axes"
        )
    counts = np.bincount(cell * len(combinations) + label, minlength=size)
    counts = counts.reshape(len(known), len(combinations))
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return int(counts[rows, columns].sum()), known[rows], combinations[columns]


def _distinct(rows: np.ndarray) -> _Distinct:
    known, inverse = np.unique(rows, axis=0, return_inverse=True)
    return known, inverse.ravel()


def _find(cells: Array, known: Array) -> np.ndarray:
    """The row of `known` (m, a) that equals each of the cells (n, a), -1 where there is none."""
    _, inverse = _distinct(np.concatenate([known, cells]))
    row_of = np.full(len(known) + len(cells), -1)
    row_of[inverse[: len(known)]] = np.arange(len(known))
    return row_of[inverse[len(known) :]]


def _checked(centres: Values) -> Array:
    given = as_array(centres)
    grid = np.unique(given)
    if given.ndim != 1 or len(grid) < 2 or not np.isfinite(grid).all():
        raise ValueError(f"centres must be two or more different finite numbers, shape (m,), not {given}")
    return grid
