"""Streams: the same name gives the same numbers, and no stream moves another."""

from __future__ import annotations

import torch
from protocol_fakes import seeded

from mfbench.protocols.draws import Streams


def test_a_stream_depends_on_seed_and_name_alone():
    streams = Streams(seeded(0))
    first = torch.randn(4, generator=streams("scores", "circles"))
    torch.randn(100, generator=streams("scores", "moons"))
    assert torch.equal(first, torch.randn(4, generator=streams("scores", "circles")))
    assert torch.equal(first, torch.randn(4, generator=Streams(seeded(0))("scores", "circles")))
    assert not torch.equal(first, torch.randn(4, generator=streams("scores", "moons")))
    assert not torch.equal(first, torch.randn(4, generator=Streams(seeded(1))("scores", "circles")))
