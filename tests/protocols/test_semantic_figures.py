"""Figures of the semantic protocols can be looked at: panels have room, and nothing is left out unsaid."""

from __future__ import annotations

import numpy as np
import pytest

from mfbench.contracts import Record, Value
from mfbench.protocols import disentanglement_figures, editing_figures, path_figures, structure_figures
from mfbench.protocols.disentanglement_figures import MOST_METHODS, spread
from mfbench.protocols.rows_shown import choose
from mfbench.protocols.set_apart import set_apart
from mfbench.protocols.texts import as_bytes_of

GRID = "grid_vae(batch_size=32, decoder=placed, iterations=10000, kl={}, learning_rate=0.002, network=conv)"
SENDERS = ("guided_grid_vae(beta=10.0, distortion=1.0, iterations=2000)", "lstm_sender(iterations=700)")
RECEIVERS = [f"receiver(iterations=700, learning_rate=0.002, sender={sender})" for sender in SENDERS]


def record(label, parameters=None, **values):
    return Record(
        method=label.partition("(")[0],
        parameters=parameters or {},
        protocol_parameters={},
        data="tiles",
        seed=0,
        role="method",
        values=[Value(name, "", value) for name, value in values.items()],
        label=label,
    )


def codes(n=300, levels=4):
    """What `disentanglement` keeps of a method with quantised codes and wide images."""
    rng = np.random.default_rng(0)
    points = rng.integers(levels, size=(n, 2)).astype(np.float32)
    borders = np.arange(levels - 1, dtype=np.float32) + 0.5
    return {
        "points": points,
        "values": points.astype(np.int16),
        "axes": np.array([0, 1], np.int16),
        "shown": np.array([0, 1], np.int16),
        "information": np.eye(2, dtype=np.float32),
        "names": as_bytes_of("left\nright"),
        "lines:0": borders,
        "lines:1": borders,
        "traversal": np.zeros((4, 8, 1, 8, 16), np.uint8),
        "traversal_axes": np.array([0, 1, 0, 1], np.int16),
        "traversal_inside": np.array([False, False, True, True]),
    }


def edits(names=("smile", "glasses", "hat")):
    """What `attribute_editing` keeps, with the first attribute left out by the protocol."""
    k = len(names)
    return {
        "names": as_bytes_of("\n".join(names)),
        "success": np.linspace(0, 1, k),
        "preserved": np.linspace(0.9, 1, k),
        "edits": np.zeros((4, 2 + k, 1, 8, 8), np.uint8),
        "edits_right": np.zeros((4, k), bool),
        "sweeps": np.zeros((3, 9, 1, 8, 8), np.uint8),
        "sweep_names": as_bytes_of("glasses\nglasses + hat\nsmile (left out)"),
    }


def drawn(figure):
    figure.canvas.draw()
    return figure


def head_of(figure):
    """The heading, which may have several lines, in one."""
    return figure.get_suptitle().replace("\n", " ")


def inside(figure, artist):
    box = artist.get_window_extent()
    whole = figure.bbox
    return box.x0 >= 0 and box.y0 >= 0 and box.x1 <= whole.x1 and box.y1 <= whole.y1


def test_short_names_tell_rows_of_one_method_apart():
    labels = ["pca(dimensions=2)", GRID.format("nearest"), GRID.format("grid"), *RECEIVERS, "grid_vae"]
    assert list(set_apart(labels[:5]).values()) == [
        "pca",
        "grid_vae(kl=nearest)",
        "grid_vae(kl=grid)",
        "receiver(sender=guided_grid_vae)",
        "receiver(sender=lstm_sender)",
    ]
    shorts = set_apart(labels)
    assert shorts["grid_vae"] == "grid_vae"  # beside rows that have parameters of their own
    assert len(set(shorts.values())) == len(labels)


def test_short_names_keep_what_is_inside_of_a_parameter():
    labels = ["m(a=n(x=1, y=2), b=1)", "m(a=n(x=1, y=3), b=1)", "m(a=[1, 2], b=1)", "m(b=1)"]
    assert list(set_apart(labels).values()) == ["m(a=n(y=2))", "m(a=n(y=3))", "m(a=[1, 2])", "m"]


@pytest.mark.parametrize(
    "label", ["", "m(", "m()", "m(a)", "m(a=1", "m(a=1, a=2)", "m(file=a, b.pt)", "m)(a=1"]
)
def test_what_is_no_label_stays_as_it_is(label):
    assert set_apart([label, "m(b=1)", "m(b=2)"])[label] == label


def test_one_of_each_method_is_shown_before_a_second():
    rows = [(record(label), {}) for label in ("a(x=1)", "a(x=2)", "a(x=3)", "b", "c(x=1)", "c(x=2)")]
    assert [r.label for r, _ in choose(rows, 4).shown] == ["a(x=1)", "a(x=2)", "b", "c(x=1)"]
    assert list(choose(rows, 4).left_out) == ["a(x=3)", "c(x=2)"]
    assert not choose(rows, 6).left_out


def test_of_one_method_the_row_of_most_worth_is_shown_first():
    rows = [(record(f"a(x={x})", mig=mig), {}) for x, mig in ((1, float("nan")), (2, 0.1), (3, 0.5))]
    assert [r.label for r, _ in choose(rows, 1, lambda r: r.values[0].value).shown] == ["a(x=3)"]
    assert [r.label for r, _ in choose(rows, 2, lambda r: r.values[0].value).shown] == ["a(x=2)", "a(x=3)"]


def test_figures_name_the_rows_that_they_leave_out():
    labels = [GRID.format(place) for place in range(3)] + [f"m{place}" for place in range(MOST_METHODS - 1)]
    records = [record(label, mig=0.1 * place) for place, label in enumerate(labels)]
    figures = disentanglement_figures.draw(records, [codes()] * len(records))
    assert set(figures) == {"codes", "information", "traversals"}
    for figure in figures.values():
        assert "15 of 17 rows are shown; left out: grid_vae(kl=0), grid_vae(kl=1)" in head_of(figure)
        assert inside(drawn(figure), figure._suptitle)
        width, height = figure.get_size_inches()
        assert height < 1.3 * width < 16


def test_no_figure_leaves_rows_out_unsaid():
    records = [record(f"m{place}") for place in range(9)]
    path = {"paths": np.zeros((2, 3, 1, 8, 8), np.uint8), "stories": as_bytes_of("a\nb")}
    names = {"names": as_bytes_of("a\nb")}
    numbers = ("p", "q", "kl", "kl_low", "kl_high", "null_high")
    told = dict.fromkeys((*numbers, "information", "information_low", "information_high"), np.ones(2))
    assert "8 of 9 rows are shown; left out: m8" in head_of(path_figures.draw(records, [path] * 9)["paths"])
    structure = structure_figures.draw(records, [told | names] * 9)["structure"]
    assert "5 of 9 rows are shown; left out: m5, m6, m7, m8" in head_of(structure)
    figures = editing_figures.draw(records, [edits()] * 9)
    assert "8 of 9 rows are shown; left out: m8" in head_of(figures["edits"])
    assert "8 of 9 rows are shown; left out: m8" in head_of(figures["sweeps"])
    assert "rows" not in head_of(figures["success"])  # which has room for all


@pytest.mark.parametrize("labels", [RECEIVERS, [GRID.format(kl) for kl in ("x" * 90, "y" * 90)]])
def test_images_have_room_below_long_titles(labels):
    figure = disentanglement_figures.draw([record(label) for label in labels], [codes()] * 2)["traversals"]
    for ax in drawn(figure).axes:
        box = ax.get_window_extent()
        assert box.width > 0.7 * figure.bbox.width / 2
        assert box.width / box.height == pytest.approx(4, rel=0.05)  # 8 images of 16 x 8 in each of 4 rows
        assert inside(figure, ax.title)


def test_a_line_of_panels_is_as_high_as_its_highest():
    tall = codes() | {
        "traversal": np.zeros((8, 8, 1, 8, 16), np.uint8),
        "traversal_axes": np.zeros(8, np.int16),
        "traversal_inside": np.zeros(8, bool),
    }
    arrays = [codes(), codes(), codes(), tall]
    figure = disentanglement_figures.draw([record(f"m{i}") for i in range(4)], arrays)["traversals"]
    low, *_, high = (ax.get_window_extent() for ax in drawn(figure).axes[:4])
    assert low.width == pytest.approx(high.width, rel=0.05)
    assert high.height == pytest.approx(2 * low.height, rel=0.05)


def test_shared_codes_are_spread_within_their_cell_and_others_stay():
    points = codes()["points"] * np.array([1.0, 0.1])
    moved = spread(points)
    assert len(np.unique(moved, axis=0)) == len(points)
    assert (np.abs(moved - points) < np.array([0.5, 0.05])).all()  # the borders are halfway between codes
    np.testing.assert_array_equal(moved, spread(points))
    real = np.random.default_rng(1).normal(size=(300, 2))
    np.testing.assert_array_equal(spread(real), real)
    alone = spread(np.zeros((50, 2)))
    assert len(np.unique(alone, axis=0)) == 50
    assert np.abs(alone).max() < 0.5


def test_the_codes_figure_says_that_codes_are_spread_where_they_are():
    real = codes() | {"points": np.random.default_rng(1).normal(size=(300, 2)).astype(np.float32)}
    told = disentanglement_figures.draw([record("a")], [real])["codes"]
    assert "spread" not in head_of(told)
    assert "spread within their cell" in head_of(
        disentanglement_figures.draw([record("a"), record("b")], [real, codes()])["codes"]
    )


def test_the_legend_of_edits_is_whole_and_beside_the_plot():
    labels = [GRID.format(kl) for kl in ("nearest", "x" * 120)]
    figure = drawn(editing_figures.draw([record(label) for label in labels], [edits()] * 2)["success"])
    (legend,) = figure.legends
    assert legend.get_texts()[0].get_text() == "grid_vae(kl=nearest)"
    assert inside(figure, legend)
    (ax,) = figure.axes
    assert not legend.get_window_extent().overlaps(ax.get_tightbbox())
    assert ax.get_window_extent().height > 0.5 * figure.bbox.height


@pytest.mark.parametrize(
    ("parameters", "labels_used", "said"),
    [
        ({"left_out": []}, 1.0, False),
        ({"left_out": []}, 0.01, False),
        ({"left_out": ["smile"]}, 0.8, True),
        ({"left_out": ["hat"]}, 0.8, False),
        ({}, 1.0, False),
        ({}, 0.5, True),
        ({}, 0.0, True),
    ],
)
def test_an_attribute_is_left_out_only_of_a_model_that_did_not_read_it(parameters, labels_used, said):
    one = record("a", parameters, labels_used=labels_used)
    figure = editing_figures.draw([one], [edits()])["sweeps"]
    names = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert names == ["glasses", "glasses +\nhat", "smile\n(left out)" if said else "smile"]


def test_the_marks_of_edits_are_said_to_be_their_success():
    figure = editing_figures.draw([record("a")], [edits()])["edits"]
    assert "did not see it when the image was only rebuilt" in head_of(figure)
