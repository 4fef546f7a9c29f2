"""Reconstruction errors on Gaussian data, where sampler and noise act coordinate by coordinate."""

from __future__ import annotations

import math

import pytest
import torch
from mfbench_ood import reconstruction
from mfbench_ood.levels import levels_at
from mfbench_ood.reconstruction import DenoisingReconstruction
from mfbench_ood.truncated import TruncatedPredictor
from ood_fakes import Exact, Squares, gaussian
from protocol_fakes import Normal, fitted, seeded

import mfbench
from mfbench import Unsupported, UserError
from mfbench.measures import auroc
from mfbench.protocols.counting import count_evaluations
from mfbench.schedules import LinearSchedule

SPECTRUM = [2.0, 1.0, 0.5, 0.1]
V = torch.tensor(SPECTRUM, dtype=torch.float64)
DATA = gaussian(SPECTRUM, count=2000)
RK4 = mfbench.get("sampler", "rk4", grid="asinh")
DDIM = mfbench.get("sampler", "ddim")


def flow_factor(abar):
    """x_0 = factor * x_t along the exact probability-flow ODE."""
    return (V / (abar * V + 1 - abar)).sqrt()


@pytest.mark.parametrize("sampler", ["ddim", "rk4", "dpmpp_2m", "unipc", "oracle"])
@pytest.mark.parametrize("end", [0.33, 0.7])
def test_a_truncated_predictor_makes_every_sampler_start_in_the_middle(sampler, end):
    predictor = TruncatedPredictor(DATA.noise_predictor(1000), end)
    x_t = torch.randn(50, 4, generator=seeded(), dtype=torch.float64)
    abar = LinearSchedule(1000).alpha_bar(torch.tensor(end, dtype=torch.float64))
    found = mfbench.get("sampler", sampler).sample(predictor, x_t, step=2.0, rng=seeded())
    assert torch.allclose(found, flow_factor(abar) * x_t, atol=0.02 if sampler == "ddim" else 1e-3)


def test_errors_are_those_of_the_closed_form():
    """E (f (sqrt(abar) x + sqrt(1 - abar) z) - x)^2 = (f sqrt(abar) - 1)^2 x^2 + f^2 (1 - abar)."""
    method = DenoisingReconstruction(Exact(DATA, scale=1.0), RK4, starts=4, steps=40)
    x = torch.tensor([0.5, -1.0, 1.5, 0.2], dtype=torch.float64)
    found = method.errors(x.expand(40_000, 4), seeded())
    for column, t in zip(found.T, (0.25, 0.5, 0.75, 1.0)):
        abar = LinearSchedule(1000).alpha_bar(torch.tensor(t, dtype=torch.float64))
        f = flow_factor(abar)
        expected = ((f * abar.sqrt() - 1) ** 2 * x**2 + f**2 * (1 - abar)).mean()
        error = float(column.std() / math.sqrt(len(column)))
        assert float(column.mean()) == pytest.approx(float(expected), abs=4 * error + 1e-3)


def test_errors_are_taken_in_data_space():
    wide = DenoisingReconstruction(Exact(Normal(), scale=2.0, shift=1.0), RK4, starts=2)
    model = DenoisingReconstruction(Exact(Normal()), RK4, starts=2)
    x = Normal().test.x[:10]
    assert torch.allclose(wide.errors(x, seeded()), model.errors(2 * x + 1, seeded()) / 4, rtol=1e-4)


def test_the_score_is_minus_the_mean_z_score():
    method = fitted(DenoisingReconstruction(Exact(DATA), DDIM, starts=5, count=300), DATA, seed=3)
    errors = method.errors(DATA.val.x[:300], seeded(3))
    z = (errors - errors.mean(0)) / errors.std(0, correction=0)
    assert torch.allclose(method.score(DATA.val.x[:300], rng=seeded(3)).double(), -z.mean(1), atol=1e-5)


def test_evaluations_are_counted_where_they_happen():
    method = fitted(DenoisingReconstruction(Exact(DATA), DDIM, starts=4, steps=8, chunk=33), DATA)
    with count_evaluations(method) as counter:
        method.score(DATA.test.x[:50], rng=seeded())
    assert counter.rows == 50 * (2 + 4 + 6 + 8)


def test_seen_above_unseen_and_the_state_is_enough():
    method = fitted(DenoisingReconstruction(Exact(DATA), DDIM), DATA)
    scores = method.score(DATA.test.x, rng=seeded())
    assert auroc(scores, method.score(4 * DATA.test.x, rng=seeded())) > 0.9
    copy = DenoisingReconstruction(Exact(DATA), DDIM)
    copy.build(DATA.spec())
    copy.load_state_dict(method.state_dict())
    assert torch.equal(copy.score(DATA.test.x, rng=seeded()), scores)


def test_lpips_stands_beside_the_squared_error(monkeypatch):
    """With a stand-in for the network: twice the mean absolute difference."""

    def stand_in(copy, x):
        assert 0 <= copy.min() <= copy.max() <= 1
        return (2 * (copy - x).abs().flatten(1).mean(1)).numpy()

    monkeypatch.setattr(reconstruction, "lpips", stand_in)
    images = Squares()
    method = DenoisingReconstruction(_standing(), DDIM, starts=3, distance="both")
    method.build(images.spec())
    found = method.errors(images.test.x[:4], seeded())
    copy = method.reconstruct(images.test.x[:4], *levels_at(method.schedule, [1 / 3]), seeded())
    assert found.shape == (4, 6)
    squares = (copy - images.test.x[:4]).flatten(1).square().mean(1)
    assert torch.allclose(found[:, 0], squares.double())
    expected = torch.from_numpy(stand_in(copy.clamp(0, 1), images.test.x[:4]))
    assert torch.allclose(found[:, 1], expected.double())


def _standing():
    """A diffusion model of images: N(0, I) in pixels."""

    class OfImages:
        schedule = LinearSchedule(100)

        def __call__(self, x, t):
            return (1 - self.schedule.alpha_bar(t)).sqrt().view(-1, 1, 1, 1) * x

    model = Exact(Normal())
    model.predictor = OfImages()
    return model


def test_lpips_of_what_it_cannot_see_is_unsupported():
    with pytest.raises(Unsupported, match="LPIPS reads images"):
        DenoisingReconstruction(Exact(DATA), DDIM, distance="lpips").build(DATA.spec())
    images = Squares()  # 8 pixels a side: too small, whatever weights this machine has
    with pytest.raises(Unsupported, match="LPIPS"):
        fitted(DenoisingReconstruction(_standing(), DDIM, distance="lpips"), images)


def test_bad_input_is_told():
    with pytest.raises(UserError, match="starts = 0, steps = 20"):
        DenoisingReconstruction(Exact(DATA), DDIM, starts=0)
    with pytest.raises(UserError, match="rng = None"):
        fitted(DenoisingReconstruction(Exact(DATA), DDIM), DATA).score(DATA.test.x)
