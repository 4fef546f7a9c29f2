"""Compressed sizes by hand, and the two scores made of them."""

from __future__ import annotations

import io
import math
import struct
import zlib

import numpy as np
import pytest
import torch
from mfbench_ood import compression
from mfbench_ood.complexity import ComplexityCorrected
from mfbench_ood.compression import CODECS, compressed_nats, encode
from mfbench_ood.images import as_bytes
from mfbench_ood.png_size import PngSize
from ood_fakes import Fixed, OnlyRanks, Squares
from PIL import Image
from protocol_fakes import Normal, fitted

from mfbench import Unsupported, UserError
from mfbench.measures import auroc

DATA, NOISE = Squares(), Squares(noisy=True)
BYTE = 8 * math.log(2)


def test_a_png_is_signature_header_data_and_end():
    image = as_bytes(DATA.test.x[:1])[0]
    file = encode(image, "png")
    (length,) = struct.unpack(">I", file[33:37])
    assert file[:8] == b"\x89PNG\r\n\x1a\n"
    assert file[37:41] == b"IDAT"
    assert len(file) == 8 + 25 + (12 + length) + 12
    assert len(zlib.decompress(file[41 : 41 + length])) == 8 * (1 + 8)  # a filter byte and 8 pixels a row
    assert float(compressed_nats(DATA.test.x[:1], "png")) == pytest.approx((57 + length) * BYTE)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (5, 7, 3), (32, 32, 3), (1, 1)])
def test_nothing_is_lost(codec, shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    back = Image.open(io.BytesIO(encode(image, codec)))
    np.testing.assert_array_equal(np.asarray(back.convert("RGB" if len(shape) == 3 else "L")), image)


def test_both_encodings_of_a_level_are_the_same_byte():
    levels = torch.arange(256.0)
    noise = torch.rand(256, generator=torch.Generator().manual_seed(0))
    for values in (levels / 255, (levels + noise) / 256, levels / 256):
        assert as_bytes(values.view(1, 1, 16, 16)).ravel().tolist() == list(range(256))


@pytest.mark.parametrize("codec", CODECS)
def test_simple_images_are_short(codec):
    assert compressed_nats(DATA.test.x[:20], codec).mean() < compressed_nats(NOISE.test.x[:20], codec).mean()


@pytest.mark.parametrize("codec", CODECS)
def test_the_corrected_score_is_log_p_plus_the_length(codec):
    x = DATA.test.x[:5].double()
    method = fitted(ComplexityCorrected(Fixed(), compressor=codec), DATA)
    lengths = torch.tensor([len(encode(image, codec)) * BYTE for image in as_bytes(x)], dtype=torch.float64)
    assert torch.allclose(method.score(x), lengths - x.flatten(1).square().sum(1) / 2, rtol=1e-12)


def test_shortest_is_the_least_of_the_three():
    x = torch.cat([DATA.test.x[:5], NOISE.test.x[:5]]).double()
    each = torch.stack([fitted(ComplexityCorrected(Fixed(), codec), DATA).score(x) for codec in CODECS])
    assert torch.equal(fitted(ComplexityCorrected(Fixed(), "shortest"), DATA).score(x), each.amin(0))


def test_png_size_counts_bytes_and_prefers_simple_images():
    method = fitted(PngSize(), DATA)
    x = DATA.test.x[:3]
    sizes = torch.tensor([len(encode(image, "png")) for image in as_bytes(x)])
    assert torch.allclose(method.score(x), -BYTE * sizes.float())
    assert auroc(method.score(DATA.test.x), method.score(NOISE.test.x)) > 0.99
    assert method.role == "control"


def test_which_sizes_count_as_seen_is_a_parameter():
    x = torch.cat([DATA.test.x[:20], NOISE.test.x[:20]])
    small, large, typical = (fitted(PngSize(inliers), DATA) for inliers in ("small", "large", "typical"))
    assert torch.equal(large.score(x), -small.score(x))
    mean = -small.score(DATA.val.x).double().mean()
    assert torch.allclose(typical.score(x), -(large.score(x) - mean).abs().float(), atol=1e-3)
    blank = torch.zeros(1, 1, 8, 8)  # shorter than anything seen
    assert float(small.score(blank)) > float(small.score(x).max())
    assert float(typical.score(blank)) < float(typical.score(DATA.test.x).min())
    copy = PngSize("typical")
    copy.build(DATA.spec())
    copy.load_state_dict(typical.state_dict())
    assert torch.equal(copy.score(x), typical.score(x))


def test_points_are_unsupported_and_it_says_why():
    points = Normal(count=20)
    reason = r"png_size reads images of 1 or 3 channels, \(channels, height, width\).*shape \(2,\)"
    with pytest.raises(Unsupported, match=reason):
        PngSize().build(points.spec())
    with pytest.raises(Unsupported, match=r"shape \(2,\)"):
        PngSize().score(points.test.x)
    with pytest.raises(Unsupported, match="complexity_corrected reads images"):
        ComplexityCorrected(Fixed()).build(points.spec())


def test_what_only_ranks_has_no_code_length():
    with pytest.raises(Unsupported, match="OnlyRanks only ranks"):
        ComplexityCorrected(OnlyRanks()).build(DATA.spec())
    with pytest.raises(UserError, match="a method of kind likelihood"):
        ComplexityCorrected("nothing").build(DATA.spec())


def test_a_pillow_without_the_codec_is_said(monkeypatch):
    monkeypatch.setattr(compression.features, "check", lambda name: name != "webp")
    fitted(ComplexityCorrected(Fixed(), "png"), DATA)
    for compressor in ("webp", "shortest"):
        with pytest.raises(Unsupported, match="built without webp"):
            fitted(ComplexityCorrected(Fixed(), compressor), DATA)
