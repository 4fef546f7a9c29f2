"""How near images are to their references, pixel by pixel and in structure: one number an image."""

from __future__ import annotations

import numpy as np

from mfbench.measures.convert import Array, Values, as_array

_SIGMA = 1.5
_RADIUS = 5
"""Of Wang et al.'s Gaussian window: 11 x 11."""
_BLOCK = 2**22
"""Numbers in one block of images (32 MiB in float64)."""


def psnr(x: Values, y: Values, *, value_range: float = 1.0) -> Array:
    """Peak signal-to-noise ratio in dB, (n,), of images x to their references y, both (n, ...).

    10 log10(value_range^2 / mean square error), over all pixels and channels of an image; infinite for equal
    images. `value_range`: highest minus lowest possible value. ValueError: other shapes, not finite.
    """
    x, y = _pairs(x, y, value_range)
    error = np.square(x - y).reshape(len(x), -1).mean(axis=1)
    with np.errstate(divide="ignore"):
        decibel: Array = 10 * (2 * np.log10(value_range) - np.log10(error))
    return decibel


def ssim(x: Values, y: Values, *, value_range: float = 1.0) -> Array:
    """Structural similarity in [-1, 1], (n,), of images x and y (n, channels, height, width); 1 where equal.

    Wang et al. 2004 with their Gaussian window (11 x 11, sigma 1.5), K1 = 0.01, K2 = 0.03: the mean over
    channels and over the positions at which the window lies inside the image. Where a side is shorter than
    the window, every position along it counts and the image is mirrored at its edge (its outermost pixels not
    repeated): boards of such images compare with each other only. ValueError: other shapes, not finite.
    """
    x, y = _pairs(x, y, value_range)
    if x.ndim != 4:
        raise ValueError(f"ssim needs images (n, channels, height, width), not {x.shape}")
    size = max(1, _BLOCK // max(1, x[0].size))
    parts = [slice(start, start + size) for start in range(0, len(x), size)]
    return np.concatenate([_similarity(x[rows], y[rows], value_range) for rows in parts])


def _similarity(x: Array, y: Array, value_range: float) -> Array:
    """Eq. 13 of Wang et al. 2004 in each window, with population variances, averaged."""
    c1, c2 = (0.01 * value_range) ** 2, (0.03 * value_range) ** 2
    mean_x, mean_y = _windowed(x), _windowed(y)
    variances = _windowed(x * x) - mean_x**2 + _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    index = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    index /= (mean_x**2 + mean_y**2 + c1) * (variances + c2)
    means: Array = index.mean(axis=(1, 2, 3))
    return means


def _windowed(images: Array) -> Array:
    """Gaussian means in the windows that lie inside the image, or around every pixel along a short side."""
    from scipy.ndimage import gaussian_filter

    means = gaussian_filter(images, (0, 0, _SIGMA, _SIGMA), radius=_RADIUS, mode="mirror")
    inside = [slice(_RADIUS, -_RADIUS) if side > 2 * _RADIUS else slice(None) for side in images.shape[2:]]
    windowed: Array = means[:, :, *inside]
    return windowed


def _pairs(x: Values, y: Values, value_range: float) -> tuple[Array, Array]:
    x, y = as_array(x), as_array(y)
    if x.shape != y.shape or x.ndim < 2 or not x.size:
        raise ValueError(f"images and references must have one shape (n, ...), not {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("images and references must be finite")
    if not 0 < value_range < np.inf:
        raise ValueError(f"value_range must be positive and finite, not {value_range}")
    return x, y
