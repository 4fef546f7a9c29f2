"""The bar chart can be read: no label stands on another, however small the differences or long the names."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace

import pandas as pd
import pytest

from mfbench.boards.bars import draw_bars
from mfbench.contracts.protocol import Metric

ROLL = [("held_out", 0.0002, -0.00155, 0.002), ("ddpm_mlp", -0.00023, -0.0017, 0.0012)]


def table(values):
    """A table of ranked rows; `values` are (label, value, low, high)."""
    index = [f"row{place}" for place in range(len(values))]
    labels = [label for label, *_ in values]
    rows = pd.DataFrame({"block": 0, "standing": "ranked", "name": labels}, index)
    numbers = pd.DataFrame(
        [(row, "energy_distance", "", *each[1:]) for row, each in zip(index, values)],
        columns=["row", "metric", "part", "value", "ci_low", "ci_high"],
    )
    primary = Metric("energy_distance", unit="data units", better="lower", primary=True)
    return SimpleNamespace(rows=rows, values=numbers, varying=(), title="quality", primary=primary)


@pytest.mark.parametrize(
    "values",
    [
        ROLL,
        [("long " * 12, *ROLL[0][1:])],
        [("x", 0.98731, 0.98712, 0.98745), ("y" * 60, 0.98722, 0.98703, 0.98741)],
        [("x", 1.5e-6, 1.2e-6, 1.9e-6), ("y", 2e-6, 1.6e-6, 2.3e-6)],
        [("x", -123456.0, -123500.0, -123400.0), ("y", -123900.0, -124000.0, -123800.0)],
        [("x", -0.00012, -0.00019, 0.00001), ("y", -0.0001, -0.0002, 0.00002)],
        [("x", 1e-5, 1e-5, 1e-5), ("y", 1.0, 0.5, 2.0)],
    ],
)
def test_labels_below_the_panels_stand_apart_and_inside(values):
    figure = draw_bars(table(values))
    figure.canvas.draw()
    texts = [figure._supxlabel]
    for ax in figure.axes:
        low, high = ax.get_xlim()
        ticks = zip(ax.get_xticks(), ax.get_xticklabels())
        shown = [text for place, text in ticks if low <= place <= high and text.get_text()]
        assert len(shown) >= 2
        texts += shown
    boxes = [text.get_window_extent() for text in texts]
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 for box in boxes)


def test_a_long_title_is_all_there_above_the_panels():
    long = table(ROLL)
    long.title = "editing on faces(" + ", ".join(f"parameter{i}=0.{i}" for i in range(30)) + ")"
    figure = draw_bars(long)
    figure.canvas.draw()
    box = figure._suptitle.get_window_extent()
    assert figure.get_suptitle().replace("\n", " ") == long.title
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert box.y1 <= figure.bbox.y1
    assert all(ax.get_window_extent().y1 < box.y0 for ax in figure.axes)


def test_the_metric_is_named_once_for_both_panels():
    figure = draw_bars(table(ROLL))
    assert len(figure.axes) == 2
    assert figure.get_supxlabel() == "energy_distance (data units), lower is better"
    assert [ax.get_xlabel() for ax in figure.axes] == ["", ""]


def test_rows_of_one_method_are_told_apart_where_their_names_are_long():
    given = "guided_grid_vae(beta=10.0, distortion=1.0, {}, learning_rate=0.002, prior_std=0.2)"
    labels = [given.format("iterations=2000"), given.format("iterations=700"), "pca(dimensions=2)"]
    labels.append("vae(batch_size=32, decoder=placed, iterations=1500, latent=14)")
    figure = draw_bars(table([(label, 0.5, 0.4, 0.6) for label in labels]))
    assert [text.get_text() for text in figure.axes[0].texts] == [
        "guided_grid_vae(iterations=2000, …)",
        "guided_grid_vae(iterations=700, …)",
        "pca(dimensions=2)",
        "vae(batch_size=32, decoder=placed, iteratio…",
    ]
