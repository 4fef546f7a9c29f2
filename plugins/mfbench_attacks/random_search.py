"""Black-box search for a patch, in the manner of Sparse-RS (Croce et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mfbench import Threat
from mfbench_attacks.answers import Answers
from mfbench_attacks.arguments import limited, require_at_least
from mfbench_attacks.gradient_attack import ImageAttack
from mfbench_attacks.placement import boxes_of, draw, shifted
from mfbench_attacks.rows import confined, masks_of

_HALVED_AT = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of the queries at which the squares' area is halved (Andriushchenko et al. 2020)."""


@dataclass(kw_only=True, eq=False)
class PatchRandomSearch(ImageAttack):
    """Asks for nothing but the defended answer, of at most `queries` patches an image.

    The patch begins as coloured stripes at a random position. Each query moves it to another of the threat's
    masks (with probability `moves`) or paints a square of it, of a share of its area that falls from `share`,
    in one of the extreme colours; what does not lower the margin is kept. An image that is turned is left
    alone, unless answers are random. `draws`: of a random defense, over which a margin is averaged: what one
    lucky draw had made the best would never be left again. `chunk`: images at once.
    """

    who: ClassVar[str] = "patch_random_search"
    gradient_free: ClassVar[bool] = True

    queries: int = 1000
    share: float = 0.4
    moves: float = 0.2
    draws: int = 4
    chunk: int = 1024

    def __post_init__(self) -> None:
        require_at_least(self.who, 1, queries=self.queries, draws=self.draws, chunk=self.chunk)
        require_at_least(self.who, 0, share=self.share, moves=self.moves)

    def candidates(self, x: Tensor, threat: Threat) -> int:
        return 1

    def attacked(self, answers: Answers, x: Tensor, y: Tensor, threat: Threat) -> Tensor:
        search = _Search(answers, x, y, threat, self.moves, self.draws if answers.says_random else 1)
        queries = limited(self.queries, threat, "queries")
        for query in range(1, queries):
            left = search.left()
            if not len(left):
                break
            search.improve(left, self.share / 2 ** sum(query > at * queries for at in _HALVED_AT))
        return search.x


class _Search:
    """The best patches so far: content (n, ...), position (n,), and the images and margins they make."""

    def __init__(
        self, answers: Answers, x: Tensor, y: Tensor, threat: Threat, moves: float, draws: int
    ) -> None:
        self.draws = draws
        self.answers, self.clean, self.labels, self.radius = answers, x, y, threat.radius
        self.masks = masks_of(x, threat)
        self.boxes = boxes_of(self.masks)
        self.moves = moves if len(self.masks) > 1 else 0.0
        n, channels, _, width = x.shape
        self.content = self._corners((n, channels, 1, width)).expand_as(x).contiguous()
        self.position = draw(n, len(self.masks), answers.rng, x.device)
        self.x = self._placed(self.content, self.position, torch.arange(n, device=x.device))
        self.margin = answers.margins(self.x, y, draws)

    def left(self) -> Tensor:
        """Rows that are not turned, or all where one draw is no verdict."""
        standing = self.margin <= 0
        if not bool(standing.all()) and self.answers.random:
            standing = torch.ones_like(standing)
        return standing.nonzero()[:, 0]

    def improve(self, rows: Tensor, share: float) -> None:
        """One query for each of these rows."""
        content, position = self.content[rows], self.position[rows]
        moved, elsewhere = self._moved(content, position)
        moves = self._uniform((len(rows),)) < self.moves
        position = torch.where(moves, elsewhere, position)
        content = torch.where(moves[:, None, None, None], moved, self._painted(content, position, share))
        x = self._placed(content, position, rows)
        margin = self.answers.margins(x, self.labels[rows], self.draws)
        kept = margin >= self.margin[rows]
        rows = rows[kept]
        self.content[rows], self.position[rows] = content[kept], position[kept]
        self.x[rows], self.margin[rows] = x[kept], margin[kept]

    def _placed(self, content: Tensor, position: Tensor, rows: Tensor) -> Tensor:
        return confined(self.clean[rows], self.labels[rows], self.masks[position], self.radius).project(
            content
        )

    def _moved(self, content: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        elsewhere = draw(len(content), len(self.masks), self.answers.rng, content.device)
        gap = self.boxes[elsewhere] - self.boxes[position]
        return shifted(content, gap[:, 0], gap[:, 1]), elsewhere

    def _painted(self, content: Tensor, position: Tensor, share: float) -> Tensor:
        """With one square of `share` of the patch's area in one colour."""
        top, left, height, width = self.boxes[position].unbind(1)
        side = (share * height * width).sqrt().round().long().clamp(min=1)
        side = torch.minimum(side, torch.minimum(height, width))
        top = top + self._draw(height - side + 1)
        left = left + self._draw(width - side + 1)
        square = (
            _within(content.shape[2], top, side)[:, :, None] & _within(content.shape[3], left, side)[:, None]
        )
        colour = self._corners((len(content), content.shape[1], 1, 1))
        return torch.where(square[:, None], colour, content)

    def _draw(self, most: Tensor) -> Tensor:
        return draw(len(most), most, self.answers.rng, most.device)

    def _uniform(self, shape: tuple[int, ...]) -> Tensor:
        rng = self.answers.rng
        return torch.rand(shape, generator=rng, device=rng.device).to(self.clean.device)

    def _corners(self, shape: tuple[int, ...]) -> Tensor:
        """0 or 1, each with probability one half."""
        return (self._uniform(shape) < 0.5).to(self.clean)


def _within(length: int, first: Tensor, count: Tensor) -> Tensor:
    """(b, length) bool: first <= i < first + count."""
    i = torch.arange(length, device=first.device)
    return (i >= first[:, None]) & (i < (first + count)[:, None])
