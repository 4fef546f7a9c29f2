"""step_consistency on images with an exact predictor: PSNR, SSIM and labels as worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mfbench_baselines.oracles import ExactDiffusion
from mfbench_diffusion.ancestral import DDPMSampler
from mfbench_diffusion.ddim import DDIM
from mfbench_diffusion.oracle import Oracle
from mfbench_diffusion.rk4 import RungeKutta4
from protocol_fakes import Normal, QualityClock, fitted, record_of, seeded, values_of

from mfbench import measures
from mfbench.contracts import Dataset, Defense, Record, Sampler, Split, Value
from mfbench.errors import ContractError, Unsupported, UserError
from mfbench.protocols.orders import local_orders
from mfbench.protocols.step_consistency import StepConsistency
from mfbench.protocols.step_images import FINEST, without_places
from mfbench.registry.inspection import import_target, read
from mfbench.schedules import LinearSchedule

MEAN, SCALE = 0.5, 0.05
COUNT = 100


class Squares(Dataset):
    """N(1/2, 0.05^2 I), grey, 4 x 4; the label says whether it is lighter than 1/2."""

    shape = (1, 4, 4)
    name = "squares"

    def make_split(self, split):
        rng = torch.Generator().manual_seed({"train": 1, "val": 2, "test": 3}[split])
        x = MEAN + SCALE * torch.randn(300, *self.shape, generator=rng)
        return Split(x, is_light(x).long(), names={"classes": ("dark", "light")})

    def noise_predictor(self, num_steps):
        return SquaresPredictor(num_steps)


class SquaresPredictor:
    def __init__(self, num_steps):
        self.schedule = LinearSchedule(num_steps)

    def __call__(self, x, t):
        abar = self.schedule.alpha_bar(t)[:, None, None, None]
        return (1 - abar).sqrt() * (x - abar.sqrt() * MEAN) / (abar * SCALE**2 + 1 - abar)


def is_light(x):
    return x.flatten(1).mean(1) > MEAN


class ClosedForm(Sampler):
    """The exact flow; `change` is what a subclass does to its result at a step."""

    evaluations_per_step = 1

    def sample(self, predictor, x_start, *, step, rng=None):
        abar = predictor.schedule.alpha_bar(torch.ones(1))
        spread = (abar * SCALE**2 + 1 - abar).sqrt()
        return self.change(MEAN + SCALE * (x_start - abar.sqrt() * MEAN) / spread, step)

    def change(self, x, step):
        return x


class Lighter(ClosedForm):
    def change(self, x, step):
        return x + step / 100


class Unequal(ClosedForm):
    """The first half of the images off by 0.1, the others by 0.01."""

    def change(self, x, step):
        return x + torch.where(torch.arange(len(x)) < len(x) // 2, 0.1, 0.01)[:, None, None, None]


class OneOff(ClosedForm):
    def change(self, x, step):
        x[0] += 0.1
        return x


class Negatives(ClosedForm):
    """The first 30 images as their negatives: light is dark."""

    def change(self, x, step):
        return torch.cat([1 - x[:30], x[30:]]) if step > 1 else x


class Brightness(Defense):
    """Light where the mean is above 1/2; refuses what is no image in [0, 1]."""

    def logits(self, x):
        assert 0 <= x.min() <= x.max() <= 1
        assert not torch.is_inference_mode_enabled()
        light = x.flatten(1).mean(1) - MEAN
        return torch.stack([-light, light], dim=1)


DATA = Squares()
EXACT = fitted(ExactDiffusion(num_steps=100), DATA)


def evaluate(method, step=1.0, reference=None, data=DATA, generator=EXACT, count=COUNT, **parameters):
    return StepConsistency().evaluate(
        method,
        data,
        rng=seeded(),
        clock=QualityClock(),
        generator=generator,
        step=step,
        count=count,
        reference=reference or ClosedForm(),
        **parameters,
    )


def drawn(sampler, step=1.0):
    """The samples of a cell, at `COUNT` with the seed of `evaluate`, by way of a sampler that keeps them."""
    kept = []

    class Keeping(type(sampler)):
        def sample(self, *arguments, **keywords):
            kept.append(super().sample(*arguments, **keywords))
            return kept[-1].clone()

    evaluate(Keeping(), step)
    return kept[0]


def test_the_closed_form_is_the_flow_of_the_predictor():
    assert values_of(evaluate(ClosedForm(), reference=Oracle()))["psnr", ""].value > 120


def test_psnr_of_a_constant_error_by_hand():
    values = values_of(evaluate(Lighter(), step=6))
    assert values["psnr", ""].value == pytest.approx(-20 * math.log10(0.06), abs=1e-3)
    assert values["self_psnr", ""].value == pytest.approx(-20 * math.log10(0.05), abs=1e-3)
    assert values["psnr", ""].n == COUNT
    assert values["distance", ""].value == pytest.approx(4 * 0.06, rel=1e-4)  # sixteen pixels


def test_the_mean_is_of_the_images_psnr():
    value = values_of(evaluate(Unequal(), step=6))["psnr", ""]
    assert value.value == pytest.approx((20 + 40) / 2, abs=1e-2)
    assert 25 < value.ci_low < 30 < value.ci_high < 35


def test_the_papers_range_of_two_is_the_same_number():
    x, y = drawn(Lighter(), 6.0), drawn(ClosedForm())
    ours = values_of(evaluate(Lighter(), step=6))["psnr", ""].value
    theirs = measures.psnr(2 * x - 1, 2 * y - 1, value_range=2.0).mean()
    assert ours == pytest.approx(theirs, abs=1e-3)
    scaled = measures.psnr(x / SCALE, y / SCALE, value_range=2.0).mean()
    assert scaled == pytest.approx(ours + 20 * math.log10(2 * SCALE), abs=1e-3)  # R = 2, s = SCALE


def test_images_are_clamped_and_distances_are_not():
    class White(ClosedForm):
        def change(self, x, step):
            return x + 10

    values = values_of(evaluate(White(), step=6))
    error = (1 - drawn(ClosedForm())).square().flatten(1).mean(1)
    assert values["psnr", ""].value == pytest.approx(-10 * error.log10().mean().item(), abs=1e-3)
    assert values["distance", ""].value == pytest.approx(40, rel=1e-4)


def test_equal_images_count_as_the_finest_that_can_be_told():
    same = evaluate(ClosedForm(), step=6)
    assert values_of(same)["psnr", ""].value == pytest.approx(FINEST)
    ssim = values_of(same)["ssim", ""]
    assert ssim.value == pytest.approx(1.0)
    assert ssim.ci_low == pytest.approx(1.0)  # an interval there is, whatever rounding does
    assert same.notes[0] == "equal images count as 144.5 dB (rounding of float32)"
    one = values_of(evaluate(OneOff(), step=6))["psnr", ""]
    assert one.value == pytest.approx((20 + (COUNT - 1) * FINEST) / COUNT, abs=1e-3)


def test_ssim_is_the_mean_over_images():
    values = values_of(evaluate(Lighter(), step=6))
    x, exact, own = drawn(Lighter(), 6.0), drawn(ClosedForm()), drawn(Lighter(), 1.0)
    assert values["ssim", ""].value == pytest.approx(measures.ssim(x, exact).mean())
    assert values["self_ssim", ""].value == pytest.approx(measures.ssim(x, own).mean())
    assert values["ssim", ""].value < values["self_ssim", ""].value < 1


def test_lpips_is_left_out_with_the_reason():
    measurement = evaluate(Lighter(), step=6)
    assert not {"lpips", "self_lpips"} & {metric for metric, _ in values_of(measurement)}
    assert measurement.notes == ["no LPIPS: LPIPS needs 31 pixels a side, the images have 4 x 4"]


def test_lpips_stands_where_it_can_be_had(monkeypatch):
    def stand_in(x, y):
        assert 0 <= min(x.min(), y.min()) <= max(x.max(), y.max()) <= 1
        return (x - y).abs().flatten(1).mean(1).numpy()

    monkeypatch.setattr(measures, "lpips", stand_in, raising=False)
    measurement = evaluate(Lighter(), step=6)
    values = values_of(measurement)
    assert values["lpips", ""].value == pytest.approx(0.06, rel=1e-3)
    assert values["self_lpips", ""].value == pytest.approx(0.05, rel=1e-3)
    assert measurement.notes == []


def test_reasons_name_no_folder_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("MFBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    images = torch.zeros(1, 1, 32, 32)
    with pytest.raises(Unsupported) as absent:
        measures.lpips(images, images)
    assert str(tmp_path) in str(absent.value)
    said = without_places(str(absent.value))
    assert said == "LPIPS needs alexnet-owt-7be5be79.pth in MFBENCH_WEIGHTS or in the torch hub cache"


def test_labels_agree_where_they_are_the_same():
    values = values_of(evaluate(Negatives(), step=6, classifier=Brightness()))
    for metric in ("label_agreement", "self_label_agreement"):
        value = values[metric, ""]
        assert (value.value, value.n) == (0.7, COUNT)
        interval = measures.wilson(70, COUNT)
        assert (value.ci_low, value.ci_high) == (interval.low, interval.high)
    assert values["classifier_accuracy", ""].value == 1.0
    assert values["classifier_accuracy", ""].n == 300


def test_fewer_images_are_compared_with_the_own_first_step():
    values = values_of(evaluate(Negatives(), step=6, classifier=Brightness(), own_count=10))
    for name in ("label_agreement", "psnr", "ssim"):
        assert (values[name, ""].n, values[f"self_{name}", ""].n) == (COUNT, 10)


def test_own_labels_are_compared_with_the_own_first_step():
    class Always(Negatives):
        def change(self, x, step):
            return super().change(x, 2.0)

    values = values_of(evaluate(Always(), step=6, classifier=Brightness()))
    assert values["label_agreement", ""].value == 0.7
    assert values["self_label_agreement", ""].value == 1.0


def test_there_is_no_accuracy_without_labels():
    class Unlabelled(Squares):
        def make_split(self, split):
            return Split(super().make_split(split).x)

    values = values_of(evaluate(Lighter(), data=Unlabelled(), classifier=Brightness()))
    assert ("label_agreement", "") in values
    assert ("classifier_accuracy", "") not in values


@pytest.mark.parametrize("logits", [torch.zeros(7, 2), torch.zeros(COUNT), None])
def test_logits_of_another_shape_are_refused(logits):
    class Wrong(Defense):
        def logits(self, x):
            return logits

    with pytest.raises(ContractError, match=rf"Wrong.logits must return shape \({COUNT}, classes\)"):
        evaluate(Lighter(), classifier=Wrong())


def test_broken_logits_are_refused():
    class Broken(Defense):
        def logits(self, x):
            return torch.full((len(x), 2), math.nan)

    with pytest.raises(ContractError, match="non-finite values in 100 of 100"):
        evaluate(Lighter(), classifier=Broken())


def test_the_plan_knows_the_classifier_for_a_defense():
    target = import_target("mfbench.protocols.step_consistency:StepConsistency")
    asked = read(target, "protocol", "step_consistency").parameter("classifier")
    assert (asked.type, asked.kind, asked.nullable, asked.default) == ("ref", "defense", True, None)


def test_points_have_none_of_it():
    points = Normal(count=50)
    exact = fitted(ExactDiffusion(num_steps=100), points)
    asked = {"data": points, "generator": exact, "reference": Oracle(), "count": 20}
    found = {metric for metric, _ in values_of(evaluate(DDIM(), step=20, **asked))}
    distances = {"distance", "rms_distance", "median_distance", "self_distance"}
    assert found == {*distances, "energy_distance", "energy_floor"}
    with pytest.raises(UserError, match="classifier Brightness: normal holds no images"):
        evaluate(DDIM(), classifier=Brightness(), **asked)


def test_stochastic_samplers_have_no_likeness():
    measurement = evaluate(DDPMSampler(), step=20, classifier=Brightness())
    assert {metric for metric, _ in values_of(measurement)} == {"energy_distance", "energy_floor"}


def records_and_arrays(steps=(5.0, 10.0, 20.0)):
    methods = {"ddim": DDIM(), "rk4": RungeKutta4(), "ddpm": DDPMSampler(), "oracle": Oracle()}
    generator = {"kind": "generator", "name": "exact_diffusion", "parameters": {}}
    records, arrays = [], []
    for label, method in methods.items():
        for step in steps:
            measurement = evaluate(method, step, reference=Oracle())
            records.append(record_of(measurement, label, method.role, step=step, generator=generator))
            arrays.append(measurement.arrays)
    return records, arrays


def test_figures_of_images():
    records, arrays = records_and_arrays()
    figures = StepConsistency().draw(records, arrays)
    assert set(figures) == {"samples", "error", "accuracy", "psnr"}
    axes = figures["samples"].axes
    assert len(axes) == 12
    assert all(len(ax.images) == 1 and not ax.collections for ax in axes)  # pictures, and no points
    captions = [ax.get_xlabel() for ax in axes]
    assert captions[:3] == ["the exact solution"] * 3  # the oracle's row
    assert captions[3].startswith("PSNR ")
    lines = {line.get_label(): line for line in figures["psnr"].axes[0].lines}
    assert set(lines) == {"ddim", "rk4"}
    assert list(lines["rk4"].get_xdata()) == [5, 10, 20]
    assert list(figures["psnr"].axes[1].lines[1].get_xdata()) == [80, 40, 20]
    above = lines["rk4"].get_ydata() - lines["ddim"].get_ydata()
    assert np.all(above[:2] > 5)  # at h = 20 of T = 100 the t grid is too coarse for so narrow a Gaussian
    texts = [text.get_text() for text in figures["error"].legends[0].get_texts()]
    assert any(text.startswith(("rk4: order", "rk4: local order")) for text in texts), texts


def test_where_no_power_law_holds_the_local_orders_show():
    first, last = local_orders([10, 1, 100], [0.01, 0.005, 1.0])
    assert (first.smallest, first.largest, last.largest) == (1, 10, 100)
    assert (first.value, last.value) == (pytest.approx(math.log10(2)), pytest.approx(2))
    assert local_orders([1, 2], [1e-7, 0.1]) == []  # rounding is no error


def record(method, step, nfe, psnr, seed=0):
    asked = {"generator": {"kind": "generator", "name": "unet", "parameters": {}}, "step": step}
    return Record(method, {}, asked, "squares", seed, "method", [Value("psnr", "", psnr)], method, nfe)


BOTH = [
    record("rk4", 10, 400, 68.0),
    record("rk4", 100, 40, 36.0),
    record("ddim", 2.5, 400, 57.5),
    record("ddim", 10, 100, 47.0),
    record("ddim", 100, 10, 29.0),
]


def test_rk4_against_ddim_in_a_sentence():
    assert StepConsistency().findings(BOTH) == [
        "PSNR to the exact solution on unet, rk4 against ddim: at equal h +21.0 dB (h = 10), "
        "+7.0 dB (h = 100); at equal evaluations a sample +10.5 dB (400), "
        f"{36 - 29 - 18 * math.log10(4):+.1f} dB (40, interpolated)."
    ]


def test_the_range_over_seeds_stands_beside_the_mean():
    other = [record(r.method, r.protocol_parameters["step"], r.nfe, 50.0, seed=1) for r in BOTH]
    (text,) = StepConsistency().findings([*BOTH, *other])
    assert "rk4 against ddim (means over 2 seeds, ranges in brackets)" in text
    assert "+10.5 dB [+0.0, +21.0] (h = 10)" in text


def test_nothing_is_said_where_they_do_not_meet():
    assert StepConsistency().findings([record("rk4", 10, 400, 68.0), record("ddim", 5, 200, 50.0)]) == []
    assert StepConsistency().findings(BOTH[:2]) == []


def test_a_ceiling_alone_has_no_curve():
    records, arrays = records_and_arrays()
    alone = [(record, kept) for record, kept in zip(records, arrays) if record.label in ("oracle", "ddpm")]
    assert "psnr" not in StepConsistency().draw(*map(list, zip(*alone)))
