"""What figures show of many records, what they leave out, and that they say so."""

from __future__ import annotations

import numpy as np
import pytest

from mfbench.contracts import Record, Value
from mfbench.protocols.ood_figures import _range, draw_scores
from mfbench.protocols.showing import in_lines, looks_of, seeds_of
from mfbench.protocols.step_figures import draw, draw_errors
from mfbench.protocols.step_samples import MOST_SAMPLERS, MOST_STEPS, columns_of, draw_samples, rows_of

CLOUD = {"samples": np.zeros((4, 2), np.float16), "held_out": np.eye(4, 2, dtype=np.float16)}


def record(label, step=1.0, distance=1e-3, *, role="method", seed=0):
    values = [Value("distance", "", distance), Value("energy_distance", "", 2e-3)]
    return Record(
        method=label.partition("(")[0],
        parameters={},
        protocol_parameters={"generator": "exact_diffusion", "step": step},
        data="gaussian_mixture",
        seed=seed,
        role=role,
        values=values,
        label=label,
        nfe=1000 / step,
    )


def text_of(figure):
    return figure.get_suptitle()


def test_seeds_are_named():
    assert seeds_of([record("a", seed=3)]) == "seed 3"
    assert seeds_of([record("a", seed=s) for s in (1, 0, 1)]) == "seeds 0, 1"


def test_long_labels_are_broken():
    assert in_lines("kde") == "kde"
    lines = in_lines("diffusion_markov(generator=ddpm_mlp(iterations=1000), step=2.0)").split("\n")
    assert lines[0] == "diffusion_markov"
    assert max(map(len, lines[1:])) <= 30


def test_variants_of_a_method_look_alike_and_methods_do_not():
    names = [f"{name}{grid}" for name in "abcdefgh" for grid in ("", "(grid=asinh)", "(grid=asinh, order=2)")]
    looks = looks_of([record("oracle", role="ceiling"), *(record(name) for name in names)])
    seen = [(k["color"], k["marker"], k["fillstyle"], k["linestyle"]) for k in (looks[n] for n in names)]
    assert len(set(seen)) == len(names)
    assert len({colour for colour, *_ in seen}) == 8
    assert looks["a"]["color"] == looks["a(grid=asinh)"]["color"]
    assert looks["oracle"]["marker"] == ""


def test_no_two_series_of_the_error_figure_look_the_same():
    labels = [f"{name}{grid}" for name in "abcdefgh" for grid in ("", "(grid=asinh)")]
    figure = draw_errors([record(label, h, h * 1e-3) for label in labels for h in (1, 2, 4)])
    lines = list(figure.axes[0].lines)
    looks = {(k.get_color(), k.get_linestyle(), k.get_marker(), k.get_fillstyle()) for k in lines}
    assert len(lines) == len(looks) == 16


def test_the_error_figure_grows_by_its_legend_and_says_the_order_and_its_range():
    few = draw_errors([record("a", h, h * 1e-3) for h in (1, 2, 4)])
    many = draw_errors([record(f"m{i}", h, h * 1e-3) for i in range(30) for h in (1, 2, 4)])
    assert many.get_size_inches()[1] > few.get_size_inches()[1] + 1
    (legend,) = few.legends
    assert "a: order 1.0 (h 1 to 4)" in [text.get_text() for text in legend.get_texts()]
    assert text_of(few) == "seed 0"
    seeds = draw_errors([record("a", h, h * 1e-3, seed=s) for h in (1, 2) for s in (0, 1)])
    assert text_of(seeds) == "means over seeds 0, 1"


@pytest.mark.filterwarnings("error")
def test_a_small_grid_is_drawn_whole():
    shown = [(record(label, h), CLOUD) for label in ("a", "b") for h in (1, 2)]
    figure = draw_samples(shown)
    assert text_of(figure) == "seed 0"
    assert len(figure.axes) == 4


def test_a_large_grid_is_cut_and_says_what_is_missing():
    labels = [f"{name}{grid}" for name in "abcdefgh" for grid in ("", "(grid=asinh)")]
    records = [record(label, h) for label in labels for h in (1, 2, 5, 10, 20, 50)] + [record("a", 100)]
    figure = draw_samples([(r, CLOUD) for r in records])
    assert text_of(figure) == "seed 0; left out: 6 of 16 samplers and h = 1, 100"
    assert len(figure.axes) == MOST_STEPS * MOST_SAMPLERS
    assert columns_of(records) == [2, 5, 10, 20, 50]  # what most took, of these the largest
    assert rows_of(records) == ["a", "a(grid=asinh)", "b", "b(grid=asinh)", *"cdefgh"]


def test_draw_gives_the_figures_of_a_step_table():
    records = [record(label, h) for label in ("a", "b") for h in (1, 2)]
    assert set(draw(records, [CLOUD] * 4)) == {"samples", "error"}


def test_a_long_tail_of_scores_does_not_set_the_range():
    rng = np.random.default_rng(0)
    long = np.concatenate([rng.normal(2, 2, 1500), rng.uniform(0, 2000, 500)])
    kept = {"score:in:circles": long, "score:out:circles": rng.normal(-3, 2, 2000)}
    low, high = _range(kept, "score")
    assert -60 < low < -8
    assert 8 < high < 60
    figure = draw_scores([(record("oracle_bayes", role="ceiling"), kept)])
    assert text_of(figure) == "seed 0"
    assert "clipped to robust quantiles" in figure.legends[0].get_title().get_text()
    top = figure.axes[0].get_ylim()[1]
    inner = np.histogram(
        np.clip(kept["score:out:circles"], low, high), np.linspace(low, high, 60), density=True
    )
    assert inner[0][1:-1].max() < top < 2 * inner[0][1:-1].max()


def test_scores_that_are_all_the_same_have_a_range():
    low, high = _range({"score:in": np.ones(9), "score:out:a": np.ones(9)}, "score")
    assert low < high
