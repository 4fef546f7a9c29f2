"""The figures' style: distinct in grey, no global state, imported without matplotlib."""

from __future__ import annotations

import io
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from mfbench.protocols import style


def lightness(colour: str) -> float:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def test_neighbouring_colours_differ_in_grey():
    greys = [lightness(colour) for colour in style.PALETTE]
    assert all(abs(a - b) > 0.1 for a, b in pairwise(greys))
    assert all(grey < 0.7 for grey in greys), "too pale on white"


def test_series_are_distinct_without_colour():
    looks = [(s["linestyle"], s["marker"]) for s in map(style.series_style, range(40))]
    assert len(set(looks)) == 40
    everything = [(s["color"], s["linestyle"], s["marker"]) for s in map(style.series_style, range(440))]
    assert len(set(everything)) == 440


def test_variants_share_colour_and_marker_and_differ_in_the_rest():
    variants = [style.series_style(3, variant=variant) for variant in range(20)]
    assert len({(s["color"], s["marker"]) for s in variants}) == 1
    assert len({(s["linestyle"], s["fillstyle"]) for s in variants}) == 20
    assert len({s["linestyle"] for s in variants[:5]}) == 5


@pytest.mark.parametrize("role", ["ceiling", "reference", "control"])
def test_unranked_rows_do_not_look_like_methods(role):
    assert style.series_style(0, role) == style.series_style(3, role)
    assert style.series_style(0, role)["marker"] == ""


def test_new_figure_gives_an_array_of_axes_of_the_stated_size():
    figure, axes = style.new_figure(2, 3, panel=(2.0, 1.5), sharex=True)
    assert axes.shape == (2, 3)
    assert figure.get_size_inches().tolist() == [6.0, 3.0]
    assert style.new_figure()[1].shape == (1, 1)


def test_a_whole_figure_can_be_drawn_and_saved():
    figure, axes = style.new_figure(1, 2)
    for index in range(3):
        axes[0, 0].plot([1, 2, 3], np.arange(3) * index, label=str(index), **style.series_style(index))
        axes[0, 1].bar([index], [index + 1], **style.area_style(index))
    style.label(axes[0, 0], title="error", x="NFE", y="rms error", legend=True)
    style.plain(axes[0, 1])
    target = io.BytesIO()
    figure.savefig(target, format="png")
    assert target.getvalue().startswith(b"\x89PNG")
    assert axes[0, 0].title.get_fontsize() == 10
    assert len(axes[0, 0].get_legend().get_texts()) == 3


def test_drawing_changes_no_global_state():
    import matplotlib

    before = dict(matplotlib.rcParams)
    style.new_figure(1, 1)
    assert dict(matplotlib.rcParams) == before


def test_importing_the_style_imports_no_matplotlib():
    code = "import sys, mfbench.protocols.style; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
