"""The generator: its network, its training, its state."""

from __future__ import annotations

import copy

import pytest
import torch
from diffusion_fakes import mixture, noise, seeded
from mfbench_diffusion.ddpm_mlp import DDPM
from mfbench_diffusion.grids import evaluate
from mfbench_diffusion.markov import DiffusionMarkov
from mfbench_diffusion.model_space import log_determinant
from mfbench_diffusion.network import FourierMLP, NetworkPredictor, noise_level
from mfbench_diffusion.ode import DiffusionODE
from mfbench_diffusion.training import noisy_batches

from mfbench import UserError
from mfbench.datasets.points import SwissRoll
from mfbench.measures import energy_distance
from mfbench.schedules import LinearSchedule

SMALL = {"width": 16, "fourier_features": 4, "batch_size": 32}


def silent(done, total):
    pass


def fitted(data, seed=0, progress=silent, **parameters):
    model = DDPM(**parameters)
    model.build(data.spec())
    model.fit(data, rng=seeded(seed), progress=progress)
    return model


@pytest.fixture(scope="module")
def roll():
    return SwissRoll(count=2000)


@pytest.fixture(scope="module")
def small(roll):
    return fitted(roll, iterations=50, **SMALL)


@pytest.fixture(scope="module")
def trained(roll):
    """Five seconds of training."""
    return fitted(SwissRoll(), iterations=2500)


# -- the network ---------------------------------------------------------------------------------------------


def test_the_level_turns_the_embedding_by_less_than_a_radian_a_step():
    for num_steps in (100, 1000):
        t = torch.linspace(0, 1, num_steps + 1, dtype=torch.float64)
        u = noise_level(LinearSchedule(num_steps).alpha_bar(t))
        assert u[0] == 0
        network = FourierMLP(2, width=4, depth=1, fourier_features=2, frequency=1.0, time_features=16)
        assert u.diff().max() * network.rates.max() < 1


def test_one_time_for_all_rows_is_the_time_of_every_row(small):
    x = noise(5, 2, dtype=torch.float32)
    assert torch.allclose(
        evaluate(small.predictor, x, 0.3), small.predictor(x, torch.full((5,), 0.3)), atol=1e-6
    )


def test_rows_keep_their_own_times(small):
    x, t = noise(3, 2, dtype=torch.float32), torch.tensor([0.1, 0.5, 1.0])
    each = torch.cat([small.predictor(x[i : i + 1], t[i : i + 1]) for i in range(3)])
    assert torch.allclose(small.predictor(x, t), each, atol=1e-6)


def test_eps_from_v():
    """At t = 1 nearly all of x is noise, and at t = 0 the network's v is eps."""

    class Constant(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(0.5))

        def forward(self, x, u):
            return self.weight.expand_as(x)

    predictor = NetworkPredictor(Constant(), LinearSchedule(100))
    x = noise(4, 2, dtype=torch.float32)
    assert torch.allclose(evaluate(predictor, x, 0.0), torch.full_like(x, 0.5))
    assert torch.allclose(evaluate(predictor, x, 1.0), x, atol=0.01)
    alpha_bar = predictor.schedule.alpha_bar(torch.tensor(0.4))
    assert torch.allclose(evaluate(predictor, x, 0.4), 0.5 * alpha_bar.sqrt() + (1 - alpha_bar).sqrt() * x)


def test_computes_in_the_precision_of_x(small):
    x = noise(50, 2)
    double, single = evaluate(small.predictor, x, 0.3), evaluate(small.predictor, x.float(), 0.3)
    assert (double.dtype, single.dtype) == (torch.float64, torch.float32)
    assert 0 < (double - single).abs().max() < 1e-5
    nudge = 1e-10  # lost in float32, seen in float64
    moved = evaluate(small.predictor, x + nudge, 0.3) - double
    assert 0 < moved.abs().max() < 1e-7


def test_differentiable_in_x_but_not_in_its_weights(small):
    x = noise(3, 2, dtype=torch.float32).requires_grad_()
    evaluate(small.predictor, x, 0.3).sum().backward()
    assert x.grad.abs().min() > 0
    assert not any(parameter.requires_grad for parameter in small.network.parameters())
    assert not small.network.training


# -- training ------------------------------------------------------------------------------------------------


def test_noisy_batches_follow_the_forward_process():
    """From (x_t, u, v): x_0 = sqrt(abar) x_t - sqrt(1 - abar) v is a row of the data, and eps is standard."""
    schedule, data = LinearSchedule(100), noise(40, 3)
    batches = list(noisy_batches(data, schedule, 64, 30, seeded()))
    assert len(batches) == 30
    x_t, u, v = (torch.cat(parts) for parts in zip(*batches))
    assert u.shape == (64 * 30,)
    alpha_bar = 1 / (1 + (0.1 * torch.sinh(u)).square())
    signal, deviation = alpha_bar.sqrt()[:, None], (1 - alpha_bar).sqrt()[:, None]
    distances = torch.cdist(signal * x_t - deviation * v, data)
    assert distances.min(1).values.max() < 1e-6
    assert len(distances.argmin(1).unique()) == 40
    eps = signal * v + deviation * x_t
    assert abs(eps.mean()) < 0.06
    assert eps.var() == pytest.approx(1, abs=0.1)


def test_times_are_stratified_and_denser_near_zero():
    schedule = LinearSchedule(100)
    grid = torch.linspace(0, 1, 10_001, dtype=torch.float64)
    for _, u, _ in noisy_batches(noise(10, 2), schedule, 100, 3, seeded()):
        levels = noise_level(schedule.alpha_bar(grid))
        t = grid[torch.searchsorted(levels, u).clamp(max=10_000)]
        strata = (t.sqrt() * 100 - 1e-2).clamp(min=0).floor()
        assert len(strata.unique()) >= 98


def test_standardised_with_the_training_set(small, roll):
    model = small.to_model(roll.train.x)
    assert model.mean(0).abs().max() < 1e-5
    assert (model.std(0, correction=0) - 1).abs().max() < 1e-5
    assert torch.allclose(small.to_data(model), roll.train.x, atol=1e-5)
    assert log_determinant(small, roll.train.x) == pytest.approx(-small.scale.log().sum().item())


def test_a_constant_coordinate_is_left_alone():
    data = mixture(count=200)
    data.train.x[:, 1] = 3.0
    model = fitted(data, iterations=5, **SMALL)
    assert model.scale[1] == 1
    assert torch.isfinite(model.sample(10, rng=seeded())).all()


def weights_of(model):
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


def test_training_depends_on_its_generator_alone(small, roll):
    torch.manual_seed(123)
    torch.rand(7)
    again = fitted(roll, iterations=50, **SMALL)
    other = fitted(roll, seed=1, iterations=50, **SMALL)
    assert torch.equal(weights_of(again), weights_of(small))
    assert not torch.equal(weights_of(other), weights_of(small))


def test_no_iterations_leave_the_random_start(roll):
    zero, one = (fitted(roll, iterations=iterations, **SMALL) for iterations in (0, 1))
    assert torch.isfinite(zero.sample(5, rng=seeded())).all()
    assert 0 < (weights_of(zero) - weights_of(one)).abs().max() < 0.05


def test_progress_ends_at_the_total(roll):
    seen = []
    fitted(roll, iterations=250, progress=lambda done, total: seen.append((done, total)), **SMALL)
    assert seen == [(100, 250), (200, 250), (250, 250)]


def test_a_fit_may_be_repeated(roll, small):
    model = DDPM(iterations=50, **SMALL)
    model.build(roll.spec())
    for _ in range(2):
        model.fit(roll, rng=seeded(0), progress=silent)
    assert torch.equal(weights_of(model), weights_of(small))


def test_float64_suites_train_in_float64(roll):
    data = roll.to("cpu", torch.float64)
    model = DDPM(iterations=5, **SMALL)
    model.build(data.spec(dtype=torch.float64))
    model.fit(data, rng=seeded(), progress=silent)
    assert model.sample(3, rng=seeded()).dtype == torch.float64


# -- state ---------------------------------------------------------------------------------------------------


def test_state_round_trip(small, roll):
    state = {name: value.clone() for name, value in small.state_dict().items()}
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    restored = DDPM(iterations=50, **SMALL)
    restored.build(roll.spec())
    evaluate(
        restored.predictor, noise(1, 2), 0.5
    )  # fills the cache of casts, which must not outlive the load
    restored.load_state_dict(state)
    x = noise(5, 2)
    assert torch.equal(evaluate(restored.predictor, x, 0.3), evaluate(small.predictor, x, 0.3))
    assert torch.equal(restored.to_model(x), small.to_model(x))
    assert torch.equal(restored.sample(4, rng=seeded()), small.sample(4, rng=seeded()))


def test_the_predictor_can_be_replaced(small):
    model = copy.copy(small)
    model.predictor = mixture().noise_predictor(100)
    assert not torch.equal(model.sample(3, rng=seeded()), small.sample(3, rng=seeded()))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_steps", 1),
        ("width", 0),
        ("depth", 0),
        ("fourier_features", -1),
        ("time_features", 1),
        ("iterations", -1),
        ("batch_size", 0),
        ("learning_rate", -1.0),
        ("ema", 1.0),
    ],
)
def test_bad_parameters(name, value):
    with pytest.raises(UserError, match=f"{name} = {value}"):
        DDPM(**{name: value})


@pytest.mark.parametrize("parameters", [{"fourier_features": 0}, {"time_features": 2}, {"depth": 1}], ids=str)
def test_reduced_architectures(roll, parameters):
    model = fitted(roll, iterations=3, **{**SMALL, **parameters})
    assert model.sample(2, rng=seeded()).shape == (2, 2)


# -- what it learns ------------------------------------------------------------------------------------------


def test_samples_resemble_the_data(trained):
    """Energy distance to held-out data; of two sets of data it is about 0.001."""
    data = SwissRoll()
    sampled = trained.sample(1000, rng=seeded(1))
    assert sampled.shape == (1000, 2)
    assert energy_distance(sampled, data.test.x[:1000]) < 0.01


def test_density_is_near_the_truth(trained):
    """A few seconds of training: a quarter of a nat's bias, of which 0.25 is Eq. 23's own at T = 100."""
    data = SwissRoll()
    x = data.test.x[:400]
    truth = data.log_density(x)
    assert (DiffusionODE(trained, steps=25).log_prob(x) - truth).mean() > -0.2
    bound = DiffusionMarkov(trained).log_prob(x, rng=seeded())
    assert -0.45 < (bound - truth).mean() < -0.1


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_round_trip(roll):
    data = roll.to("cuda")
    model = DDPM(iterations=20, **SMALL)
    model.build(data.spec(device="cuda"))
    model.fit(data, rng=torch.Generator("cuda").manual_seed(0), progress=silent)
    assert model.sample(3, rng=torch.Generator("cuda").manual_seed(1)).device.type == "cuda"
    restored = DDPM(iterations=20, **SMALL)
    restored.build(roll.spec())
    restored.load_state_dict({name: value.cpu() for name, value in model.state_dict().items()})
    x = noise(5, 2)
    assert torch.allclose(
        evaluate(restored.predictor, x, 0.3), evaluate(model.predictor, x.cuda(), 0.3).cpu(), atol=1e-6
    )
