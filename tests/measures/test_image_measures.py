"""PSNR and SSIM: closed forms, a second implementation, invariances, small images, bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from mfbench.measures import psnr, ssim


def pair(*shape, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.random(shape)
    return x, np.clip(x + noise * rng.standard_normal(shape), 0, 1)


def test_psnr_of_a_constant_error():
    x = np.zeros((3, 1, 8, 8))
    errors = np.array([1.0, 0.1, 0.01])
    np.testing.assert_allclose(psnr(x, x + errors[:, None, None, None]), [0, 20, 40], atol=1e-12)


def test_psnr_is_infinite_for_equal_images_only():
    x, y = pair(2, 3, 8, 8)
    y[0] = x[0]
    first, second = psnr(x, y)
    assert first == math.inf
    assert 0 < second < 40


def test_psnr_is_that_of_torchmetrics():
    x, y = pair(5, 3, 9, 7)
    expected = peak_signal_noise_ratio(
        torch.from_numpy(x), torch.from_numpy(y), data_range=1.0, reduction="none", dim=(1, 2, 3)
    )
    np.testing.assert_allclose(psnr(x, y), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(4, 1, 11, 11), (3, 3, 32, 20), (2, 1, 12, 30)])
def test_ssim_is_that_of_torchmetrics_where_the_window_lies_inside(shape):
    x, y = pair(*shape)
    _, full = structural_similarity_index_measure(
        torch.from_numpy(x), torch.from_numpy(y), data_range=1.0, reduction="none", return_full_image=True
    )
    np.testing.assert_allclose(ssim(x, y), full[..., 5:-5, 5:-5].mean((1, 2, 3)), rtol=1e-10)


def test_ssim_of_images_smaller_than_the_window_mirrors_them():
    x, y = pair(6, 1, 8, 8)
    expected = structural_similarity_index_measure(
        torch.from_numpy(x), torch.from_numpy(y), data_range=1.0, reduction="none"
    )
    np.testing.assert_allclose(ssim(x, y), expected, rtol=1e-10)


def test_ssim_in_one_window_is_the_formula():
    x, y = pair(1, 1, 11, 11)
    line = np.exp(-np.square(np.arange(-5, 6)) / (2 * 1.5**2))
    w = np.outer(line, line) / line.sum() ** 2
    mean_x, mean_y = (w * x).sum(), (w * y).sum()
    var_x, var_y = (w * (x - mean_x) ** 2).sum(), (w * (y - mean_y) ** 2).sum()
    cov = (w * (x - mean_x) * (y - mean_y)).sum()
    c1, c2 = 1e-4, 9e-4
    expected = (2 * mean_x * mean_y + c1) * (2 * cov + c2)
    expected /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    assert ssim(x, y)[0] == pytest.approx(expected, rel=1e-12)


def test_ssim_of_two_constant_images_is_their_luminance_term():
    x, y = np.full((1, 1, 16, 16), 0.25), np.full((1, 1, 16, 16), 0.75)
    assert ssim(x, y)[0] == pytest.approx((2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4), rel=1e-9)


def test_equal_images_are_perfectly_similar_and_noise_lowers_similarity():
    x, _ = pair(2, 3, 16, 16)
    np.testing.assert_allclose(ssim(x, x), 1.0)
    values = [ssim(x, pair(2, 3, 16, 16, noise=noise)[1]).mean() for noise in (0.05, 0.2, 0.8)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_range_order_and_kind_of_array_do_not_matter(measure):
    x, y = pair(4, 3, 16, 16)
    expected = measure(x, y)
    assert expected.shape == (4,)
    np.testing.assert_allclose(measure(255 * x, 255 * y, value_range=255.0), expected, rtol=1e-9)
    np.testing.assert_allclose(measure(y, x), expected, rtol=1e-12)
    np.testing.assert_allclose(measure(torch.from_numpy(x), torch.from_numpy(y)), expected)
    np.testing.assert_allclose([measure(x[i : i + 1], y[i : i + 1])[0] for i in range(4)], expected)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_what_cannot_be_compared_is_refused(measure):
    x, y = pair(2, 1, 16, 16)
    with pytest.raises(ValueError, match="one shape"):
        measure(x, y[:1])
    with pytest.raises(ValueError, match="finite"):
        measure(x, np.where(y > 0.5, np.nan, y))
    with pytest.raises(ValueError, match="value_range"):
        measure(x, y, value_range=0.0)
    with pytest.raises(ValueError, match="one shape"):
        measure(x[:0], y[:0])


def test_ssim_needs_images():
    with pytest.raises(ValueError, match="images \\(n, channels"):
        ssim(np.zeros((4, 2)), np.zeros((4, 2)))
