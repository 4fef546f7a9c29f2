"""Shapes on a canvas: areas, distances, and windows that are views."""

from __future__ import annotations

import math

import pytest
import torch

from mfbench.datasets.drawing import Canvas, circle, ellipse, rectangle

SIZES = (16, 32, 64)


def canvas(size: int, x: float = 0.0, y: float = 0.0, scale: float = 1.0) -> Canvas:
    place = torch.tensor([[x, y]], dtype=torch.float64)
    return Canvas.blank(size, place, torch.full((1,), scale, dtype=torch.float64))


def area(coverage: torch.Tensor, board: Canvas) -> float:
    return (coverage.sum() * board.pixel.squeeze() ** 2).item()


def like(board: Canvas, value: float) -> torch.Tensor:
    return torch.full_like(board.pixel, value)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shift", [0.0, 0.013, 0.041])
def test_areas_are_kept_at_every_size_and_place(size, shift):
    board = canvas(size, shift, -shift, 0.9)
    assert area(board.inside(circle(board.x, board.y, 0.4)), board) == pytest.approx(math.pi * 0.16, rel=0.02)
    oval = ellipse(board.x, board.y, like(board, 0.5), like(board, 0.25))
    assert area(board.inside(oval), board) == pytest.approx(math.pi * 0.125, rel=0.03)
    box = rectangle(board.x, board.y, 0.5, 0.3)
    assert area(board.inside(box), board) == pytest.approx(0.6, rel=0.01)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("width", [0.2, 0.02, 0.001])
def test_strokes_thinner_than_a_pixel_keep_their_ink(size, width):
    board = canvas(size, 0.02, 0.03)
    ring = board.stroke(circle(board.x, board.y, 0.6), width)
    assert area(ring, board) == pytest.approx(2 * math.pi * 0.6 * width, rel=0.05)
    assert ring.max() <= min(1.0, 1.01 * width * size / 2)


@pytest.mark.parametrize("size", SIZES)
def test_a_lens_has_the_area_under_its_parabolas(size):
    board = canvas(size, 0.01, 0.02)
    lens = board.lens(board.x, 0.3 * board.x.square(), like(board, 0.6), like(board, 0.05))
    assert area(lens, board) == pytest.approx(8 / 3 * 0.6 * 0.05, rel=0.02)


@pytest.mark.parametrize("size", SIZES)
def test_dots_keep_their_ink(size):
    board = canvas(size)
    x, y = torch.tensor([[-0.4, 0.3]]).double(), torch.tensor([[0.2, -0.5]]).double()
    dots = board.dots(x, y, 0.02)
    assert area(dots, board) == pytest.approx(2 * 7 * (16 / 15) ** 2 * 0.02**2, rel=0.05)
    torch.testing.assert_close(dots, board.dots(x.flip(1), y.flip(1), 0.02))


def test_coverage_is_that_of_many_samples_a_pixel():
    """Against the share of 16 x 16 points of each pixel that lie inside."""
    board, fine = canvas(32, 0.03, 0.01, 0.8), canvas(512, 0.03, 0.01, 0.8)

    def shape(on: Canvas) -> torch.Tensor:
        return ellipse(on.x, on.y, like(on, 0.7), like(on, 0.45))

    exact = torch.nn.functional.avg_pool2d((shape(fine) < 0).double()[None], 16)[0]
    gap = (board.inside(shape(board)) - exact).abs()
    assert gap.max() < 0.12
    assert gap.sum() < 0.03 * (exact % 1 > 0).sum()


def test_within_and_between_cut_exact_boxes():
    board = canvas(8)
    box = board.within(like(board, 0.375) + 0 * board.y) * board.between(
        -0.25 + 0 * board.x, 0.5 + 0 * board.x
    )
    assert area(box, board) == pytest.approx(0.75 * 0.75)
    assert box[0, 4].tolist() == [0, 0, 0.5, 1, 1, 0.5, 0, 0]
    assert board.within(0 * board.y).abs().max() == 0, "nothing is nowhere"


def test_distances_along_the_axes():
    x = torch.tensor([[[0.5, 1.0, 2.0]]])
    y = torch.zeros(1, 1, 1)
    assert circle(x, y, 1.0).flatten().tolist() == [-0.5, 0, 1]
    assert rectangle(x, y, 1.0, 3.0).flatten().tolist() == [-0.5, 0, 1]
    assert rectangle(x, torch.full((1, 1, 1), 4.0), 1.0, 1.0)[0, 0, 2] == pytest.approx(math.sqrt(10))
    oval = ellipse(x, y, torch.tensor(1.0), torch.tensor(3.0)).flatten()
    torch.testing.assert_close(oval, torch.tensor([-0.5, 0.0, 1.0]))


def test_a_window_is_a_view_that_holds_its_box():
    board = Canvas.blank(32, torch.tensor([[0.0, 0.0], [0.2, -0.1]]), torch.tensor([1.0, 0.8]))
    box = (-0.3, -0.2, 0.4, 0.5)
    window = board.window(box)
    assert window.pixels.shape[2:] < board.pixels.shape[2:]
    inside = (board.x > -0.3) & (board.x < 0.4) & (board.y > -0.2) & (board.y < 0.5)
    window.paint(torch.ones(window.pixels[:, 0].shape), torch.tensor([[1.0, 0.5, 0.25]] * 2))
    assert (board.pixels[:, 0][inside] == 1).all()
    assert board.pixels[:, 0].sum() < 2 * 32 * 32
    assert (board.pixels[:, 1] == board.pixels[:, 0] / 2).all()
    assert board.window((5, 5, 6, 6)).pixels.numel() == 0


def test_paint_blends_by_coverage():
    board = canvas(8)
    board.paint(torch.full((1, 8, 8), 0.5).double(), torch.tensor([[1.0, 0.0, 0.5]]).double())
    board.paint(torch.full((1, 8, 8), 0.5).double(), torch.zeros(1, 3).double())
    assert board.pixels[0, :, 3, 3].tolist() == [0.25, 0, 0.125]
