"""The one style of the bench's figures: readable in print, in grey, and by the colour-blind.

Figures are made without pyplot, so that drawing leaves no global state behind. matplotlib is imported when a
figure is made: protocols are loaded in every worker, and few workers draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy import ndarray

    from mfbench.contracts import Role

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#882255")
"""Okabe and Ito's colours without the yellow, too pale for lines, and Tol's wine; neighbours differ."""
LINE_STYLES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p")
FILLS = ("full", "none", "left", "bottom")
"""How markers are filled: what tells variants of one series apart."""
HATCHES = ("", "//", "\\\\", "xx", "..", "--", "++")
"""For filled areas and bars, where line styles and markers do not help."""

PANEL_SIZE = (4.0, 3.0)
"""Width and height of one panel, in inches: two stand side by side in a README's column."""

_ROLE_STYLES: Mapping[str, Mapping[str, Any]] = {
    "ceiling": {"color": "0.0", "linestyle": "-", "linewidth": 1.0, "marker": ""},
    "reference": {"color": "0.35", "linestyle": "--", "linewidth": 1.0, "marker": ""},
    "control": {"color": "0.6", "linestyle": ":", "linewidth": 1.2, "marker": ""},
}

_SETTINGS: Any = {
    "figure.dpi": 150,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.88",
    "grid.linewidth": 0.6,
}


def series_style(index: int, role: Role = "method", variant: int = 0) -> dict[str, Any]:
    """Keyword arguments of `Axes.plot` for the index-th series of a figure.

    The first five series differ in line style alone, the first eight in colour alone, the first eleven in
    marker alone, and no combination returns before 440. Variants of a series (the same method with other
    parameters) share its colour and marker and differ in line style and in how the marker is filled, the
    first twenty of them. Unranked rows are thin lines in black or grey without markers.
    """
    if role != "method":
        return dict(_ROLE_STYLES[role])
    return {
        "color": PALETTE[index % len(PALETTE)],
        "linestyle": LINE_STYLES[(index + variant) % len(LINE_STYLES)],
        "marker": MARKERS[index % len(MARKERS)],
        "fillstyle": FILLS[variant % len(FILLS)],
        "linewidth": 1.5,
        "markersize": 4.5,
    }


def area_style(index: int) -> dict[str, Any]:
    """Keyword arguments of `Axes.bar`, `Axes.hist` and `Axes.fill_between` for the index-th series."""
    return {
        "facecolor": PALETTE[index % len(PALETTE)],
        "hatch": HATCHES[index % len(HATCHES)],
        "edgecolor": "0.15",
        "linewidth": 0.6,
        "alpha": 0.75,
    }


def new_figure(
    rows: int = 1, columns: int = 1, *, panel: tuple[float, float] = PANEL_SIZE, **options: Any
) -> tuple[Figure, ndarray]:
    """A figure on the Agg canvas and its axes, always an array (rows, columns).

    `panel`: size of one panel in inches. `options` go to `Figure.subplots` (`sharex`, `sharey`, ...).
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(panel[0] * columns, panel[1] * rows), layout="constrained")
        FigureCanvasAgg(figure)
        axes: ndarray = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, axes


def label(axes: Axes, *, title: str = "", x: str = "", y: str = "", legend: bool = False) -> None:
    """Title, axis labels (with units) and, where asked for, a legend, in the bench's sizes."""
    axes.set_title(title, fontsize=_SETTINGS["axes.titlesize"])
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if legend:
        axes.legend(fontsize=_SETTINGS["xtick.labelsize"], frameon=False)


def heading(figure: Figure, text: str) -> None:
    """One line above all panels: whose numbers these are, and what is left out."""
    figure.suptitle(text, fontsize=_SETTINGS["axes.labelsize"])


def plain(axes: Axes) -> None:
    """No ticks, grid or frame: for images and point clouds, where they would only distract."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
