"""The U-Net: its sizes, its start, its smoothness in time, and the images it takes."""

from __future__ import annotations

import pytest
import torch
from diffusion_fakes import seeded
from mfbench_diffusion.network import noise_level
from mfbench_diffusion.unet import Attention, UNet, level_sizes

from mfbench import Unsupported
from mfbench.schedules import LinearSchedule

SMALL = {"width": 8, "multipliers": (1, 2), "blocks": 1, "attention": 4, "time_features": 8, "dropout": 0.0}


def unet(shape=(1, 8, 8), awake=True, **parameters):
    """With random weights; `awake`: the branches that start at zero too."""
    network = UNet(shape, **{**SMALL, **parameters}).eval().requires_grad_(False)
    network.initialise(seeded())
    if awake:
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1, generator=seeded(1))
    return network


def images(count, *shape, seed=0, dtype=torch.float32):
    return torch.randn(count, *shape, generator=seeded(seed), dtype=dtype)


@pytest.mark.parametrize(
    ("shape", "multipliers", "lowest"),
    [
        ((1, 8, 8), (1, 2, 2), (2, 2)),
        ((1, 28, 28), (1, 2, 2), (7, 7)),
        ((3, 64, 64), (1, 1, 2, 2), (8, 8)),
        ((3, 12, 20), (1, 2, 2), (3, 5)),
        ((1, 7, 7), (1,), (7, 7)),
    ],
    ids=str,
)
def test_sizes(shape, multipliers, lowest):
    assert level_sizes(shape, len(multipliers))[-1] == lowest
    network, x = unet(shape, multipliers=multipliers), images(2, *shape)
    predicted = network(x, torch.tensor([0.0, 8.0]))
    assert predicted.shape == x.shape
    assert torch.isfinite(predicted).all()


def test_what_cannot_be_halved_is_named():
    with pytest.raises(Unsupported, match=r"28 x 28: 7 x 7 cannot be halved; multipliers: at most 3 of them"):
        level_sizes((1, 28, 28), 4)
    with pytest.raises(Unsupported, match="is for images"):
        level_sizes((2,), 2)


@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize("multipliers", [(1,), (1, 3), (2, 1, 2)], ids=str)
def test_every_weight_counts(blocks, multipliers):
    """Each parameter gets a gradient: nothing is built that is not used."""
    network = unet(blocks=blocks, multipliers=multipliers).requires_grad_(True)
    network(images(3, 1, 8, 8), torch.tensor([0.5, 2.0, 7.0])).square().sum().backward()
    idle = [name for name, parameter in network.named_parameters() if not parameter.grad.any()]
    # what shifts all keys alike cancels in the softmax, and a 1 x 1 middle has nothing to attend to
    assert [name for name in idle if "qkv" not in name] == []


def test_attention_where_the_image_is_small():
    def count(attention):
        return sum(isinstance(module, Attention) for module in unet(attention=attention).modules())

    assert count(0) == 1  # in the middle
    assert count(4) == 1 + 1 + 2  # down and up at 4 x 4
    assert count(8) == 1 + 2 * (1 + 2)


def test_attention_is_softmax_attention():
    """Against the formula, head by head."""
    layer = Attention(64).requires_grad_(False)
    x = images(2, 64, 3, 3)
    tokens = layer.norm(x).flatten(2).transpose(1, 2)
    q, k, v = layer.qkv(tokens).chunk(3, -1)
    seen = []
    for head in (slice(0, 32), slice(32, 64)):
        weights = (q[..., head] @ k[..., head].transpose(1, 2) / 32**0.5).softmax(-1)
        seen.append(weights @ v[..., head])
    expected = x + layer.out(torch.cat(seen, -1)).transpose(1, 2).unflatten(2, (3, 3))
    assert layer.heads == 2
    assert torch.allclose(layer(x), expected, atol=1e-5)


def test_starts_at_zero():
    network = unet(awake=False)
    assert not network(images(2, 1, 8, 8), torch.ones(2)).any()


def test_the_start_depends_on_the_generator_alone():
    network, again, other = unet(), unet(), UNet((1, 8, 8), **SMALL)
    again.initialise(seeded(7))
    again.initialise(seeded(0))  # a second start is as the first
    other.initialise(seeded(7))
    plain = unet(awake=False)
    weights, others = plain.state_dict(), other.state_dict()
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in weights.items())
    assert not torch.equal(weights["stem.weight"], others["stem.weight"])
    assert network is not plain


def test_smooth_between_the_steps():
    """From one half-step in t to the next it goes nearly straight on: real times are as good as integers."""
    schedule, network = LinearSchedule(1000), unet().double()
    u = noise_level(schedule.alpha_bar(torch.arange(1, 1000, 0.5, dtype=torch.float64) / 1000))
    assert u.diff().max() * network.rates.max() < 1
    predicted = network(images(1, 1, 8, 8, dtype=torch.float64).expand(len(u), 1, 8, 8), u)
    first, second = predicted.diff(dim=0), predicted.diff(n=2, dim=0)
    assert second.abs().max() < 0.25 * first.abs().max()


def test_one_level_for_all_rows_is_the_level_of_every_row():
    network, x = unet(), images(5, 1, 8, 8)
    shared = network(x, torch.tensor([1.5]))
    assert torch.allclose(shared, network(x, torch.full((5,), 1.5)), atol=1e-5)


def test_rows_keep_to_themselves():
    network, x, u = unet(), images(5, 1, 8, 8), torch.linspace(0, 8, 5)
    alone = torch.cat([network(x[i : i + 1], u[i : i + 1]) for i in range(5)])
    assert torch.allclose(network(x, u), alone, atol=1e-5)


def test_dropout_is_for_training():
    network, x, u = unet(dropout=0.5), images(2, 1, 8, 8), torch.ones(1)
    assert torch.equal(network(x, u), network(x, u))
    network.train()
    assert not torch.equal(network(x, u), network(x, u))


def test_every_layout_gives_the_same():
    network, x, u = unet(), images(3, 1, 8, 8), torch.ones(1)
    before = network(x, u)
    assert torch.allclose(network.to(memory_format=torch.channels_last)(x, u), before, atol=1e-5)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_bf16_is_near_float32_on_cuda():
    network, x = unet().cuda(), images(8, 1, 8, 8).cuda()
    exact = network(x, torch.ones(1, device="cuda"))
    network.bf16 = True
    rounded = network(x, torch.ones(1, device="cuda"))
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.05 * exact.abs().max()
    double = network.double()(x.double(), torch.ones(1, device="cuda", dtype=torch.float64))
    assert (double - exact).abs().max() < 1e-4 * exact.abs().max()
