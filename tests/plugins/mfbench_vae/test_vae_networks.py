"""Encoders, decoders and distortions: what is standardised, halved and repeated."""

from __future__ import annotations

import pytest
import torch
from mfbench_vae.distortion import distorted
from mfbench_vae.networks import Encoder, Finish, make_decoder, make_encoder
from protocol_fakes import seeded
from torch import nn
from vae_fakes import made

from mfbench.testing.data import TinyImages


def images(count=64, height=12, width=24):
    return torch.rand(count, 1, height, width, generator=seeded())


def test_what_the_body_sees_is_standardised():
    encoder = Encoder(nn.Flatten(), 288, 2)
    encoder.standardise(images())
    seen = encoder.body((images() - encoder.centre) / encoder.scale)
    assert seen.mean().item() == pytest.approx(0, abs=1e-5)
    assert seen.std().item() == pytest.approx(1, abs=1e-5)
    encoder.standardise(torch.full((4, 1, 12, 24), 0.3))  # nothing varies
    assert torch.isfinite(encoder(images())).all()


def test_every_encoder_of_a_fit_is_standardised():
    data = TinyImages()
    method = made("grid_vae", network="halves")
    method.build(data.spec())
    method.fit(data.without_test(), rng=seeded(), progress=lambda done, total: None)
    for part in method.networks["encoder"].parts:
        assert part.centre.item() == pytest.approx(data.train.x.mean().item(), abs=1e-5)
        assert part.scale.item() == pytest.approx(data.train.x.std().item(), abs=1e-5)


@pytest.mark.parametrize("network", ["mlp", "halves"])
def test_blocks_repeat_the_first_outputs(network):
    encoder = make_encoder(network, (1, 12, 24), 8, width=16, channels=4, blocks=4)
    first = encoder(images())[:, :2]
    factors = torch.tensor([[-1.0, 2.0], [0.5, 0.0], [3.0, 1.0]])
    encoder.repeat(factors)
    found = encoder(images())[:, :6].unflatten(1, (3, 2))
    assert torch.allclose(found, factors * first[:, None], atol=1e-5)


def test_decoders_have_half_of_the_channels():
    encoder = make_encoder("conv", (1, 28, 56), 2, width=8, channels=6)
    decoder = make_decoder("conv", (1, 28, 56), 2, width=8, channels=6)
    widest = [
        max(layer.out_channels for layer in network.modules() if isinstance(layer, nn.Conv2d))
        for network in (encoder, decoder)
    ]
    assert widest == [12, 6]


def test_the_last_layer_gives_each_pixel_of_a_square_its_own_value():
    finish = Finish(1, 1, (3, 5))
    with torch.no_grad():
        finish.conv.weight.zero_()
        finish.conv.bias.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    out = finish(torch.zeros(1, 1, 2, 3))
    assert out[0, 0].tolist() == [[1, 2, 1, 2, 1], [3, 4, 3, 4, 3], [1, 2, 1, 2, 1]]


# -- distortion ---------------------------------------------------------------------------------------------


def disc(height=40, width=80, radius=9.0):
    """A disc in the middle of a wide image."""
    down, right = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    apart = (down - (height - 1) / 2).square() + (right - (width - 1) / 2).square()
    return (apart < radius**2).float()[None, None]


def test_no_strength_changes_nothing():
    assert torch.allclose(distorted(images(), 0.0, seeded()), images(), atol=1e-5)


def test_distortions_are_drawn_for_each_image_from_the_generator():
    same = images(1).expand(8, -1, -1, -1)
    found = distorted(same, 1.0, seeded())
    assert torch.equal(found, distorted(same, 1.0, seeded()))
    assert len(found.flatten(1).unique(dim=0)) == 8


def test_turning_a_disc_of_a_wide_image_leaves_a_disc(monkeypatch):
    """Pixels are square, though the coordinates are not: only the sides' ratio in the maps makes it so."""
    for name in ("_SHEAR", "_STRETCH", "_SHIFT"):
        monkeypatch.setattr(f"mfbench_vae.distortion.{name}", 0.0)
    monkeypatch.setattr("mfbench_vae.distortion._TURN", 1.5)
    turned = distorted(disc().expand(20, -1, -1, -1), 1.0, seeded())
    assert (turned - disc()).abs().mean() < 0.005
    bar = torch.zeros(1, 1, 40, 80)
    bar[:, :, 18:22, 25:55] = 1.0
    assert (distorted(bar.expand(20, -1, -1, -1), 1.0, seeded()) - bar).abs().mean() > 0.02


def test_shifts_stay_within_a_twentieth_of_the_shorter_side(monkeypatch):
    for name in ("_SHEAR", "_STRETCH", "_TURN"):
        monkeypatch.setattr(f"mfbench_vae.distortion.{name}", 0.0)
    moved = distorted(disc().expand(200, -1, -1, -1), 1.0, seeded())
    mass = moved.sum((1, 2, 3))
    right = (moved.sum(2)[:, 0] * torch.arange(80)).sum(1) / mass - 39.5
    down = (moved.sum(3)[:, 0] * torch.arange(40)).sum(1) / mass - 19.5
    for way in (right, down):
        assert 1.7 < way.abs().max() < 2.01


def test_the_encoder_alone_sees_the_distortion(monkeypatch):
    data = TinyImages()
    method = made("vae", distortion=1.0, iterations=1)
    method.build(data.spec())
    seen = []
    monkeypatch.setattr(type(method), "loss", lambda self, batch: seen.append(batch) or self.objective(batch))
    method.fit(data.without_test(), rng=seeded(), progress=lambda done, total: None)
    (batch,) = seen
    assert batch.distorted is not None
    assert torch.equal(batch.seen, batch.distorted)
    assert not torch.allclose(batch.seen, batch.x)
    assert (batch.x[:, None] == data.train.x).flatten(2).all(2).any(1).all()  # as they were
