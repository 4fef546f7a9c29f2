"""Near, far and validation sets of ood_auroc: what they are called, what is refused, what they count for."""

from __future__ import annotations

import math

import pytest
import torch
from mfbench_baselines.oracles import OracleBayes, OracleDensity
from protocol_fakes import Normal, QualityClock, fitted, record_of, seeded, values_of
from scipy.stats import norm

from mfbench.contracts import Dataset, Likelihood, Split
from mfbench.errors import Unsupported, UserError
from mfbench.protocols.ood_auroc import OODAuroc
from mfbench.protocols.ood_names import distinct_names

SEEN = Normal(count=3000)
CLOSE, CLOSER = Normal(shift=1.0, count=2000, name="close"), Normal(shift=0.5, count=2000, name="closer")
AWAY, TUNING = Normal(shift=3.0, count=2000, name="away"), Normal(shift=2.0, count=2500, name="tuning")


def evaluate(method, against=(AWAY,), data=SEEN, **parameters):
    return OODAuroc().evaluate(
        method, data, rng=seeded(), clock=QualityClock(), against=list(against), **parameters
    )


def exact_auroc(*shifts):
    """Of the Bayes ratio of N(0, I) against N(shift e_1, I), the mean over the shifts."""
    return sum(norm.cdf(shift / math.sqrt(2)) for shift in shifts) / len(shifts)


def test_near_and_far_means_stand_beside_the_sets_and_the_primary_is_the_mean_over_all():
    measurement = evaluate(fitted(OracleBayes(), SEEN), near=[CLOSE, CLOSER])
    values = values_of(measurement)
    expected = {"": (1.0, 0.5, 3.0), "near mean": (1.0, 0.5), "far mean": (3.0,)}
    for part, shifts in expected.items():
        value = values["auroc", part]
        assert value.ci_low < exact_auroc(*shifts) < value.ci_high
    single = {name: values["auroc", name].value for name in ("close", "closer", "away")}
    assert values["auroc", ""].value == pytest.approx(sum(single.values()) / 3)
    assert values["auroc", "near mean"].value == pytest.approx((single["close"] + single["closer"]) / 2)
    assert values["auroc", "near mean"].n == 3000 + 2 * 2000
    lone, mean = values["auroc", "away"], values["auroc", "far mean"]
    assert (lone.value, lone.ci_low, lone.ci_high) == pytest.approx((mean.value, mean.ci_low, mean.ci_high))
    for metric in ("average_precision", "fpr_at_95_tpr"):
        near = [values[metric, name].value for name in ("close", "closer")]
        assert values[metric, "near mean"].value == pytest.approx(sum(near) / 2)
        assert values[metric, "near mean"].ci_low < values[metric, "near mean"].ci_high
    assert list(measurement.scores) == ["in", "out:close", "out:closer", "out:away"]


def test_saying_what_is_near_changes_no_other_number():
    method = fitted(OracleDensity(), SEEN)
    plain = values_of(evaluate(method, [CLOSE, AWAY]))
    told = values_of(evaluate(method, [AWAY], near=[CLOSE], validation=[TUNING]))
    assert all(told[key] == value for key, value in plain.items())
    assert {part for _, part in told.keys() - plain.keys()} == {"near mean", "far mean", "validation: tuning"}


def test_the_validation_auroc_is_of_validation_splits_and_counts_for_nothing_else():
    method = fitted(OracleDensity(), SEEN)
    plain, tuned = evaluate(method), evaluate(method, validation=[TUNING])
    extra = [value for value in tuned.values if value not in plain.values]
    assert [(value.metric, value.part) for value in extra] == [("auroc", "validation: tuning")]
    scores = [method.score(part.val.x) for part in (SEEN, TUNING)]
    seen, other = scores[0].double()[:, None], scores[1].double()
    above = (seen > other).double().mean() + (seen == other).double().mean() / 2
    assert extra[0].value == pytest.approx(float(above), abs=1e-9)
    assert extra[0].n == 3000 + 2500
    assert all((tuned.scores[name] == group).all() for name, group in plain.scores.items())
    several = values_of(evaluate(method, validation=[TUNING, CLOSE]))
    each = [several["auroc", f"validation: {name}"].value for name in ("tuning", "close")]
    assert several["auroc", "validation mean"].value == pytest.approx(sum(each) / 2)
    known = values_of(evaluate(fitted(OracleBayes(), SEEN), validation=[TUNING]))
    value = known["auroc", "validation: tuning"]
    assert value.ci_low < exact_auroc(2.0) < value.ci_high


class Labelled(Dataset):
    """Noise of some labels; the label is the mean of the first pixel."""

    shape = (1, 2, 2)

    def __init__(self, classes, name="labelled", seed=0, **more):
        super().__init__(seed=seed)
        self.name, self.parameters = name, {"classes": classes, **more}

    def make_split(self, split):
        salt = {"train": 1, "val": 2, "test": 3}[split]
        return Split(torch.rand(60, *self.shape, generator=seeded(salt)) + sum(self.parameters["classes"]))


class Sum(Likelihood):
    bound = "score"

    def score(self, x, *, rng=None):
        return -x.flatten(1).sum(1)


def test_validation_sets_must_be_apart_from_what_is_tested():
    seen, near = Labelled([0, 1]), Labelled([2, 3], upside_down=True)
    values = values_of(evaluate(Sum(), [near], seen, validation=[Labelled([7])]))
    assert ("auroc", "validation: labelled(classes=[7])") in values
    other, aside = Labelled([2], "other"), Labelled([7], "other")
    assert ("auroc", "other") in values_of(evaluate(Sum(), [other], seen, validation=[aside]))
    no_set = r"validation: labelled\(classes=\[3, 7\]\) is no set to choose by, as labelled\("
    with pytest.raises(UserError, match=no_set):
        evaluate(Sum(), [near], seen, validation=[Labelled([3, 7])])
    with pytest.raises(UserError, match="is no set to choose by, as labelled is tested"):
        evaluate(Sum(), [near], seen, validation=[Labelled([7], labels="coarse")])
    twin = Normal(shift=2.0, name="twin")
    twin.parameters = {"shift": 2.0}
    again = Normal(shift=2.5, name="twin")
    again.parameters = {"shift": 2.5}
    with pytest.raises(UserError, match="is no set to choose by"):
        evaluate(fitted(OracleDensity(), SEEN), [twin], validation=[again])
    with pytest.raises(UserError, match="away is there twice"):
        evaluate(fitted(OracleDensity(), SEEN), validation=[AWAY])


class Leaking(Normal):
    """Its validation split holds two samples of another set's test split."""

    def make_split(self, split):
        made = super().make_split(split)
        return Split(torch.cat([made.x, AWAY.test.x[:2]])) if split == "val" else made


def test_samples_that_are_tested_are_found_among_those_to_choose_by():
    leaking = Leaking(shift=2.0, name="leaking")
    with pytest.raises(
        UserError, match="2 samples of validation: leaking are also in the test split of away"
    ):
        evaluate(fitted(OracleDensity(), SEEN), validation=[leaking])


def named(name, **parameters):
    data = Normal(name=name)
    data.parameters = parameters
    return data


def test_names_say_no_more_than_what_tells_sets_apart():
    seen = named("digits", classes=[0, 1], upside_down=False, size=None)
    sets = [
        named("digits", classes=[5, 6], upside_down=False, size=None),
        named("digits", classes=[0, 1], upside_down=True, size=None),
        named("faces", size=8, hat=True),
        named("faces", size=8, hat=False),
        named("moons", noise=0.1),
        named("mixed", of={"kind": "dataset", "name": "moons", "parameters": {}}, at={"file": "/a/b.npz"}),
        named("mixed", of={"kind": "dataset", "name": "rings", "parameters": {}}, at=None),
    ]
    assert distinct_names([seen, *sets]) == [
        "digits",
        "digits(classes=[5, 6])",
        "digits(upside_down=true)",
        "faces(hat=true)",
        "faces(hat=false)",
        "moons",
        "mixed(at=b.npz, of=moons)",
        "mixed(at=none, of=rings)",
    ]
    with pytest.raises(UserError, match="digits is there twice"):
        distinct_names([seen, named("digits", **seen.parameters)])


def test_sets_that_differ_in_how_they_were_made_are_no_pair():
    from mfbench.datasets.digits import Digits
    from mfbench.datasets.faces import SyntheticFaces

    def told(data, other):
        with pytest.raises(Unsupported) as error:
            evaluate(Sum(), [other], data)
        return str(error.value)

    grey = {"size": 8, "channels": "grey", "count": 40}
    digits = Digits(test_count=30)
    assert evaluate(Sum(), [SyntheticFaces(**grey)], digits).values
    assert "synthetic_faces has been through JPEG, but digits has not; set jpeg_quality" in told(
        digits, SyntheticFaces(**grey, jpeg_quality=75)
    )
    assert "synthetic_faces is dequantised, but digits is not; set dequantise" in told(
        digits, SyntheticFaces(**grey, dequantise=True)
    )
    colour = SyntheticFaces(size=8, count=40)
    assert "synthetic_faces is in colour, but digits is grey; set channels" in told(
        Digits(channels="rgb"), colour
    )
    assert "through JPEG of quality 50, but digits was last through JPEG of quality 75" in told(
        Digits(jpeg_quality=75), SyntheticFaces(**grey, jpeg_quality=50)
    )
    assert (
        "synthetic_faces is reduced 4 times after JPEG, but digits is reduced 1 times after JPEG; set "
        "jpeg_quality and jpeg_size = 1 x size on the side reduced more"
    ) in told(Digits(jpeg_quality=75), SyntheticFaces(**grey, drawn_size=32, jpeg_quality=75))
    reduced = SyntheticFaces(**grey, drawn_size=32, jpeg_quality=75, jpeg_size=8)
    assert evaluate(Sum(), [reduced], Digits(jpeg_quality=75, test_count=30)).values
    again = Digits(jpeg_quality=75, test_count=30)
    assert evaluate(Sum(), [SyntheticFaces(**grey, jpeg_quality=75)], again.to("cpu")).values
    with pytest.raises(Unsupported, match="through JPEG"):  # views tell what their base does
        evaluate(Sum(), [SyntheticFaces(**grey)], again.to("cpu"))
    with pytest.raises(Unsupported, match=r"digits\(.*jpeg_quality=75.*\) has been through JPEG"):
        evaluate(Sum(), [SyntheticFaces(**grey)], digits, validation=[again])


def measured(label, method, validation, test, role="method", seed=0, near=None, count=None):
    from mfbench.contracts import Record, Value

    values = [Value("auroc", "", test), Value("auroc", "validation: other", validation)]
    values += [Value("auroc", "near mean", near), Value("auroc", "far mean", 0.9)] if near else []
    asked = {"against": ["a"], "validation": ["other"], "count": count}
    return Record(method, {}, asked, "seen", seed, role, values, label)


def test_findings_choose_on_validation_and_tell_what_that_gets_on_test():
    records = [
        measured("msma", "msma", 0.8, 0.95),
        measured("msma(levels=5)", "msma", 0.9, 0.70, seed=0, near=0.5),
        measured("msma(levels=5)", "msma", 0.9, 0.74, seed=1, near=0.6),
        measured("kde", "kde", 0.6, 0.5),
        measured("control", "control", 0.99, 0.99, role="control"),
        measured("oracle", "oracle", 1.0, 1.0, role="ceiling"),
    ]
    chosen = (
        "msma(levels=5), mean AUROC 0.900 on validation and 0.720 on the tested sets (near 0.550, "
        "far 0.900); the highest on these, by which nobody may choose: 0.950, msma."
    )
    assert OODAuroc().findings(records) == [
        f"Chosen on validation (other), of 2 settings of msma: {chosen}",
        f"Chosen on validation (other), of 3 methods and settings: {chosen}",
    ]
    assert OODAuroc().findings(records[3:4]) == []
    best = OODAuroc().findings([records[0], records[3]])
    assert best == [
        "Chosen on validation (other), of 2 methods and settings: msma, mean AUROC 0.800 on validation "
        "and 0.950 on the tested sets, where it is the best as well."
    ]


def test_the_figure_of_validation_shows_every_method_of_one_setting_once():
    from mfbench.protocols.ood_selection import draw_selection

    records = [
        measured("a", "a", 0.6, 0.8),
        measured("b", "b", 0.7, 0.7),
        measured("control", "control", 0.5, 0.5, role="control"),
        measured("a", "a", 0.9, 0.9, count=5),
    ]
    axes = draw_selection(records).axes[0]
    marks = {line.get_label(): (*line.get_xdata(), *line.get_ydata()) for line in axes.lines[:-1]}
    assert marks == {"a": (0.6, 0.8), "b": (0.7, 0.7), "control": (0.5, 0.5)}
    assert all(line.get_marker() for line in axes.lines[:-1])
    plain = evaluate(fitted(OracleDensity(), SEEN))
    assert draw_selection([record_of(plain, "plain")]) is None
