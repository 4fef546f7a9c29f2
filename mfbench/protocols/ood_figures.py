"""The figures of `ood_auroc`, and what a measurement keeps for them.

Kept arrays, by group ("in", "out:<set>"): `score:<group>` (n,), for two-dimensional data `point:<group>`
(n, 2), and where asked for `spread:<group>`, the standard deviation over rounds at some of these points;
for images `image:<group>`, some with the highest and the lowest scores.
Methods that are shown the other set have scores of the seen set for each: `score:in:<set>`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

import numpy as np
from numpy.typing import NDArray

from mfbench.contracts import DiffusionLikelihood, KnowsOutliers, Likelihood, Record
from mfbench.protocols import style
from mfbench.protocols.ood_images import beside, draw_examples, kept_images
from mfbench.protocols.ood_selection import draw_selection
from mfbench.protocols.showing import (
    Kept,
    evenly,
    in_lines,
    looks_of,
    one_of_each,
    seeds_of,
    shared_legend,
    value_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mfbench.protocols.draws import Streams
    from mfbench.protocols.ood_part import Part

Array = NDArray[Any]
Shown = Sequence[tuple[Record, Kept]]

DRAWN = 2000
"""Samples of a set whose scores are kept, evenly spaced over the split."""
SPREAD = 500
"""Of these, samples whose spread over rounds is kept."""
TAILS = (0.5, 99.5)
"""Percentiles of the seen set's scores that are shown, inside `FENCE`."""
BEYOND = 2.0
"""How far beyond them scores are shown, in units of their width: a log-density has no lower bound."""
FENCE = 3.0
"""And no further from the quartiles of all scores than so many times their distance (Tukey's outer fences):
a log-ratio's tail is long on the seen set as well."""
SQUARE = (1.9, 1.9)
"""One panel of a point cloud, in inches."""
SIDE_BY_SIDE = 6
"""Methods in one figure of histograms by set; the next ones have a figure of their own."""
CURVES = 4
"""Panels of ROC curves in a row."""
TITLE_LINE = 0.2
"""Height of a further line of a title, in inches."""


def kept(
    method: Likelihood,
    seen: Part,
    unseen: Sequence[Part],
    pairs: Mapping[str, tuple[Array, Array]],
    spread_rounds: int,
    streams: Streams,
) -> dict[str, Array]:
    """A few thousand scores a set, with their points in two dimensions or some of their images, as small as a
    figure allows.
    """
    arrays = kept_images(seen, unseen, pairs)
    for name, (scores_in, scores_out) in pairs.items():
        group = f"in:{name}" if isinstance(method, KnowsOutliers) else "in"
        arrays[f"score:{group}"] = scores_in[evenly(len(scores_in), DRAWN)].astype(np.float32)
        arrays[f"score:out:{name}"] = scores_out[evenly(len(scores_out), DRAWN)].astype(np.float32)
    if seen.data.shape == (2,):
        for group, part in [("in", seen), *((f"out:{part.name}", part) for part in unseen)]:
            x = part.x[evenly(len(part.x), DRAWN)]
            arrays[f"point:{group}"] = x.cpu().numpy().astype(np.float16)
            if spread_rounds > 1 and has_rounds(method):
                some = x[evenly(len(x), SPREAD)]
                weights = method.log_weights(some, rounds=spread_rounds, rng=streams("spread", part.name))
                arrays[f"spread:{group}"] = weights.detach().std(dim=0).cpu().numpy().astype(np.float32)
    return arrays


def has_rounds(method: Likelihood) -> TypeGuard[DiffusionLikelihood]:
    """Whether the method averages rounds: of the diffusion likelihoods Eq. 23 does, the flow does not."""
    return (
        isinstance(method, DiffusionLikelihood)
        and type(method).log_weights is not DiffusionLikelihood.log_weights
    )


def draw(records: Sequence[Record], arrays: Sequence[Kept]) -> dict[str, Figure]:
    """Score histograms, ROC curves, and what else was kept: points coloured by score and spread, images."""
    shown = one_of_each(records, arrays)
    if not shown:
        return {}
    pictured = [pair for pair in shown if "image:in" in pair[1]]
    figures = draw_histograms(shown) if pictured else {"scores": draw_scores(shown)}
    figures["roc"] = draw_roc(shown)
    if pictured:
        figures["examples"] = draw_examples(pictured, set_names(pictured))
    selection = draw_selection(records)
    if selection is not None:
        figures["validation"] = selection
    ranked = [pair for pair in shown if {"point:in", "score:in"} <= pair[1].keys()]
    if ranked:
        figures["points"] = draw_points(ranked, "score")
    spread = [pair for pair in shown if "spread:in" in pair[1]]
    if spread:
        figures["spread"] = draw_points(spread, "spread")
    return figures


def set_names(shown: Shown) -> list[str]:
    """The unseen sets of all records, each once, in order."""
    prefix = "score:out:"
    names = [key.removeprefix(prefix) for _, kept in shown for key in kept if key.startswith(prefix)]
    return list(dict.fromkeys(names))


def unit_of(record: Record) -> str:
    """What the scores are: log-densities where the record has mean log-densities."""
    return "log-density (nats)" if any(v.metric == "mean_log_density" for v in record.values) else "score"


def draw_scores(shown: Shown) -> Figure:
    """One panel a method: the distribution of its scores on the seen set (filled) and on each unseen set."""
    names, columns = set_names(shown), min(3, len(shown))
    figure, axes = style.new_figure(-(-len(shown) // columns), columns, panel=(3.1, 2.2))
    for ax, (record, kept) in zip(axes.flat, shown):
        _histograms(ax, kept, names)
        style.label(ax, title=in_lines(record.label), x=unit_of(record), y="density")
        ax.set_yticks([])
    for ax in axes.flat[len(shown) :]:
        ax.set_axis_off()
    style.heading(figure, _seeds(shown))
    clipped = "clipped to robust quantiles: the first and the last bin hold what lies beyond, and may be cut"
    shared_legend(figure, axes.flat, columns=4, title=clipped)
    return figure


def draw_histograms(shown: Shown) -> dict[str, Figure]:
    """Fig. 2's layout: a column a method; a row a set, the seen one first, and all of them in the last."""
    pages = [shown[start : start + SIDE_BY_SIDE] for start in range(0, len(shown), SIDE_BY_SIDE)]
    names = set_names(shown)
    return {
        "scores" if number == 0 else f"scores_{number + 1}": _histogram_page(page, names)
        for number, page in enumerate(pages)
    }


def _histogram_page(shown: Shown, names: Sequence[str]) -> Figure:
    figure, axes = style.new_figure(len(names) + 2, len(shown), panel=(2.1, 1.2), sharex="col", sharey="col")
    data = shown[0][0].data
    titles = [f"{data}\n(seen)", *map(in_lines, names), "all"]
    for column, (record, kept) in zip(axes.T, shown):
        for place, ax in enumerate(column):
            every = place == len(column) - 1
            _histograms(ax, kept, names, None if every else ["", *names][place])
            ax.set_yticks([])
        column[0].set_title(in_lines(record.label), fontsize=7)
        column[-1].set_xlabel(unit_of(record))
    for ax, title in zip(axes[:, 0], titles):
        beside(ax, title)
    style.heading(figure, f"{_seeds(shown)}; scores beyond robust quantiles are in the first and last bin")
    shared_legend(figure, axes[-1], columns=4)
    return figure


def _seeds(shown: Shown) -> str:
    return seeds_of(record for record, _ in shown)


def _histograms(ax: Axes, kept: Kept, names: Sequence[str], only: str | None = None) -> None:
    """Scores beyond the range shown are counted in its first and last bin, which do not set the height.

    only: the one set shown, "" for the seen one; the height is that of all, so that panels compare.
    """
    low, high = _range(kept, "score")
    bins = np.linspace(low, high, 60)
    highest = 0.0

    def outline(group: str, of: str, text: str, **look: Any) -> None:
        nonlocal highest
        if f"score:{group}" in kept:
            scores = kept[f"score:{group}"].astype(np.float64)  # in float32 the ends may lie off the bins
            heights, _ = np.histogram(np.clip(scores, low, high), bins, density=True)
            if only is None or only == of:
                ax.stairs(heights, bins, label=text, **look)
            highest = max(highest, float(heights[1:-1].max()))

    outline("in", "", "seen", fill=True, color="0.8")
    for place, name in enumerate(names):
        line = style.series_style(place)
        look = {"color": line["color"], "linestyle": line["linestyle"]}
        outline(f"in:{name}", "", f"seen, against {name}", fill=True, alpha=0.25, color=line["color"])
        outline(f"out:{name}", name, name, linewidth=1.4, **look)
    if highest > 0:
        ax.set_ylim(0.0, 1.1 * highest)


def draw_roc(shown: Shown) -> Figure:
    """One panel an unseen set: ROC curves of all methods."""
    names, looks = set_names(shown), looks_of(record for record, _ in shown)
    columns, titles = min(CURVES, len(names)), [in_lines(f"against {name}") for name in names]
    height = 3.2 + TITLE_LINE * max(title.count("\n") for title in titles)
    figure, axes = style.new_figure(-(-len(names) // columns), columns, panel=(2.7, height), sharey=True)
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    for ax, name, title in zip(axes.flat, names, titles):
        ax.plot([0, 1], [0, 1], color="0.8", linewidth=0.8)
        for record, kept in shown:
            line = looks[record.label] | {"markevery": 0.12, "markersize": 3.5}
            scores_in = kept.get(f"score:in:{name}", kept.get("score:in"))
            if scores_in is not None and f"score:out:{name}" in kept:
                ax.plot(*_roc(scores_in, kept[f"score:out:{name}"]), **line, label=record.label)
        style.label(ax, title=title, x="false-positive rate")
        ax.set_box_aspect(1)
    for ax in axes[:, 0]:
        ax.set_ylabel("true-positive rate")
    style.heading(figure, _seeds(shown))
    shared_legend(figure, axes.flat, columns=3)
    return figure


def _roc(scores_in: Array, scores_out: Array) -> tuple[Array, Array]:
    """Shares of the unseen and of the seen accepted, over all thresholds."""
    thresholds = np.unique(np.concatenate([scores_in, scores_out]))[::-1]

    def accepted(scores: Array) -> Array:
        share: Array = np.searchsorted(np.sort(-scores), -thresholds, side="right") / len(scores)
        return np.concatenate([[0.0], share])

    return accepted(scores_out), accepted(scores_in)


def draw_points(shown: Shown, kind: Literal["score", "spread"]) -> Figure:
    """Rows: methods; columns: the seen set and the others; points coloured by score or by its spread."""
    groups = {"in": shown[0][0].data, **{f"out:{name}": name for name in set_names(shown)}}
    figure, axes = style.new_figure(len(shown), len(groups), panel=SQUARE)
    reach = max(
        float(np.abs(kept[f"point:{g}"]).max()) for _, kept in shown for g in groups if f"point:{g}" in kept
    )
    for line, (record, kept) in zip(axes, shown):
        low, high = _range(kept, kind)
        for ax, (group, name) in zip(line, groups.items()):
            style.plain(ax)
            ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
            if f"{kind}:{group}" in kept:
                colours = _scatter(ax, kept[f"point:{group}"], kept[f"{kind}:{group}"], low, high)
                ax.set_xlabel(_mean(record, name) if kind == "score" else "", fontsize=7)
        line[0].set_ylabel(in_lines(record.label), fontsize=8)
        meaning = unit_of(record) if kind == "score" else "SD over rounds (nats)"
        figure.colorbar(colours, ax=line[-1], label=meaning, extend="both").ax.tick_params(labelsize=7)
    for ax, (group, name) in zip(axes[0], groups.items()):
        title = f"{name} (seen)" if group == "in" else name
        style.label(ax, title=title, x=ax.get_xlabel(), y=ax.get_ylabel())
    style.heading(figure, _seeds(shown))
    return figure


def _mean(record: Record, name: str) -> str:
    value = value_of(record, "mean_log_density", name)
    return "" if np.isnan(value) else f"mean {value:.3g}"


def _scatter(ax: Axes, points: Array, values: Array, low: float, high: float) -> Any:
    points = points[evenly(len(points), len(values))].astype(np.float32)
    order = np.argsort(values)  # the likeliest on top
    x, y = points[order].T
    look: dict[str, Any] = {"cmap": "viridis", "vmin": low, "vmax": high, "linewidths": 0, "rasterized": True}
    return ax.scatter(x, y, s=2, c=np.clip(values[order], low, high), **look)  # -inf is shown, too


def _range(kept: Kept, kind: str) -> tuple[float, float]:
    """Limits around the seen set's scores, as far below and above as `BEYOND` and `FENCE` allow."""

    def finite(prefix: str) -> Array:
        pooled: Array = np.concatenate([values for key, values in kept.items() if key.startswith(prefix)])
        return np.compress(np.isfinite(pooled), pooled)

    seen, everything = finite(f"{kind}:in"), finite(f"{kind}:")
    if not len(seen):
        return 0.0, 1.0
    low, high = (float(end) for end in np.percentile(seen, TAILS))
    width = max(high - low, 1e-6)
    first, third = (float(quartile) for quartile in np.percentile(everything, (25, 75)))
    fence = FENCE * (third - first) or width  # where half of all scores are the same
    low = max(low - BEYOND * width, first - fence, float(everything.min()))
    return low, max(min(high + BEYOND * width, third + fence, float(everything.max())), low + 1e-6)
