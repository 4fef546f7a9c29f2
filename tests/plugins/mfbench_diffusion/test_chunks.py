"""Predictors in parts: the same numbers, less memory."""

from __future__ import annotations

import pytest
import torch
from diffusion_fakes import seeded
from mfbench_diffusion.chunks import ChunkedPredictor, rows_at_once
from mfbench_diffusion.divergence import exact_divergence, hutchinson_divergence
from mfbench_diffusion.grids import evaluate

from mfbench.protocols.counting import CountingPredictor
from mfbench.schedules import LinearSchedule


class Cubic:
    """x -> x^3 + t, and a note of the batches and of the times it saw."""

    schedule = LinearSchedule(1000)

    def __init__(self):
        self.batches = []
        self.shared = []

    def __call__(self, x, t):
        assert len(t) == len(x)
        self.batches.append(len(x))
        self.shared.append(t.stride(0) == 0)
        return x**3 + t.view(-1, 1, 1, 1)


def images(count):
    return torch.randn(count, 1, 4, 4, generator=seeded(), dtype=torch.float64)


@pytest.mark.parametrize("count", [1, 4, 5, 12, 13])
def test_the_same_in_parts(count):
    inner, x, t = Cubic(), images(count), torch.linspace(0, 1, count, dtype=torch.float64)
    assert torch.equal(ChunkedPredictor(inner, 4)(x, t), Cubic()(x, t))
    assert max(inner.batches) <= 4
    assert sum(inner.batches) == count


def test_one_time_stays_one_time():
    inner = Cubic()
    evaluate(ChunkedPredictor(inner, 3), images(7), 0.5)
    assert inner.shared == [True, True, True]


def test_derivatives_in_parts():
    """A part is computed again for every product: exactly, and not counted as an evaluation."""
    x = images(7)
    inner = Cubic()
    counter = CountingPredictor(ChunkedPredictor(inner, 3))
    exact = exact_divergence(counter, x, 0.5)
    assert torch.allclose(exact.trace, 3 * x.square().flatten(1).sum(1))
    assert counter.rows == 7
    assert sum(inner.batches) > 7
    whole = hutchinson_divergence(Cubic(), x, 0.5, 4, seeded())
    parts = hutchinson_divergence(ChunkedPredictor(Cubic(), 3), x, 0.5, 4, seeded())
    assert torch.allclose(parts.trace, whole.trace)
    assert torch.equal(parts.eps, whole.eps)


def test_derivatives_keep_one_part_in_memory():
    """What autograd keeps is the inputs of the parts, not what is computed from them."""

    class Deep(Cubic):
        def __call__(self, x, t):
            for _ in range(20):
                x = x.sin()
            return x

    def kept(predictor):
        seen = {}

        def note(tensor):
            seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        x = images(64).requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            predictor(x, torch.zeros(64))
        return sum(seen.values())

    assert kept(ChunkedPredictor(Deep(), 4)) < kept(Deep()) / 5


def test_rows_by_size():
    assert rows_at_once(torch.empty(1, 1, 8, 8)) == 256
    assert rows_at_once(torch.empty(1, 3, 64, 64)) == 4
    assert rows_at_once(torch.empty(1, 3, 512, 512)) == 1
    inner = Cubic()
    ChunkedPredictor(inner)(torch.zeros(600, 1, 8, 8), torch.zeros(600))
    assert inner.batches == [256, 256, 88]


def test_an_empty_batch():
    assert ChunkedPredictor(Cubic(), 3)(images(3)[:0], torch.zeros(0)).shape == (0, 1, 4, 4)
