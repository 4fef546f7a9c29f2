"""Out-of-distribution detection: does the score rank unseen data below the seen?

Question. A likelihood fitted on one data set scores that set's test split and the test split of each
other set. How often does a seen sample score above an unseen one?

Needs. A likelihood; an in-distribution set; one or more other sets of the same shape and, for images, with
the same history of compression. Methods that are shown the other set (`KnowsOutliers`) score each pair anew;
they are ceilings.

Measurement. For each other set, with in-distribution as the positive class: AUROC with DeLong's interval,
average precision (AUPR-in) and the false-positive rate at 95 % true positives, both with bootstrap
intervals. The rank is by the unweighted mean AUROC over the sets. Where some are said to be near, the means
over the near and over the far ones are parts as well. The mean log-density of every set stands beside it: the
paper's Fig. 5 asks whether the seen set's is highest. Sets to choose parameters by are scored on validation
splits, and count for nothing else.

References. Tu et al. 2023, Fig. 5; DeLong, DeLong and Clarke-Pearson 1988; Hendrycks and Gimpel 2017;
Zhang et al. 2023 (OpenOOD v1.5) for near, far and validation sets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

from mfbench import measures
from mfbench.contracts import (
    Clock,
    Dataset,
    EvaluationProtocol,
    KnowsOutliers,
    Likelihood,
    Measurement,
    Metric,
    Record,
    Ref,
    Value,
)
from mfbench.protocols.checked import checked_scores
from mfbench.protocols.counting import cost, count_evaluations
from mfbench.protocols.draws import Streams
from mfbench.protocols.ood_figures import draw, kept
from mfbench.protocols.ood_findings import findings
from mfbench.protocols.ood_part import Part
from mfbench.protocols.ood_sets import VALIDATION, ood_sets
from mfbench.protocols.timed import timed_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]


class OODAuroc(EvaluationProtocol):
    """AUROC of seen against unseen data sets, by a likelihood's score."""

    kind: ClassVar[str] = "likelihood"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "auroc",
            primary=True,
            description="P(seen scores above unseen); overall: mean over the sets",
            lowest=0,
            highest=1,
        ),
        Metric(
            "average_precision",
            description="area under precision-recall, seen as positive (AUPR-in)",
            lowest=0,
            highest=1,
        ),
        Metric(
            "fpr_at_95_tpr",
            better="lower",
            description="unseen accepted where 95 % of the seen are",
            lowest=0,
            highest=1,
        ),
        Metric("mean_log_density", "nats", better=None, description="of each set; not for pure scores"),
    )
    workload: ClassVar[str] = "scores 1,000 points, or 100 images"

    def evaluate(  # type: ignore[override]
        self,
        method: Likelihood,
        data: Dataset,
        *,
        rng: torch.Generator,
        clock: Clock,
        against: list[Ref],
        near: list[Annotated[Ref, "dataset"]] | None = None,
        validation: list[Annotated[Ref, "dataset"]] | None = None,
        count: int | None = None,
        spread_rounds: int = 0,
    ) -> Measurement:
        """Score `data.test` and the test split of each set in `near` and `against`.

        near: unseen sets that are near the seen one; those of `against` are then the far ones.
        validation: sets to choose parameters by, apart from all that are tested; their validation splits are
            scored beside that of the seen set.
        count: samples a set, the first of its test split (None: all of them).
        spread_rounds: rounds over which the spread of Eq. 23 is kept for the figure (0: none).
        """
        sets = ood_sets(data, against, near or (), validation or (), count)
        seen, unseen = sets.seen, sets.unseen
        streams = Streams(rng)
        timed = replace(seen, x=timed_rows(seen.x))
        clock.measure(lambda: _scores(method, timed, unseen[0], streams))
        if clock.timing_only:
            return Measurement()

        with count_evaluations(method) as counter:
            pairs = dict(_scored_pairs(method, seen, unseen, streams))
        groups = combined_placements(pairs)
        values = separations(pairs, groups, streams("bootstrap"), sets.groups)
        values += validation_aurocs(method, sets.validation, streams)
        densities = mean_log_densities(method, [seen, *unseen], pairs, streams)
        scored = sum(len(part.x) for part in [seen, *unseen])
        nfe, notes = cost(counter, scored)
        return Measurement(
            values=[*values, *densities],
            scores=groups,
            arrays=kept(method, seen, unseen, pairs, spread_rounds, streams),
            nfe=nfe,
            notes=notes,
        )

    def draw(self, records: Sequence[Record], arrays: Sequence[Mapping[str, Array]]) -> dict[str, Figure]:
        """Score histograms and ROC curves; in two dimensions, points coloured by log-density; of images, the
        ones with the highest and lowest scores; AUROC on tested over that on validation sets.
        """
        return draw(records, arrays)

    def findings(self, records: Sequence[Record]) -> list[str]:
        """Which set has the highest mean log-density by each method, AUROC over a method's steps, and what is
        chosen on the validation sets, with its AUROC on those that are tested.
        """
        return findings(records)


def separations(
    pairs: Mapping[str, tuple[Array, Array]],
    groups: Mapping[str, Array],
    rng: torch.Generator,
    families: Mapping[str, Sequence[str]] | None = None,
) -> list[Value]:
    """How well the scores tell the seen set from each other set, and on average (part "").

    families: by part, the sets of further means.
    """
    sizes = {name: len(scores_in) + len(scores_out) for name, (scores_in, scores_out) in pairs.items()}
    aurocs = {name: measures.delong(*pair) for name, pair in pairs.items()}
    resampled = measures.ranking_bootstrap(list(pairs.values()), rng=rng)
    values = [Value("auroc", "", *mean_auroc(list(aurocs.values()), groups))]
    examples = {"": _examples(groups)}
    for part, names in (families or {}).items():
        own = combined_placements({name: pairs[name] for name in names})
        values.append(Value("auroc", part, *mean_auroc([aurocs[name] for name in names], own)))
        examples[part] = _examples(own)
    values += [Value("auroc", name, a.value, sizes[name], a.low, a.high) for name, a in aurocs.items()]
    for measure, draws in zip((measures.average_precision, measures.fpr_at_95_tpr), resampled, strict=True):
        metric = measure.__name__
        each = {name: measure(*pair) for name, pair in pairs.items()}
        for part, names in {"": list(pairs), **(families or {})}.items():
            rows = [list(pairs).index(name) for name in names]
            mean = measures.percentile(float(np.mean([each[n] for n in names])), draws[rows].mean(axis=0))
            values.append(Value(metric, part, mean.value, examples[part], mean.low, mean.high))
        for (name, value), row in zip(each.items(), draws, strict=True):
            interval = measures.percentile(value, row)
            values.append(Value(metric, name, value, sizes[name], interval.low, interval.high))
    return values


def validation_aurocs(method: Likelihood, sets: Sequence[Part], streams: Streams) -> list[Value]:
    """AUROC on the sets to choose by, the seen set first among them: of each, and the mean of several."""
    if not sets:
        return []
    pairs = dict(_scored_pairs(method, sets[0], sets[1:], streams))
    aurocs = {name: measures.delong(*pair) for name, pair in pairs.items()}
    sizes = {name: len(scores_in) + len(scores_out) for name, (scores_in, scores_out) in pairs.items()}
    values = [Value("auroc", name, a.value, sizes[name], a.low, a.high) for name, a in aurocs.items()]
    if len(pairs) == 1:
        return values
    mean = mean_auroc(list(aurocs.values()), combined_placements(pairs))
    return [Value("auroc", VALIDATION, *mean), *values]


def combined_placements(pairs: Mapping[str, tuple[Array, Array]]) -> dict[str, Array]:
    """Per-example contributions to the mean AUROC over the sets.

    mean_k AUROC_k = mean_i [mean_k V10_k(x_i)] = sum_k mean_j [V01_k(y_kj) / K]: the seen examples, shared
    by all K sets, make one group, and each unseen set one of its own, so that the variance is DeLong's for
    a sum of AUROCs.
    """
    placements = {name: measures.placements(*pair) for name, pair in pairs.items()}
    groups = {"in": np.mean([v10 for v10, _ in placements.values()], axis=0)}
    return groups | {f"out:{name}": v01 / len(placements) for name, (_, v01) in placements.items()}


def mean_auroc(
    aurocs: Sequence[measures.Interval], groups: Mapping[str, Array]
) -> tuple[float, int, float, float]:
    """The mean over the sets, the number of examples, and the interval's ends.

    Normal on the logit scale, as each set's own, with the variance of the combined placements. Where nothing
    varies, the mean of the sets' bounds: it covers at least as often, as it lets their errors add up in full.
    """
    mean = float(np.mean([a.value for a in aurocs]))
    variance = sum(float(np.var(group, ddof=1)) / len(group) for group in groups.values())
    if variance == 0:
        low, high = (float(np.mean([getattr(a, end) for a in aurocs])) for end in ("low", "high"))
        return mean, _examples(groups), low, high
    half = ndtri(0.975) * np.sqrt(variance) / (mean * (1 - mean))
    return mean, _examples(groups), float(expit(logit(mean) - half)), float(expit(logit(mean) + half))


def _examples(groups: Mapping[str, Array]) -> int:
    return sum(len(group) for group in groups.values())


def mean_log_densities(
    method: Likelihood, sets: Sequence[Part], pairs: Mapping[str, tuple[Array, Array]], streams: Streams
) -> list[Value]:
    """Mean log-density of each set, nats, with Student's interval; nothing for methods that only rank."""
    if method.bound == "score":
        return []
    unseen = sets[1:]
    scores = [pairs[unseen[0].name][0], *(pairs[part.name][1] for part in unseen)]
    if type(method).score is not Likelihood.score:  # it ranks by something else than its density
        scores = [_log_densities(method, part, streams) for part in sets]
    intervals = [measures.student(each) for each in scores]
    return [
        Value("mean_log_density", part.name, each.value, len(part.x), each.low, each.high)
        for part, each in zip(sets, intervals)
    ]


def _scored_pairs(
    method: Likelihood, seen: Part, unseen: Sequence[Part], streams: Streams
) -> Iterator[tuple[str, tuple[Array, Array]]]:
    """For each unseen set its name and the scores of the seen set and of its own."""
    if isinstance(method, KnowsOutliers):
        for part in unseen:
            yield part.name, (_scores(method, seen, part, streams), _scores(method, part, part, streams))
        return
    scores_seen = _scores(method, seen, seen, streams)
    for part in unseen:
        yield part.name, (scores_seen, _scores(method, part, part, streams))


def _scores(method: Likelihood, part: Part, other: Part, streams: Streams) -> Array:
    """Checked scores of one set (to be told from `other`), with noise that depends on the set alone."""
    rng = streams("scores", part.name)
    if isinstance(method, KnowsOutliers):
        scores = method.score_against(part.x, other.data, rng=rng)
        return checked_scores(scores, len(part.x), method, "score_against")
    return checked_scores(method.score(part.x, rng=rng), len(part.x), method)


def _log_densities(method: Likelihood, part: Part, streams: Streams) -> Array:
    log_prob = method.log_prob(part.x, rng=streams("scores", part.name))
    return checked_scores(log_prob, len(part.x), method, "log_prob")
