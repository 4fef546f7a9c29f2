"""Enlarging without learning: known answers, block means, the projection against a quadratic solver."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from mfbench_superresolution.back_projection import BackProjection
from mfbench_superresolution.bicubic import Bicubic
from mfbench_superresolution.interpolation import cubic
from mfbench_superresolution.projected import Projected, onto_means
from PIL import Image
from torch.nn.functional import avg_pool2d

import mfbench
from mfbench import Dataset, DataSpec, Split, SuperResolver, Unsupported, UserError
from mfbench.registry import load_registry
from mfbench.testing.kit import check_plugin

NAMES = ("bicubic", "back_projection", "projected")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Noise(Dataset):
    """Uniform noise: the hardest to enlarge."""

    shape = (3, 8, 8)

    def make_split(self, split):
        rng = seeded({"train": 1, "val": 2, "test": 3}[split])
        return Split(torch.rand(40, *self.shape, generator=rng))


DATA = Noise()


def fitted(method, data=DATA):
    method.build(data.spec())
    method.fit(data.without_test(), rng=seeded(), progress=lambda done, total: None)
    return method


def resolve(method, low, level=2):
    return method.super_resolve(low, level, 1.0, rng=seeded())


@pytest.fixture(params=[Bicubic(), BackProjection(), Projected(fitted(Bicubic()))], ids=NAMES)
def method(request):
    return fitted(request.param)


@pytest.mark.parametrize("factor", [2, 4])
def test_cubic_convolution_is_pillows(factor):
    low = torch.rand(1, 1, 6, 5, generator=seeded())
    picture = Image.fromarray(low[0, 0].numpy())
    expected = np.asarray(picture.resize((5 * factor, 6 * factor), Image.Resampling.BICUBIC))
    assert np.allclose(cubic(low, factor)[0, 0].numpy(), expected, atol=1e-6)


def test_cubic_convolution_is_exact_for_straight_lines():
    """Inside, where the edge is not seen: its pixels lie at the middle of their blocks."""
    line = torch.arange(12.0).expand(1, 1, 12, 12)
    found = cubic(line, 2)[0, 0, 12, 6:-6]
    assert torch.allclose(found, torch.arange(6, 18) / 2 - 0.25, atol=1e-5)


@pytest.mark.parametrize("level", [2, 3])
def test_images_of_full_size_in_range(method, level):
    low = avg_pool2d(DATA.test.x, 2 ** (level - 1))
    found = resolve(method, low, level)
    assert found.shape == DATA.test.x.shape
    assert 0 <= found.min() <= found.max() <= 1
    assert torch.equal(found, method.super_resolve(low, level, 0.0, rng=seeded(1)))


def test_a_grey_image_stays_what_it_is(method):
    low = torch.full((2, 3, 4, 4), 0.3)
    assert torch.allclose(resolve(method, low), torch.full((2, 3, 8, 8), 0.3), atol=1e-6)


def errors(method, low):
    return (avg_pool2d(resolve(method, low), 2) - low).abs()


def test_back_projection_brings_the_means_near_the_small_image():
    low = 0.3 + 0.4 * torch.rand(20, 3, 4, 4, generator=seeded())
    before, once, often = (fitted(BackProjection(n)) for n in (0, 1, 20))
    assert torch.equal(resolve(before, low), resolve(fitted(Bicubic()), low))
    assert float(errors(once, low).mean()) < 0.5 * float(errors(before, low).mean())
    assert float(errors(often, low).max()) < 1e-3


# -- the projection ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [2, 3])
def test_projected_images_reduce_to_the_small_image(level):
    low = avg_pool2d(DATA.test.x, 2 ** (level - 1))
    low[0], low[1], low[2, :, :1] = 0.0, 1.0, 0.999
    found = resolve(fitted(Projected(fitted(Bicubic()))), low, level)
    assert float((avg_pool2d(found, 2 ** (level - 1)) - low).abs().max()) < 1e-6
    assert not found[0].any()
    assert torch.allclose(found[1], torch.ones(3, 8, 8), atol=1e-6)


def test_the_projection_is_the_nearest_feasible_image():
    """Against feasible images nearby, and by the conditions of optimality: free pixels move by one shift."""
    x, means = (
        torch.rand(5, 1, 2, 2, generator=seeded()).double(),
        torch.rand(5, 1, 1, 1, generator=seeded(1)),
    )
    x, means = 2 * x - 0.5, means.double()
    found = onto_means(x, means)
    start = x.clamp(0, 1)
    nearest = (found - start).square().sum((1, 2, 3))
    for seed in range(200):
        towards = torch.rand(5, 1, 2, 2, generator=seeded(seed)).double()
        feasible = onto_means(towards, means)
        between = found + 0.3 * (feasible - found)  # the set is convex
        assert torch.allclose(avg_pool2d(between, 2), means, atol=1e-9)
        assert ((between - start).square().sum((1, 2, 3)) >= nearest - 1e-9).all()
    for moved, free in zip(found - start, (found > 1e-9) & (found < 1 - 1e-9)):
        assert moved[free].numel() < 2 or float(moved[free].max() - moved[free].min()) < 1e-9


def test_no_image_ends_further_from_its_original():
    original = DATA.test.x
    low = avg_pool2d(original, 2)
    guess = torch.rand(original.shape, generator=seeded(7))
    before = (guess - original).square().mean((1, 2, 3))
    after = (onto_means(guess, low) - original).square().mean((1, 2, 3))
    assert (after < before).all()
    assert torch.allclose(onto_means(original, low), original, atol=1e-6)


class Guess(SuperResolver):
    """Draws; remembers what it was given."""

    def super_resolve(self, x_low, from_level, temperature, *, rng):
        self.given = from_level, temperature
        return torch.rand(len(x_low), 3, 8, 8, generator=rng)

    def sample(self, count, *, rng):
        return torch.rand(count, 3, 8, 8, generator=rng)


def test_projected_asks_its_generator():
    guess = Guess()
    method = fitted(Projected(guess))
    low = torch.rand(4, 3, 2, 2, generator=seeded())
    found = method.super_resolve(low, 3, 0.7, rng=seeded(3))
    assert guess.given == (3, 0.7)
    assert torch.allclose(found, onto_means(torch.rand(4, 3, 8, 8, generator=seeded(3)), low))
    assert torch.equal(method.sample(3, rng=seeded()), guess.sample(3, rng=seeded()))


# -- generators and reconstructions --------------------------------------------------------------------------


def test_samples_show_what_half_the_size_shows():
    method = fitted(Bicubic())
    samples = method.sample(40, rng=seeded())
    assert len(samples.flatten(1).unique(dim=0)) == 40  # all of them, in random order
    candidates = method.enlarge(avg_pool2d(DATA.train.x, 2), 2)
    gaps = (samples[:, None] - candidates[None]).abs().flatten(2).amax(2).amin(1)
    assert not gaps.any()


@pytest.mark.parametrize("level", [1, 2])
def test_reconstructions_know_the_next_level_alone(level):
    x, method = DATA.test.x, fitted(BackProjection())
    found = method.reconstruct(x, level)
    assert found.shape[2] == 8 // 2 ** (level - 1)
    other = x + 0.01 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(4, 4)
    assert torch.allclose(method.reconstruct(other, level), found, atol=1e-6)


def test_bad_input_is_told():
    method = fitted(Bicubic())
    with pytest.raises(Unsupported, match="bicubic is for images"):
        Bicubic().build(DataSpec(shape=(2,), train_count=3))
    with pytest.raises(Unsupported, match="images of 7 x 8 do not become 2 times smaller"):
        Bicubic().build(DataSpec(shape=(1, 7, 8), train_count=3))
    with pytest.raises(Unsupported, match="images of 8 x 8 do not become 16 times smaller"):
        resolve(method, DATA.test.x, 5)
    with pytest.raises(UserError, match="level 1: there is nothing to enlarge"):
        resolve(method, DATA.test.x, 1)
    with pytest.raises(UserError, match=r"images of level 2 have shape \(3, 4, 4\), not \(3, 8, 8\)"):
        resolve(method, DATA.test.x)
    with pytest.raises(UserError, match="back_projection: iterations = -1: at least 0"):
        BackProjection(-1)
    with pytest.raises(UserError, match="projected: generator = Noise does not super-resolve"):
        Projected(Noise()).build(DATA.spec())


# -- the plugin ----------------------------------------------------------------------------------------------


def test_what_is_registered():
    ours = [card for card in load_registry().cards() if card.plugin == "mfbench_superresolution"]
    assert {(card.kind, card.name) for card in ours} == {("generator", name) for name in NAMES}
    assert [mfbench.get("generator", name).role for name in NAMES] == ["control", "control", "method"]


def test_reading_the_registrations_imports_no_torch():
    code = "import sys, mfbench_superresolution; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_plugin_keeps_the_contracts():
    findings = check_plugin("mfbench_superresolution")
    assert {finding.name for finding in findings} >= set(NAMES)
    assert [finding for finding in findings if not finding.ok] == []
