"""Each method as the bench uses it: who reads labels, restarts, seeds, state, messages, what cannot be."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from mfbench_vae.decoders import make_decoder
from mfbench_vae.networks import make_encoder, pyramid
from mfbench_vae.training import Batch
from protocol_fakes import Normal, fitted, seeded
from vae_fakes import GUIDED, MESSAGES, SMALL, UNGUIDED, Relabelled, made, posteriors

import mfbench
from mfbench.errors import Unsupported, UserError
from mfbench.registry import load_registry
from mfbench.testing import workshop
from mfbench.testing.data import TinyImages
from mfbench.testing.kit import check_plugin

ALL = (*UNGUIDED, *GUIDED)


@pytest.fixture(scope="module")
def data():
    return TinyImages()


@pytest.fixture(scope="module")
def guided(data):
    return fitted(made("guided_grid_vae", iterations=150), data)


def test_these_are_all_the_methods_there_are():
    ours = {card.name for card in load_registry().cards("disentangler") if card.plugin == "mfbench_vae"}
    assert ours == {*ALL, "receiver"}


def test_reading_the_registration_imports_no_torch():
    code = "import sys, mfbench_vae; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# -- labels -------------------------------------------------------------------------------------------------


def refuse(attributes):
    """Labels that would spoil every fit that reads them."""
    return torch.full_like(attributes, 7)


@pytest.mark.parametrize("name", UNGUIDED)
def test_without_labels_means_without_labels(name, data):
    first, second = fitted(made(name), data), fitted(made(name), Relabelled(refuse))
    assert first.labels_used == 0
    assert torch.equal(first.encode(data.test.x), second.encode(data.test.x))


@pytest.mark.parametrize("name", GUIDED)
def test_labels_that_are_left_out_are_not_read(name):
    def other(attributes):
        return torch.stack([attributes[:, 0], 1 - attributes[:, 1]], dim=1)

    x = TinyImages().test.x
    kept = [fitted(made(name, left_out=["bottom"]), each) for each in (TinyImages(), Relabelled(other))]
    read = [fitted(made(name), each) for each in (TinyImages(), Relabelled(other))]
    assert torch.equal(*(method.encode(x) for method in kept))
    assert not torch.equal(*(method.encode(x) for method in read))
    assert [method.labels_used for method in (*kept, *read)] == [0.5, 0.5, 1.0, 1.0]


def test_dimensions_follow_their_attributes(guided, data):
    assert (guided.encode(data.test.x).round() == data.test.attributes).double().mean() > 0.95
    assert (guided.symbols(data.test.x) == data.test.attributes).double().mean() > 0.95


def test_values_of_an_attribute_are_its_centres():
    several = Relabelled(lambda attributes: torch.stack([attributes.sum(1) + 3, attributes[:, 1]], dim=1))
    method = fitted(made("guided_grid_vae", iterations=200), several)
    assert method.grid_prior.centres.tolist() == [[3, 4, 5], [0, 1, 1]]
    code = method.encode(several.test.x).round()
    assert (code == several.test.attributes).double().mean() > 0.9
    restored = made("guided_grid_vae")  # which knows of no third value before it is told
    restored.build(several.spec())
    restored.load_state_dict(method.state_dict())
    assert torch.equal(restored.encode(several.test.x), method.encode(several.test.x))


@pytest.mark.parametrize("head", ["centres", "linear"])
def test_free_dimensions_tell_what_no_message_says(head, data):
    method = fitted(made("guided_grid_vae", free=3, head=head, iterations=100, learning_rate=3e-3), data)
    code, attributes = method.encode(data.test.x), data.test.attributes
    assert code.shape == (len(attributes), 5)
    assert (code[:, :2].round() == attributes).double().mean() > 0.95
    assert (code[:, 2:].std(0) > 0.05).any()
    assert (method.symbols(data.test.x)[:, 2:] == 0).all()
    restored = made("guided_grid_vae", free=3, head=head)
    restored.build(data.spec())
    restored.load_state_dict(method.state_dict())
    assert torch.equal(restored.encode(data.test.x), code)


def test_the_prior_of_free_dimensions_is_the_standard_normal():
    method = made("guided_grid_vae", free=2, beta=1.0)
    method.build(TinyImages().spec())
    q = posteriors(7, 4)
    told = torch.tensor([[0.0, 1.0]]).expand(7, 2)
    found = method.penalty(q, q.mean, Batch(torch.zeros(7), told, 7, 0.0, seeded()))
    named = q.divergence(torch.tensor([0.0, 1.0, 0.0, 0.0]))[:, 2:].sum(1)  # both ways by hand
    guided = torch.distributions.kl_divergence(
        torch.distributions.Normal(q.mean[:, :2], q.log_std[:, :2].exp()),
        torch.distributions.Normal(told.double(), 0.25),
    ).sum(1)
    assert found.item() == pytest.approx((guided + named).mean().item(), rel=1e-6)


def test_a_few_labels_are_read_and_no_others():
    method = made("guided_grid_vae", label_fraction=0.1, batch_size=20)
    method.build(TinyImages().spec())
    assert method.labels_used == pytest.approx(0.1)
    given = method.attributes_for(TinyImages(), seeded())
    shown = ~given.isnan().any(1)
    assert int(shown.sum()) == 10
    assert given[~shown].isnan().all()
    for _, rows in zip(range(9), method.rows(96, given, seeded())):
        assert rows.shape == (20,)
        assert int(shown[rows].sum()) == 10


@pytest.mark.parametrize(
    "parameters", [{"label_fraction": 0.999}, {"label_fraction": 0.5, "left_out": ["right", "bottom"]}]
)
def test_where_all_images_have_labels_or_none_batches_are_of_all_images(parameters):
    method = made("guided_grid_vae", batch_size=20, **parameters)
    method.build(TinyImages().spec())
    given = method.attributes_for(TinyImages(), seeded())
    rows = method.rows(len(given), given, seeded())
    drawn = torch.cat([next(rows) for _ in range(5)])
    assert sorted(drawn[: len(given)].tolist()) == list(range(len(given)))


def test_a_quarter_of_the_labels_is_enough_for_easy_images(data):
    parameters = {"iterations": 200, "learning_rate": 3e-3, "label_fraction": 0.25}
    method = fitted(made("guided_grid_vae", **parameters), data)
    assert (method.encode(data.test.x).round() == data.test.attributes).double().mean() > 0.9


# -- restarts, seeds, state ---------------------------------------------------------------------------------


def test_the_restart_with_the_lowest_objective_on_validation_images_is_kept(data, monkeypatch):
    method = made("grid_vae", restarts=3)
    reached, seen = iter([3.0, 1.0, 2.0]), []

    def held_out(x):
        seen.append(method.encode(data.test.x))
        assert torch.equal(x, data.val.x)
        return next(reached)

    monkeypatch.setattr(method, "held_out", held_out)
    fitted(method, data)
    assert torch.equal(method.encode(data.test.x), seen[1])
    assert not torch.equal(seen[0], seen[1])


def test_progress_counts_all_restarts(data):
    told = []
    method = made("vae", restarts=2)
    method.build(data.spec())
    method.fit(data.without_test(), rng=seeded(), progress=lambda done, total: told.append((done, total)))
    assert told == [(10, 20), (20, 20)]


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_gives_the_same_fit_and_the_state_is_all_there_is(name, data):
    before = torch.get_rng_state()
    first, again, other = (fitted(made(name), data, seed) for seed in (0, 0, 1))
    code = first.encode(data.test.x)
    assert torch.equal(code, again.encode(data.test.x))
    assert not torch.equal(first.decode(code), other.decode(code))
    assert torch.equal(torch.get_rng_state(), before)
    restored = made(name)
    restored.build(data.spec())
    restored.load_state_dict({key: value.clone() for key, value in first.state_dict().items()})
    assert torch.equal(restored.encode(data.test.x), code)
    assert torch.equal(restored.decode(code), first.decode(code))
    assert all(not parameter.requires_grad for parameter in first.networks.parameters())


@pytest.mark.parametrize("name", ALL)
def test_images_are_decoded_within_their_range(name, data):
    method = fitted(made(name), data)
    images = method.decode(method.encode(data.test.x))
    assert images.shape == data.test.x.shape
    assert 0 <= images.min() <= images.max() <= 1


def test_double_precision():
    data = TinyImages().to("cpu", torch.float64)
    method = made("grid_vae")
    method.build(data.spec(dtype=torch.float64))
    method.fit(data.without_test(), rng=seeded(), progress=lambda done, total: None)
    assert method.encode(data.test.x).dtype == torch.float64


# -- networks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 14, 28), (3, 33, 65), (1, 8, 16)])
@pytest.mark.parametrize("network", ["auto", "mlp", "conv"])
@pytest.mark.parametrize("drawing", ["auto", "mlp", "placed"])
def test_networks_of_any_size(shape, network, drawing):
    sizes = {"width": 16, "channels": 4}
    x = torch.rand(2, *shape, generator=seeded())
    encoder = make_encoder(network, shape, 6, **sizes)
    decoder = make_decoder(network, shape, 3, drawing=drawing, **sizes)
    assert encoder(x).shape == (2, 6)
    assert decoder(torch.zeros(2, 3)).shape == (2, *shape)


def test_small_images_are_seen_whole_and_larger_ones_by_convolutions():
    kinds = [
        {type(layer).__name__ for layer in make_encoder("auto", shape, 2, width=8, channels=4).modules()}
        for shape in ((3, 32, 32), (1, 28, 56))
    ]
    assert ["Conv2d" in kind for kind in kinds] == [False, True]
    assert pyramid((1, 28, 56), 4) == ([(14, 28), (7, 14), (4, 7)], [4, 8, 8])


def test_each_half_of_the_code_sees_half_of_the_image():
    method = made("grid_vae", network="halves", latent=4)
    data = TinyImages()
    method.build(data.spec())
    method.prepare(data.train.x)
    x = data.test.x.clone()
    before = method.posterior(x)
    x[:, :, :, 8:] = 0
    after = method.posterior(x)
    for one, other in ((before.mean, after.mean), (before.log_std, after.log_std)):
        assert torch.equal(one[:, :2], other[:, :2])
        assert not torch.equal(one[:, 2:], other[:, 2:])


# -- messages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MESSAGES)
def test_a_receiver_hears_the_message_and_nothing_else(name, data):
    sender = fitted(made(name), data)
    method = fitted(made("receiver", sender=sender), data)
    messages = method.symbols(data.test.x)
    assert messages.dtype == torch.int64
    assert torch.equal(messages, sender.symbols(data.test.x))
    assert method.labels_used == sender.labels_used
    images = method.decode(method.encode(data.test.x))
    alike = (messages == messages[0]).all(1)
    assert torch.equal(images[alike], images[:1].expand(int(alike.sum()), -1, -1, -1))
    restored = made("receiver", sender=sender)
    restored.build(data.spec())
    restored.load_state_dict({key: value.clone() for key, value in method.state_dict().items()})
    assert torch.equal(restored.decode(restored.encode(data.test.x)), images)


def test_a_receiver_draws_what_a_good_message_says(guided, data):
    method = fitted(made("receiver", sender=guided, iterations=150, learning_rate=5e-3), data)
    images = method.decode(method.encode(data.test.x))
    spread = (data.test.x - data.train.x.mean(0)).square().mean()
    assert (images - data.test.x).square().mean() < 0.2 * spread


def test_symbols_that_were_never_heard_are_silence(guided, data):
    method = fitted(made("receiver", sender=guided), data)
    unknown = method.networks["vocabulary"](torch.tensor([[0, 9], [-3, 1]]), torch.float32)
    assert unknown.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1]]


def test_who_sends_nothing_is_not_heard(data):
    method = made("receiver", sender=fitted(made("vae"), data))
    with pytest.raises(Unsupported, match="VAE sends none"):
        fitted(method, data)


# -- what cannot be -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_points_are_unsupported(name):
    with pytest.raises(Unsupported):
        made(name).build(Normal().spec())


@pytest.mark.parametrize("name", GUIDED)
def test_images_without_attributes_guide_nobody(name):
    with pytest.raises(Unsupported, match="guided by attributes"):
        made(name).build(mfbench.DataSpec(shape=(1, 8, 8), train_count=5))


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("vae", {"latent": 0}, "vae: latent = 0: at least 1"),
        ("vae", {"learning_rate": 0.0}, "vae: learning_rate = 0: above 0"),
        ("beta_vae", {"warm_up": 2.0}, "beta_vae: warm_up = 2: from 0 to 1"),
        ("factor_vae", {"batch_size": 1}, "factor_vae: batch_size = 1: at least 2"),
        ("grid_vae", {"grid": [1.0, 0.0]}, "different centres, from low to high"),
        ("grid_vae", {"prior_std": 0.0}, "grid_vae: prior_std = 0: above 0"),
        ("guided_grid_vae", {"label_fraction": 0.0}, "label_fraction = 0: above 0"),
        ("guided_grid_vae", {"free": -1}, "guided_grid_vae: free = -1: at least 0"),
        ("fsq_vae", {"levels": 1}, "fsq_vae: levels = 1: at least 2"),
        ("qlae", {"commitment": -1.0}, "qlae: commitment = -1: at least 0"),
        ("dc_vae", {"temperature": 0.0}, "dc_vae: temperature = 0: above 0"),
        ("lstm_sender", {"vocabulary": 1}, "lstm_sender: vocabulary = 1: at least 2"),
    ],
)
def test_parameters_that_cannot_be(name, parameters, said):
    with pytest.raises(UserError, match=said):
        mfbench.get("disentangler", name, **{**SMALL, **parameters})


def test_an_attribute_that_is_not_there(data):
    with pytest.raises(UserError, match="no attribute 'botom'; did you mean 'bottom'"):
        made("guided_grid_vae", left_out=["botom"]).build(data.spec())


def test_halves_of_an_odd_code():
    with pytest.raises(Unsupported, match="halves"):
        made("grid_vae", network="halves", latent=3).build(TinyImages().spec())


# -- the contract -------------------------------------------------------------------------------------------


def test_conformance_at_a_small_budget(monkeypatch):
    monkeypatch.setitem(workshop.BUDGETS, "iterations", 3)
    findings = check_plugin("mfbench_vae")
    assert {finding.name for finding in findings} >= {*ALL, "receiver"}
    assert [finding for finding in findings if not finding.ok] == []


@pytest.mark.slow
def test_conformance(mfbench_check):
    mfbench_check("mfbench_vae")
