"""patch_robustness and linf_robustness: known optima are found, what is broken is flagged."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from protocol_fakes import Normal, TimingClock, record_of, values_of
from robust_fakes import Best, Cascade, Free, Gradient, Halves, Linear, Nothing, evaluate

from mfbench.contracts import Attack, Certifies, Defense, HasFeatures, HasSurrogate, Reconstructor
from mfbench.errors import ContractError, Unsupported, UserError
from mfbench.protocols.linf_robustness import LinfRobustness
from mfbench.protocols.patch_robustness import PatchRobustness
from mfbench.protocols.robust_answers import changed_answers
from mfbench.protocols.robust_findings import findings
from mfbench.protocols.robust_sanity import FLAG, rises
from mfbench.threats import patch_masks


def flags(measurement):
    return [note for note in measurement.notes if note.startswith(FLAG)]


def defaults(protocol):
    """Of a protocol's parameters."""
    named = inspect.signature(protocol.evaluate).parameters.values()
    return {one.name: one.default for one in named if one.default is not one.empty}


def check_flag(measurement, said):
    assert any(said in note for note in flags(measurement)), measurement.notes
    assert values_of(measurement)["flags", ""].value == len(flags(measurement)) >= 1


# -- known optima -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("masks", "area"), [("centre", 0.25), ("worst_of_n", 0.25), ("top", 0.375)])
def test_the_worst_case_of_a_linear_classifier_is_the_closed_form(masks, area):
    data = Halves()
    x, y = data.test.x, data.test.y
    side = torch.where(torch.arange(8) >= 4, 1.0, -1.0)
    lead = (2 * y - 1) * (x * side).flatten(1).sum(1)
    lost = torch.stack(
        [
            ((2 * y - 1).view(-1, 1, 1, 1) * side * x * mask).flatten(1).sum(1)
            + (((2 * y - 1)[:, None] * side < 0)[:, None, None, :] * mask).flatten(1).sum(1)
            for mask in patch_masks(masks, data.shape, area=area)
        ]
    ).amax(0)
    expected = float((lead - lost > 0).double().mean())
    values = values_of(evaluate(Linear(), masks=masks, area=area))
    found = values["worst_case_accuracy", ""]
    assert 0 < expected < 1
    assert found.value == pytest.approx(expected)
    assert found.ci_low < expected < found.ci_high
    assert found.n == 60
    assert values["clean_accuracy", ""].value == values["undefended_clean_accuracy", ""].value == 1.0
    assert values["undefended_accuracy", ""].value == pytest.approx(expected)


def test_the_worst_case_in_the_ball_is_the_closed_form():
    data, radius = Halves(), 0.2
    bright = data.test.x.flatten(1).amax(1)  # 32 pixels fall by radius each, 32 dark ones rise by it
    expected = float((bright > 2 * radius).double().mean())
    values = values_of(evaluate(Linear(), protocol=LinfRobustness, radius=radius))
    assert 0 < expected < 1
    assert values["worst_case_accuracy", ""].value == pytest.approx(expected)


def test_the_worst_case_is_never_above_any_attack():
    found = evaluate(Linear(), [Nothing(), Gradient(), Best()], checked=20)
    values = values_of(found)
    worst = values["worst_case_accuracy", ""].value
    parts = {part: value.value for (metric, part), value in values.items() if metric == "attacked_accuracy"}
    assert set(parts) == {"best", "nothing", "gradient", "best #2"}
    assert worst == parts["best"] == parts["best #2"] < parts["nothing"] == 1.0
    assert all(worst <= value for value in parts.values())
    assert found.scores["images"].mean() == pytest.approx(worst)
    assert not flags(found)
    assert values["whole_image_success", ""].value == 1.0


def test_a_cascade_counts_what_earlier_attacks_have_turned():
    alone = values_of(evaluate(Linear(), [Gradient(1), Best()]))
    found = evaluate(Linear(), [Cascade(Nothing(), Gradient(1), Best())])
    values = values_of(found)
    for name in ("gradient", "nothing"):
        expected = 1.0 if name == "nothing" else alone["attacked_accuracy", "gradient"].value
        assert values["attacked_accuracy", name].value == pytest.approx(expected)
    assert values["attacked_accuracy", "best #2"].value == alone["attacked_accuracy", "best"].value
    assert values["attack_evaluations", "gradient"].value == 5.0
    assert values["attack_evaluations", "gradient"].n == 60


def test_images_that_are_wrong_while_clean_count_as_turned():
    class Left(Linear):
        def logits(self, x):
            return super().logits(x) * 0 + torch.tensor([1.0, 0.0]) + 0 * x.flatten(1)[:, :2]

    values = values_of(evaluate(Left(), [Cascade(Nothing())]))
    assert values["clean_accuracy", ""].value == 0.5
    assert values["attacked_accuracy", "nothing"].value == 0.5
    assert values["provisional_accuracy", ""].value == 0.5


def test_the_worst_attack_is_chosen_on_one_half_and_reported_on_the_other():
    found = evaluate(Linear(), [Nothing(), Best()], masks="top", area=0.5)
    value = values_of(found)["worst_attack_accuracy", ""]
    assert value.n == 30
    assert value.value == pytest.approx(found.scores["images"][1::2].mean())


# -- random defenses ----------------------------------------------------------------------------------------


class Coin(Linear):
    """Answers wrongly with probability 1/4, whatever the image."""

    def defended_logits(self, x, *, rng=None):
        wrong = torch.rand(len(x), generator=rng) < 0.25
        return torch.where(wrong[:, None], -1.0, 1.0) * self.logits(x)


def test_a_random_defense_is_scored_with_fresh_draws():
    found = evaluate(Coin(), [Nothing()], transfer=Nothing(), draws=40)
    values = values_of(found)
    assert "random at test time: 40 fresh draws an image" in found.notes
    assert values["clean_accuracy", ""].value == pytest.approx(0.75, abs=0.03)
    assert values["changed_answers", ""].value == pytest.approx(2 * 0.25 * 0.75, abs=0.03)
    shares = found.scores["images"]
    assert np.allclose(shares * 40, np.round(shares * 40))
    assert len(set(shares)) > 3
    assert values["worst_case_accuracy", ""].value <= values["attacked_accuracy", "nothing"].value


def test_changed_answers_are_pairs_that_differ():
    labels = torch.tensor([[0, 0, 1], [0, 1, 1], [0, 0, 2]])
    assert changed_answers(labels, 3).tolist() == pytest.approx([0, 2 / 3, 2 / 3])


def test_a_defense_that_hides_its_randomness_is_flagged():
    class Sly(Coin):
        deterministic = True

    check_flag(evaluate(Sly(), [Nothing()]), "says that it is deterministic")


def test_optimising_at_test_time_is_said():
    class Slow(Linear):
        optimises = True

    assert "optimises at test time" in evaluate(Slow()).notes


# -- broken defenses ----------------------------------------------------------------------------------------


def test_a_defense_that_ignores_its_input_is_flagged():
    class Blind(Linear):
        def defended_logits(self, x, *, rng=None):
            return self.logits(x * 0) + torch.tensor([0.0, 1.0])

    found = evaluate(Blind(), checked=20)
    assert values_of(found)["provisional_accuracy", ""].value == 0.5
    assert values_of(found)["whole_image_success", ""].value == 0.5
    check_flag(found, "with every pixel free only 50%")


def test_detached_logits_are_flagged():
    class Detached(Linear):
        def logits(self, x):
            return super().logits(x.detach())

    check_flag(evaluate(Detached(), written_for=[Best()]), "detached")


def test_a_gradient_that_is_zero_or_not_finite_is_flagged():
    class Steps(Linear):
        def logits(self, x):
            return super().logits(x.round() + 0 * x)

    class Infinite(Linear):
        def logits(self, x):
            return super().logits(x) * (1 + 0 * (x - x).flatten(1)[:, :1].sqrt())

    check_flag(evaluate(Steps()), "gradient of logits is 0")
    check_flag(evaluate(Infinite()), "not finite")


def test_masked_gradients_are_flagged_by_an_attack_without_them():
    class Masked(Linear):
        def defended_logits(self, x, *, rng=None):
            return super().logits((x * 4).round() / 4 + 0 * x)

    asked = {"transfer": Gradient(), "probe": Gradient(), "masks": "top", "area": 0.5, "checked": 60}
    ladder = Cascade(Free(), Gradient())  # in a cascade, free leaves nothing to the gradient
    for attacks in ([Gradient(), Free()], [ladder]):
        check_flag(evaluate(Masked(), attacks, **asked), "masked gradients: free")
        assert not any("masked gradients" in note for note in flags(evaluate(Linear(), attacks, **asked)))


def test_with_every_pixel_free_an_attack_without_gradients_does_not_count():
    class Masked(Linear):
        def defended_logits(self, x, *, rng=None):
            return super().logits((x * 4).round() / 4 + 0 * x)

    asked = {"transfer": Gradient(), "probe": Gradient(), "checked": 60}
    found = evaluate(Masked(), [Cascade(Free(), Gradient())], **asked)
    assert values_of(found)["whole_image_success", ""].value == 0
    check_flag(found, "with every pixel free only 0%")


def test_a_transfer_attack_that_cannot_be_tried_is_said():
    class Refuses(Nothing):
        who = "refuses"

        def perturb(self, defense, x, y, *, threat, rng):
            raise Unsupported("refuses needs a purifier")

    with pytest.raises(Unsupported, match=r"patch_robustness: transfer: .*refuses needs a purifier"):
        evaluate(Linear(), [Nothing()], transfer=Refuses())
    with pytest.raises(Unsupported, match="transfer"):
        evaluate(Linear(), [], transfer=Refuses())


def test_no_name_of_an_attack_hides_what_it_found():
    class Clean(Best):
        who = "clean"

    named, other = (
        values_of(evaluate(Linear(), [attack], masks="top", area=0.5)) for attack in (Clean(), Best())
    )
    assert named["worst_case_accuracy", ""] == other["worst_case_accuracy", ""]


def test_probabilities_are_flagged():
    class Softmax(Linear):
        def logits(self, x):
            return super().logits(x).softmax(1)

    check_flag(evaluate(Softmax()), "logits are probabilities")


def test_images_purified_beyond_the_range_are_flagged():
    class Beyond(Linear):
        def purify(self, x, *, rng=None):
            return 1.5 * x + 0.01

    check_flag(evaluate(Beyond()), "not in [0, 1]")


@pytest.mark.parametrize("call", ["logits", "defended_logits", "purify"])
def test_nan_fails_the_cell_and_says_where(call):
    class Broken(Linear):
        pass

    def broken(self, x, *, rng=None):
        whole = Linear.purify(self, x) if call == "purify" else Linear.logits(self, x)
        return whole * torch.nan

    setattr(Broken, call, broken)
    with pytest.raises(ContractError, match=r"Broken\.\w+ returned non-finite"):
        evaluate(Broken())


def test_a_wrong_certificate_is_flagged_and_a_right_one_is_not():
    class Sure(Linear, Certifies):
        def certify(self, x, y, threat):
            return torch.ones(len(x), dtype=torch.bool)

    class Careful(Linear, Certifies):
        def certify(self, x, y, threat):
            worst = Best().perturb(self, x, y, threat=threat, rng=None)
            return (self.logits(worst).argmax(1) == y) & (torch.arange(len(x)) % 3 > 0)

    wide = {"masks": "top", "area": 0.375}
    check_flag(evaluate(Sure(), **wide), "the certificate is wrong")
    found = evaluate(Careful(), **wide)
    values = values_of(found)
    assert not flags(found)
    assert 0 < values["certified_accuracy", ""].value < values["worst_case_accuracy", ""].value


def test_accuracy_that_rises_with_what_the_attacker_may_do_is_flagged():
    class Backwards(Attack):
        """Gives up where it may take many steps."""

        def perturb(self, defense, x, y, *, threat, rng):
            if threat.budget["steps"] >= 8:
                return x.clone()
            return Best().perturb(defense, x, y, threat=threat, rng=rng)

    found = evaluate(Linear(), probe=Backwards(), checked=40, steps=16, masks="top", area=0.5)
    check_flag(found, "more accurate under the whole threat than under 4 steps")
    assert found.arrays["curve_steps"].tolist() == [0, 1, 4, 16]
    assert found.arrays["curve_accuracy"][0] == found.arrays["curve_accuracy"][3] == 1.0


def test_rises_is_mcnemar():
    ones, zeros = np.ones(4), np.zeros(4)
    five = np.concatenate([zeros, np.zeros(1)]), np.concatenate([ones, np.ones(1)])
    assert rises(*five)  # 5 of 5: p = 1/32
    assert not rises(zeros, ones)  # 4 of 4: p = 1/16
    assert not rises(*five[::-1])
    assert not rises(ones, ones)


# -- who is ranked ------------------------------------------------------------------------------------------


class Closed(Linear):
    """Detaches its whole answer, and tells nothing."""

    def purify(self, x, *, rng=None):
        return x.detach().round()


def test_a_defense_that_gives_attackers_nothing_is_provisional():
    found = evaluate(Closed(), [Gradient()])
    values = values_of(found)
    assert ("worst_case_accuracy", "") not in values
    assert values["provisional_accuracy", ""].n == 60
    assert found.scores == {}
    assert any("provisional" in note for note in found.notes)


def test_an_attack_written_for_it_or_an_ability_makes_it_ranked():
    class Open(Closed, HasSurrogate):
        def surrogate_logits(self, x, *, rng=None):
            return self.logits(x)

    for found in (evaluate(Closed(), written_for=[Free()]), evaluate(Open())):
        assert ("worst_case_accuracy", "") in values_of(found)
        assert found.scores["images"].shape == (60,)


def test_attacks_that_cannot_be_tried_are_told():
    class Choosy(Attack):
        def perturb(self, defense, x, y, *, threat, rng):
            raise Unsupported("needs an ELBO")

    found = evaluate(Linear(), [Choosy(), Best()])
    assert "not tried: needs an ELBO" in found.notes
    assert ("attacked_accuracy", "best #2") in values_of(found)


# -- what figures and readers see ---------------------------------------------------------------------------


class Described(Linear, Reconstructor, HasFeatures):
    def purify(self, x, *, rng=None):
        return x.clamp(0.0, 0.9)

    def reconstruct(self, x, level):
        return 1 - x  # what it shows is the other class

    def features(self, x):
        return x.flatten(1)[:, ::7]


def test_an_independent_classifier_is_shown_the_reconstruction():
    found = evaluate(Described(), classifier=Linear())
    values = values_of(found)
    for stage in ("clean", "attacked", "purified"):
        assert values["semantic_consistency", stage].value == 0.0
    assert ("semantic_consistency", "clean") not in values_of(evaluate(Linear(), classifier=Linear()))


def test_the_figures_are_drawn_from_what_is_kept():
    protocol_result = evaluate(Described(), checked=20)
    record = record_of(protocol_result, "described(x=1)")
    from mfbench.protocols.robust_figures import draw

    figures = draw([record], [protocol_result.arrays])
    assert set(figures) == {"images_described_x_1", "trajectories", "accuracy_over_steps"}
    assert len(figures["images_described_x_1"].axes) == 6 * 8
    assert protocol_result.arrays["trajectory"].shape == (3, 60, 2)
    for figure in figures.values():
        assert figure.get_size_inches().min() > 1


def test_labels_of_the_figure_are_those_of_each_stage():
    found = evaluate(Linear(), masks="top", area=0.5).arrays
    assert (found["said_clean"] == found["shown_labels"]).all()
    assert (found["said_attacked"] == found["said_purified"]).all()
    assert (found["said_attacked"] != found["shown_labels"]).any()


def test_findings_say_what_transfer_hides():
    class Hidden(Linear):
        """Transfer does nothing to it: it looks at the left column alone."""

        def defended_logits(self, x, *, rng=None):
            score = x[..., 7].flatten(1).mean(1) - x[..., 0].flatten(1).mean(1)
            return torch.stack([-score, score], dim=1)

    result = evaluate(Hidden(), [Gradient(8)], transfer=Nothing(), masks="top", area=1.0)
    (gap, best) = findings([record_of(result, "hidden")])
    assert "hidden: 1.000, of which 0.000" in gap
    assert "hidden" in best
    assert "0.000 less" in best


# -- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"count": 1}, "count is 1"),
        ({"checked": -1}, "checked is -1: at least 0"),
        ({"draws": 1}, "draws is 1: at least 2"),
        ({"steps": 0}, "steps is 0: at least 1"),
        ({"area": 0.0}, "area = 0"),
        ({"positions": 7}, "make no grid"),
        ({"masks": "nose"}, "no masks are called 'nose'"),
        ({"attacks": ["best"]}, "str is no attack"),
        ({"data": Halves(labels=lambda y: y + 5)}, "outside of 0 .. 1"),
        ({"data": Halves(labels=lambda y: None)}, "no labels y"),
        ({"data": Halves(lift=0.5)}, r"lie in \[0.5, 1.49\]"),
        ({"protocol": LinfRobustness, "radius": 0.0}, "radius is 0"),
    ],
)
def test_what_cannot_be_measured_is_told_in_one_line(parameters, said):
    with pytest.raises(UserError, match=said):
        evaluate(Linear(), **parameters)


@pytest.mark.parametrize(
    ("protocol", "parameters", "said"),
    [
        (PatchRobustness, {"area": 0.0}, "area = 0"),
        (PatchRobustness, {"positions": 7}, "make no grid"),
        (PatchRobustness, {"count": 1}, "count is 1: at least 2"),
        (LinfRobustness, {"radius": 0.0}, "radius is 0"),
        (LinfRobustness, {"steps": 0}, "steps is 0: at least 1"),
    ],
)
def test_parameters_that_mean_nothing_are_refused_before_anything_runs(protocol, parameters, said):
    with pytest.raises(UserError, match=said):
        protocol().check_parameters(**{**defaults(protocol), **parameters})
    protocol().check_parameters(**defaults(protocol))


def test_combinations_that_cannot_work_are_unsupported():
    with pytest.raises(Unsupported, match="needs images with classes"):
        evaluate(Linear(), data=Normal())


def test_of_fewer_images_than_asked_for_all_are_attacked():
    values = values_of(evaluate(Linear(), count=500, checked=100))
    assert values["worst_case_accuracy", ""].n == values["whole_image_success", ""].n == 60


def test_an_attack_beyond_its_threat_fails_the_cell():
    class Cheat(Attack):
        def perturb(self, defense, x, y, *, threat, rng):
            return 1 - x

    with pytest.raises(ContractError, match="cheat: 60 of 60 images do not keep to the threat"):
        evaluate(Linear(), [Cheat()])


def test_another_number_of_classes_fails_the_cell():
    class Three(Defense):
        def logits(self, x):
            return x.flatten(1)[:, :3]

    with pytest.raises(ContractError, match=r"shape \(\d+, 2\)"):
        evaluate(Three())
    with pytest.raises(ContractError, match="classifier Three"):
        evaluate(Linear(), classifier=Three())


def test_one_workload_is_timed():
    clock = TimingClock()
    assert evaluate(Linear(), clock=clock).values == ()
    assert clock.result.shape == (100, 2)


def test_the_same_seed_gives_the_same_measurement():
    one, two = (evaluate(Coin(), [Gradient()], checked=10) for _ in range(2))
    assert one.values == two.values
    assert np.array_equal(one.scores["images"], two.scores["images"])


def test_two_attacks_of_one_name_are_each_scored():
    class Idle(Nothing):
        who = "free"
        gradient_free = True

    asked = {"transfer": Gradient(), "probe": Gradient(), "masks": "top", "area": 0.5, "checked": 60}

    class Masked(Linear):
        def defended_logits(self, x, *, rng=None):
            return super().logits((x * 4).round() / 4 + 0 * x)

    check_flag(evaluate(Masked(), [Idle(), Free()], **asked), "masked gradients: free")


def test_an_attack_that_counts_nothing_is_not_said_to_have_asked_nothing():
    values = values_of(evaluate(Linear(), [Free()]))
    assert ("attack_evaluations", "free") not in values


def test_who_says_that_it_is_random_is_asked_more_than_once():
    class Rare(Linear):
        deterministic = False

        def defended_logits(self, x, *, rng=None):
            turned = torch.rand(len(x), generator=rng) < 0.01  # none of the few that are looked at
            return torch.where(turned[:, None], -1.0, 1.0) * super().logits(x)

    assert ("changed_answers", "") in values_of(evaluate(Rare(), [Nothing()]))
