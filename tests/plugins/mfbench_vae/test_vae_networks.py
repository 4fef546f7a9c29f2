"""Encoders, decoders and distortions: what is standardised, halved, repeated, and how a training begins."""

from __future__ import annotations

import math

import pytest
import torch
from mfbench_vae.decoders import SCALE, SHIFT, Finish, make_decoder
from mfbench_vae.distortion import distorted
from mfbench_vae.networks import Encoder, make_encoder
from mfbench_vae.training import rate
from protocol_fakes import fitted, seeded
from torch import nn
from torch.nn.functional import affine_grid, grid_sample
from vae_fakes import made

import mfbench
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


# -- where decoders begin, and drawings that are placed ---------------------------------------------------


@pytest.mark.parametrize("pixels", ["bernoulli", "gaussian"])
@pytest.mark.parametrize(("network", "decoder"), [("mlp", "auto"), ("conv", "auto"), ("conv", "placed")])
def test_decoders_begin_near_the_mean_image(network, decoder, pixels):
    data = TinyImages()
    method = fitted(made("vae", iterations=0, network=network, decoder=decoder, pixels=pixels), data)
    mean = data.train.x.mean(0)
    drawn = method.decode(method.encode(data.test.x))
    near = {"bernoulli": 0.2, "gaussian": 0.9}[pixels]  # a logit moves a pixel by a quarter at most
    assert (drawn - mean).abs().mean() < near * (data.test.x - mean).abs().mean()
    assert (drawn - mean).abs().max() > 1e-4  # and yet tell codes apart


def placed(height, width):
    """A decoder that draws one picture, wherever it is told to: the code is the place."""
    decoder = make_decoder("mlp", (1, height, width), 3, width=4, channels=1, drawing="placed").double()
    with torch.no_grad():
        picture = torch.rand(1, height, width, generator=seeded(), dtype=torch.float64)
        decoder.start(picture)
        decoder.body[-2].weight.zero_()
        decoder.body[-2].bias.zero_()
        decoder.place.weight.copy_(torch.eye(3))
        decoder.place.bias.zero_()
    return decoder, picture


def test_a_drawing_is_placed_by_whole_pixels():
    decoder, picture = placed(8, 10)
    right, down = 1 / (SHIFT * 10 / 2), 1 / (SHIFT * 8 / 2)  # a column and a row
    found = decoder(torch.tensor([[right, -down, 0.0]], dtype=torch.float64).atanh())[0]
    assert torch.allclose(found[:, 1:, :9], picture[:, :7, 1:], atol=1e-12)
    assert torch.allclose(found[:, 0, :9], picture[:, 0, 1:], atol=1e-12)  # the edge goes on
    still = decoder(torch.zeros(1, 3).double())[0]
    assert torch.equal(still, picture)


def test_placing_is_bilinear_interpolation():
    decoder, picture = placed(8, 10)
    z = torch.randn(5, 3, generator=seeded(1), dtype=torch.float64)
    right, down, size = z.tanh().unbind(1)
    scale, none = (SCALE * size).exp(), 0 * size
    rows = [torch.stack([scale, none, SHIFT * right], 1), torch.stack([none, scale, SHIFT * down], 1)]
    grid = affine_grid(torch.stack(rows, 1), [5, 1, 8, 10], align_corners=False)
    wanted = grid_sample(picture.expand(5, -1, -1, -1), grid, padding_mode="border", align_corners=False)
    assert torch.allclose(decoder(z), wanted, atol=1e-12)


def test_the_rate_rises_along_a_line_and_falls_as_a_cosine():
    rates = [rate(done, 2000) for done in range(2001)]
    assert rates[0] == pytest.approx(1 / 101)
    assert rates[50] == pytest.approx(51 / 101 * (1 + math.cos(math.pi * 50 / 2000)) / 2)
    assert rates[1000] == pytest.approx(0.5)
    assert rates[2000] == pytest.approx(0, abs=1e-12)
    assert rate(0, 1) == 1  # nothing to rise in
    assert max(rate(done, 8) for done in range(8)) > 0.8


@pytest.mark.parametrize("name", ["fsq_vae", "lstm_sender"])
def test_codes_survive_the_first_steps_at_a_high_rate(name):
    """Without the start at the mean image and the slow rise all have one code from the tenth step on."""
    pairs = mfbench.get("dataset", "two_digits_8x8", count=512)
    method = made(name, network="conv", width=512, channels=16, iterations=60, learning_rate=1e-2)
    code = fitted(method, pairs).encode(pairs.val.x)
    assert (code.std(0) > 0.3).all()


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
