"""Masks, filters and training on patches: the certificate first."""

from __future__ import annotations

import itertools

import pytest
import torch
from defense_fakes import Pixel
from mfbench_defenses.boxes import boxes_of, painted, random_boxes
from mfbench_defenses.filters import JPEG, MedianFilter, TotalVariation, divergence, gradient
from mfbench_defenses.masking import BandMasking, DoubleMasking, RandomMasking
from mfbench_defenses.masks import covering_masks, holding
from mfbench_defenses.trained import AdversarialTraining, BlankKnownMask, CutoutCNN, MaskedCNN
from protocol_fakes import fitted, seeded

import mfbench
from mfbench.errors import UserError
from mfbench.testing.data import TinyImages

SPEC = mfbench.DataSpec(shape=(1, 8, 8), train_count=1, classes=2)
CLASSES = mfbench.DataSpec(shape=(1, 8, 8), train_count=1, classes=4)


class Quadrants(mfbench.Defense):
    """Four classes: how many quadrants have a bright pixel that is not the masks' grey, capped."""

    def logits(self, x):
        bright = torch.stack(
            [q.amax((1, 2, 3)) for q in (x[..., i : i + 4, j : j + 4] for i, j in CORNERS)], 1
        )
        count = (bright > 0.6).sum(1).clamp(max=3)
        return torch.nn.functional.one_hot(count, 4).to(x.dtype)


class Several(mfbench.Defense):
    """Two classes: whether six pixels or more are bright, as grey ones are not."""

    def logits(self, x):
        score = (x > 0.6).flatten(1).sum(1) - 5.5
        return torch.stack([-score, score], dim=1)


GRIDS = list(itertools.product([(8, 8), (9, 6)], [(2, 3), (4, 1)], [1, 2, 3]))
CORNERS = list(itertools.product((0, 4), repeat=2))


def made(defense, spec=SPEC):
    defense.build(spec)
    return defense


def every_patch(height, width, side=8):
    masks = torch.zeros(side - height + 1, side - width + 1, side, side, dtype=torch.bool)
    for i, j in itertools.product(range(side - height + 1), range(side - width + 1)):
        masks[i, j, i : i + height, j : j + width] = True
    return masks.flatten(0, 1)


# -- double masking -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "patch", "count"), GRIDS)
def test_one_of_the_masks_holds_any_place_of_the_patch(size, patch, count):
    masks = covering_masks(size, patch, count)
    assert len(masks) <= count**2
    for i, j in itertools.product(range(size[0] - patch[0] + 1), range(size[1] - patch[1] + 1)):
        place = torch.zeros(1, *size, dtype=torch.bool)
        place[0, i : i + patch[0], j : j + patch[1]] = True
        assert holding(masks, place).any()


def test_a_larger_patch_is_not_covered():
    masks = covering_masks((8, 8), (2, 2), 3)
    assert holding(masks, every_patch(2, 2)).any(1).all()
    assert not holding(masks, every_patch(2, 5)).any()


def test_the_answer_is_the_one_of_patchcleanser():
    """Written out for one image at a time, as in their algorithm 1."""
    defense = made(DoubleMasking(Quadrants(), patch=[2, 2], masks=3), CLASSES)
    x = (torch.rand(200, 1, 8, 8, generator=seeded()) > 0.93).float()

    def label(image, *masks):
        for mask in masks:
            image = painted(image, mask[None], 0.5)
        return int(defense.logits(image).argmax())

    def answer(image):
        first = [label(image, mask) for mask in defense.masks]
        counts = [first.count(k) for k in range(4)]
        majority = counts.index(max(counts))
        for mask, said in zip(defense.masks, first):
            if said != majority and all(label(image, mask, other) == said for other in defense.masks):
                return said
        return majority

    expected = torch.tensor([answer(x[i : i + 1]) for i in range(len(x))])
    logits = defense.defended_logits(x)
    assert torch.equal(logits.argmax(1), expected)
    plain = defense.surrogate_logits(x).argmax(1)
    assert (plain != expected).any()  # the second round has changed some


@pytest.mark.parametrize("kind", ["boxes", "bands"])
def test_certified_answers_hold_against_every_patch_that_is_tried(kind):
    """All places, bright and dark contents and noise, against a classifier that patches do mislead."""
    boxes, bands = DoubleMasking(Several(), patch=[2, 2], masks=3), BandMasking(Several(), height=2, masks=7)
    defense, rng = made(boxes if kind == "boxes" else bands), seeded(1)
    density = torch.linspace(0, 0.6, 60)[:, None, None, None]
    x = (torch.rand(60, 1, 8, 8, generator=rng) < density).float()
    y = defense.logits(x).argmax(1)
    threat = mfbench.Threat(masks=every_patch(2, 2))
    certified = defense.certify(x, y, threat)
    right = torch.ones(len(x), dtype=torch.bool)
    for mask in threat.masks:
        for content in (torch.ones(()), torch.zeros(()), torch.rand(x.shape, generator=rng)):
            attacked = torch.where(mask, content, x)
            right &= defense.defended_logits(attacked).argmax(1) == y
    assert 0 < int(certified.sum()) < len(x)
    assert not (certified & ~right).any()
    assert (right & ~certified).any()  # a certificate is sufficient, not necessary


def test_nothing_is_certified_against_what_the_masks_do_not_cover():
    defense = made(DoubleMasking(Pixel(level=0.9), patch=[2, 2]))
    x, y = torch.zeros(3, 1, 8, 8), torch.zeros(3, dtype=torch.int64)
    assert defense.certify(x, y, mfbench.Threat(masks=every_patch(2, 2))).all()
    assert not defense.certify(x, 1 - y, mfbench.Threat(masks=every_patch(2, 2))).any()
    assert not defense.certify(x, y, mfbench.Threat(masks=every_patch(5, 5))).any()
    assert not defense.certify(x, y, mfbench.Threat()).any()


def test_the_certificate_is_for_the_places_of_the_threat():
    """Twelve bright pixels, of which six are needed: with the lowest band any other leaves six, with the
    highest one leaves none.
    """
    defense = made(DoubleMasking(Several(), patch=[2, 8], masks=7))
    x = torch.full((1, 1, 8, 8), 0.2)
    x[..., 0:4, 0:3] = 1
    y = torch.ones(1, dtype=torch.int64)
    places = every_patch(2, 8)
    assert defense.certify(x, y, mfbench.Threat(masks=places[-1:])).all()
    assert not defense.certify(x, y, mfbench.Threat(masks=places[:1])).any()
    assert not defense.certify(x, y, mfbench.Threat(masks=places)).any()


class Rows(mfbench.Defense):
    """Three classes, by the brightness of rows, which no mask leaves as it was."""

    weights = torch.randn(64, 3, generator=torch.Generator().manual_seed(5))

    def logits(self, x):
        return (x.flatten(1) - 0.5) @ self.weights


def test_bands_answer_as_written_out():
    """One image at a time: a proven minority, all, a proven majority, else the highest of the lowest."""
    spec = mfbench.DataSpec(shape=(1, 8, 8), train_count=1, classes=3)
    defense = made(BandMasking(Rows(), height=2, masks=7), spec)
    x = torch.rand(120, 1, 8, 8, generator=seeded(2))
    used = set()

    def under(image, *masks):
        for mask in masks:
            image = painted(image, mask[None], 0.5)
        return defense.logits(image)[0].log_softmax(0)

    def answer(image):
        pairs = torch.stack([torch.stack([under(image, a, b) for b in defense.masks]) for a in defense.masks])
        said = pairs.argmax(2)
        first = said.diagonal().tolist()
        counts = [first.count(k) for k in range(3)]
        majority = counts.index(max(counts))
        proven = [label for i, label in enumerate(first) if bool((said[i] == label).all())]
        minority = [label for label in proven if label != majority]
        if minority:
            return used.add("minority") or minority[0]
        if len(set(first)) == 1 or majority in proven:
            return used.add("majority") or majority
        return used.add("score") or int(pairs.amin(1).amax(0).argmax())

    expected = torch.tensor([answer(x[i : i + 1]) for i in range(len(x))])
    assert torch.equal(defense.defended_logits(x).argmax(1), expected)
    assert {"majority", "score"} <= used


def test_the_stand_in_of_bands_tends_to_their_score_and_has_a_gradient():
    spec = mfbench.DataSpec(shape=(1, 8, 8), train_count=1, classes=3)
    defense = made(BandMasking(Rows(), height=2, masks=3), spec)
    x = torch.rand(5, 1, 8, 8, generator=seeded(2)).requires_grad_()
    pairs = torch.stack(list(defense._pairs(x)))
    exact = pairs.amin(1).amax(0)
    soft = defense.surrogate_logits(x)
    bound = torch.log(torch.tensor(float(len(defense.masks))))
    assert ((soft - exact).abs() <= bound + 1e-5).all()
    (slope,) = torch.autograd.grad(soft[:, 0].sum(), x)
    assert (slope.flatten(1) != 0).any(1).all()


def test_training_under_masks_takes_none_one_or_two_of_those_of_double_masking():
    data = TinyImages()
    classifier = MaskedCNN(
        patch=[2, data.shape[2]], masks=3, width=4, coarse=True, iterations=1, batch_size=64
    )
    classifier.build(data.spec())
    hidden = classifier._hidden(torch.rand(400, *data.shape), seeded())
    single = {tuple(mask.flatten().tolist()) for mask in classifier.masks}
    double = {tuple((a | b).flatten().tolist()) for a in classifier.masks for b in classifier.masks}
    found = [tuple(mask.flatten().tolist()) for mask in hidden]
    assert set(found) <= double | {(False,) * hidden[0].numel()}
    assert 5 <= found.count((False,) * hidden[0].numel()) <= 45  # one in 20
    assert 0 < sum(mask in single for mask in found) < 400
    fitted(classifier, data)  # and it trains


def test_the_voted_answer_leads_its_stand_in_by_one_and_keeps_its_gradient():
    defense = made(DoubleMasking(Pixel(), patch=[2, 2], masks=2))
    x = torch.rand(4, 1, 8, 8, generator=seeded()).requires_grad_()
    logits = defense.defended_logits(x)
    lead = logits.topk(2).values
    assert (lead[:, 0] - lead[:, 1] >= 1 - 1e-5).all()
    (slope,) = torch.autograd.grad(logits[:, 1].sum(), x)
    assert (slope != 0).any()


# -- random masking, filters --------------------------------------------------------------------------------


def test_random_masking_is_random_and_repeats_with_the_seed():
    defense = made(RandomMasking(Pixel(), copies=4))
    x = torch.rand(5, 1, 8, 8, generator=seeded())
    one, again, other = (defense.defended_logits(x, rng=seeded(k)) for k in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert not defense.deterministic
    with pytest.raises(UserError, match="draws random numbers"):
        defense.defended_logits(x)


def test_masked_copies_average_to_what_the_mean_pixel_must_be():
    """Linear logits: the expected answer is that of the expected image."""
    defense = made(RandomMasking(Pixel(slope=1.0), copies=3000, area=0.25))
    x = torch.zeros(1, 1, 8, 8)
    found = float(defense.defended_logits(x, rng=seeded())[0, 1]) + 0.5
    assert found == pytest.approx(0.25 * 0.5, abs=1e-5)  # a box of 4 x 4, always inside, filled with 0.5


def test_boxes_are_where_they_are_said_to_be():
    boxes = boxes_of(300, (2, 3), (5, 6), seeded())
    assert (boxes.flatten(1).sum(1) == 6).all()
    assert boxes.any(0).all()
    sides = random_boxes(300, 0.5, (8, 6), seeded())
    assert int(sides.any(2).sum(1).max()) == 4
    assert int(sides.any(1).sum(1).max()) == 3
    assert int(sides.flatten(1).sum(1).min()) >= 1


def test_the_median_is_scipys():
    from scipy.ndimage import median_filter

    x = torch.rand(3, 2, 7, 9, generator=seeded())
    found = made(MedianFilter(Pixel(), window=3)).purify(x)
    expected = median_filter(x.numpy(), size=(1, 1, 3, 3), mode="nearest")
    assert torch.equal(found, torch.from_numpy(expected))


def test_divergence_is_minus_the_adjoint_of_the_gradient():
    u, p = torch.rand(5, 6, generator=seeded()), torch.rand(2, 5, 6, generator=seeded(1))
    assert float((gradient(u) * p).sum()) == pytest.approx(-float((u * divergence(p)).sum()), rel=1e-5)


def test_total_variation_of_a_step_is_the_closed_form():
    """Of a step between halves of equal size, of height 1: each side moves by weight over half the width."""
    x = torch.zeros(1, 1, 4, 8)
    x[..., 4:] = 1
    weight = 0.2
    found = made(TotalVariation(Pixel(), weight=weight, rounds=3000)).purify(x.double())
    assert torch.allclose(found[..., :4], torch.full((), weight / 4).double(), atol=2e-3)
    assert torch.allclose(found[..., 4:], torch.full((), 1 - weight / 4).double(), atol=2e-3)


def test_total_variation_is_differentiable_where_the_image_is_flat():
    x = torch.full((1, 1, 4, 4), 0.5).requires_grad_()
    (slope,) = torch.autograd.grad(made(TotalVariation(Pixel(), rounds=5)).purify(x).sum(), x)
    assert slope.isfinite().all()


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_keeps_what_is_smooth_and_has_a_straight_through_gradient(channels):
    ramp = torch.linspace(0, 1, 16).expand(2, channels, 16, 16).clone()
    defense = made(
        JPEG(Pixel(), quality=75), mfbench.DataSpec(shape=(channels, 16, 16), train_count=1, classes=2)
    )
    back = defense.purify(ramp)
    noise = torch.rand(2, channels, 16, 16, generator=seeded())
    lost = [
        float((after - before).abs().mean())
        for before, after in ((ramp, back), (noise, defense.purify(noise)))
    ]
    assert lost[0] < 0.01 < 0.02 < lost[1]
    x = noise.requires_grad_()
    logits = defense.surrogate_logits(x)
    assert torch.allclose(logits, defense.defended_logits(x), atol=1e-5)
    (slope,) = torch.autograd.grad(logits[:, 1].sum(), x)
    assert torch.allclose(slope, torch.full((), 20.0 / (channels * 256)))


# -- trained on more than clean images ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny():
    return TinyImages(size=8)


def test_classifiers_see_what_they_are_said_to_see(tiny):
    x, y = tiny.train.x[:64], tiny.train.y[:64]
    cut = CutoutCNN(iterations=3, batch_size=32, fill=0.25)
    grey = [(images == 0.25).flatten(1).any(1).double().mean() for images, _ in cut._batches(x, y, seeded())]
    assert 0.4 < float(torch.stack(grey).mean()) < 0.9  # two of three
    known = made(BlankKnownMask(mask="top", iterations=1), tiny.spec())
    blank = known.purify(x)
    assert (blank[:, 0, :2, 2:6] == 0.5).all()
    assert int((blank != x).any(1).any(0).sum()) == 8


def test_a_patch_under_the_known_mask_changes_nothing(tiny):
    defense = fitted(BlankKnownMask(width=8, iterations=3), tiny)
    (mask,) = mfbench.patch_masks("forehead", tiny.shape)
    x = tiny.test.x[:6]
    attacked = torch.where(mask, torch.rand(x.shape, generator=seeded()), x)
    assert torch.equal(defense.defended_logits(attacked), defense.defended_logits(x))


def test_adversarial_patches_lie_in_one_box_and_mislead_more_than_noise(tiny):
    defense = fitted(AdversarialTraining(width=8, iterations=30, batch_size=16, attacked=0.5), tiny)
    assert defense.role == "method"
    x, y = tiny.train.x[:64], tiny.train.y[:64]
    attacked = defense._patched(x, y, seeded())
    changed = (attacked != x)[:, 0]
    assert float(attacked.min()) >= 0
    assert float(attacked.max()) <= 1
    assert int(changed.any(2).sum(1).max()) <= 2
    assert int(changed.any(1).sum(1).max()) <= 4
    noise = AdversarialTraining(attack_steps=0)
    noise.network, noise.patch = defense.network, defense.patch
    wrong = [
        torch.nn.functional.cross_entropy(defense.logits(images), y)
        for images in (attacked, noise._patched(x, y, seeded()))
    ]
    assert wrong[0] > wrong[1]


def test_boxes_are_painted_over_adversarial_patches(tiny):
    defense = made(
        AdversarialTraining(width=8, iterations=2, boxes=True, fill=0.25, attack_steps=1), tiny.spec()
    )
    images = torch.cat([images for images, _ in defense._batches(tiny.train.x, tiny.train.y, seeded())])
    grey = (images == 0.25).flatten(1).any(1)
    assert 0.4 < float(grey.double().mean()) < 0.9


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: made(DoubleMasking(Pixel(), patch=[9, 9])), "a patch of"),
        (lambda: DoubleMasking(Pixel(), masks=0), "masks = 0: at least 1"),
        (lambda: RandomMasking(Pixel(), area=1.0), "area = 1: between 0 and 1"),
        (lambda: MedianFilter(Pixel(), window=4), "window = 4: an odd number"),
        (lambda: TotalVariation(Pixel(), weight=0.0), "weight = 0: above 0"),
        (lambda: JPEG(Pixel(), quality=0), "quality = 0: from 1 to 95"),
        (lambda: JPEG("cnn"), "a method of kind defense is needed"),
        (lambda: CutoutCNN(largest=0.0), "largest = 0: above 0"),
        (lambda: AdversarialTraining(attacked=2.0), "attacked = 2: from 0 to 1"),
    ],
)
def test_parameters_that_cannot_be(make, said):
    with pytest.raises(UserError, match=said):
        make()
