"""The image generator: training, state, and that samplers and likelihoods work on it as they are."""

from __future__ import annotations

import math

import pytest
import torch
from diffusion_fakes import seeded
from mfbench_diffusion.ancestral import DDPMSampler
from mfbench_diffusion.chunks import ChunkedPredictor
from mfbench_diffusion.ddim import DDIM
from mfbench_diffusion.ddpm_unet import DDPMUNet
from mfbench_diffusion.difference import RungeKutta4DDPM, RungeKutta4Difference
from mfbench_diffusion.dpmpp import DPMSolverPP2M
from mfbench_diffusion.grids import evaluate
from mfbench_diffusion.heun import Heun
from mfbench_diffusion.image_predictor import ImagePredictor
from mfbench_diffusion.markov import DiffusionMarkov
from mfbench_diffusion.model_space import log_determinant
from mfbench_diffusion.ode import DiffusionODE
from mfbench_diffusion.oracle import Oracle
from mfbench_diffusion.precision import tensor_float
from mfbench_diffusion.prk import PseudoRungeKutta
from mfbench_diffusion.rk4 import RungeKutta4
from mfbench_diffusion.training import noisy_batches
from mfbench_diffusion.unipc import UniPC
from sklearn.datasets import load_digits

from mfbench import Dataset, DataSpec, Split, Unsupported, UserError
from mfbench.protocols.counting import CountingPredictor
from mfbench.schedules import LinearSchedule, time_of_sigma
from mfbench.testing.data import TinyImages

SMALL = {"width": 8, "multipliers": (1, 2), "attention": 4, "time_features": 8, "batch_size": 8}
SAMPLERS = [
    DDIM(),
    Heun(),
    RungeKutta4(),
    PseudoRungeKutta(),
    DPMSolverPP2M(),
    UniPC(),
    RungeKutta4Difference(),
    Oracle(tolerance=1e-3),
    DDPMSampler(),
    RungeKutta4DDPM(),
]
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: type(sampler).__name__)


def silent(done, total):
    pass


def fitted(data, seed=0, progress=silent, **parameters):
    model = DDPMUNet(**{**SMALL, "iterations": 12, **parameters})
    model.build(data.spec())
    model.fit(data.without_test(), rng=seeded(seed), progress=progress)
    return model


@pytest.fixture(scope="module")
def data():
    return TinyImages(channels=1, size=8)


@pytest.fixture(scope="module")
def small(data):
    return fitted(data)


def noise(count, *shape, seed=0, dtype=torch.float32):
    return torch.randn(count, *(shape or (1, 8, 8)), generator=seeded(seed), dtype=dtype)


def weights_of(model):
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


# -- samplers and likelihoods, unchanged ---------------------------------------------------------------------


@every_sampler
def test_samples(small, sampler):
    start = noise(3)
    counter = CountingPredictor(small.predictor)
    sampled = sampler.sample(counter, start, step=200, rng=seeded())
    again = sampler.sample(small.predictor, start, step=200, rng=seeded())
    assert sampled.shape == start.shape
    assert torch.isfinite(sampled).all()
    assert torch.equal(sampled, again)
    if sampler.evaluations_per_step is not None:
        assert counter.rows == 3 * 5 * sampler.evaluations_per_step


@pytest.mark.parametrize(
    "sampler",
    [sampler for sampler in SAMPLERS if sampler.deterministic],
    ids=lambda sampler: type(sampler).__name__,
)
def test_company_and_chunks_do_not_matter(small, sampler):
    """Of the oracle, whose tolerance is 1e-3 here, only to that."""
    start = noise(5)
    together = sampler.sample(small.predictor, start, step=200)
    alone = torch.cat([sampler.sample(small.predictor, x[None], step=200) for x in start])
    parts = sampler.sample(ChunkedPredictor(small.predictor, 2), start, step=200)
    bound = 1e-2 if isinstance(sampler, Oracle) else 1e-4
    assert (together - alone).abs().max() < bound
    assert (together - parts).abs().max() < bound


def test_exact_density_at_64_dimensions(small, data):
    """Against Hutchinson's estimate, which is exact in the mean."""
    x = data.test.x[:2]
    exact, none = DiffusionODE(small, steps=2).log_prob_with_error(x)
    estimate, error = DiffusionODE(small, steps=2, divergence="hutchinson", probes=32).log_prob_with_error(
        x, rng=seeded()
    )
    assert not none.any()
    assert (error > 0).all()
    assert ((exact - estimate).abs() < 4 * error).all()


def test_hutchinson_beyond_64_dimensions():
    """In color: 192 dimensions. Chunks change nothing but rounding."""
    data = TinyImages(channels=3, size=8)
    model = fitted(data, iterations=3, chunk=64)
    likelihood, x = DiffusionODE(model, steps=3, probes=2), data.test.x[:5]
    whole, error = likelihood.log_prob_with_error(x, rng=seeded())
    assert (error > 0).all()
    with pytest.raises(UserError, match="rng"):
        likelihood.log_prob(x)
    likelihood.predictor = ChunkedPredictor(model.predictor, 2)
    assert torch.allclose(likelihood.log_prob(x, rng=seeded()), whole, rtol=1e-5)


def test_the_bound_of_the_chain_and_its_log_determinant(data):
    """The scale of model space enters every density: its logarithm, for each pixel."""
    model, x = fitted(data, num_steps=20, iterations=2), data.test.x[:3]
    log_det = log_determinant(model, x)
    assert log_det == pytest.approx(-64 * math.log(model.scale.item()))
    unscaled = DiffusionMarkov(None)
    unscaled.predictor = model.predictor
    inside = unscaled.log_prob(model.to_model(x), rng=seeded())
    assert torch.allclose(DiffusionMarkov(model).log_prob(x, rng=seeded()), inside + log_det, rtol=1e-5)


def test_own_samples(small):
    sampled = small.sample(4, rng=seeded(1))
    assert sampled.shape == (4, 1, 8, 8)
    assert torch.equal(sampled, small.sample(4, rng=seeded(1)))
    assert not torch.equal(sampled, small.sample(4, rng=seeded(2)))


# -- the predictor -------------------------------------------------------------------------------------------


class Constant(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, x, u):
        return self.weight.expand_as(x)


def test_what_the_network_says_becomes_eps():
    schedule, x = LinearSchedule(1000), noise(3)
    v = ImagePredictor(Constant(), schedule, prediction="v")
    eps = ImagePredictor(Constant(), schedule, prediction="eps")
    for t in (0.0, 0.3, 1.0):
        alpha_bar = schedule.alpha_bar(torch.tensor(t))
        assert torch.allclose(evaluate(v, x, t), 0.5 * alpha_bar.sqrt() + (1 - alpha_bar).sqrt() * x)
        assert (evaluate(eps, x, t) == 0.5).all()
    assert (evaluate(v, x, 0.0) == 0.5).all()  # the limit, exactly


@pytest.mark.parametrize("prediction", ["v", "eps"])
def test_real_times_rows_and_precision(data, prediction):
    model = fitted(data, prediction=prediction)
    x, t = noise(3), torch.tensor([0.0, 0.12345, 1.0])
    each = torch.cat([model.predictor(x[i : i + 1], t[i : i + 1]) for i in range(3)])
    together = model.predictor(x, t)
    assert torch.allclose(together, each, atol=1e-5)
    double = model.predictor(x.double(), t.double())
    assert double.dtype == torch.float64
    assert 0 < (double - together).abs().max() < 1e-4
    moved = model.predictor(x, t + torch.tensor([0.0, 1e-4, 0.0])) - together
    assert moved[1].abs().max() > 0
    assert not moved[[0, 2]].any()


# -- training ------------------------------------------------------------------------------------------------


def test_model_space_is_standardised_over_all_pixels(small, data):
    model = small.to_model(data.train.x)
    assert abs(model.mean()) < 1e-5
    assert model.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    assert torch.allclose(small.to_data(model), data.train.x, atol=1e-6)
    assert small.scale.shape == ()


def test_training_depends_on_its_generator_alone(data, small):
    torch.manual_seed(123)
    state = torch.get_rng_state()
    again, other = fitted(data), fitted(data, seed=1)
    assert torch.equal(weights_of(again), weights_of(small))
    assert not torch.equal(weights_of(other), weights_of(small))
    model = DDPMUNet(**SMALL, iterations=12, dropout=0.2)
    model.build(data.spec())
    state = torch.get_rng_state()
    for _ in range(2):  # a fit may be repeated, with dropout too
        model.fit(data, rng=seeded(), progress=silent)
        state_after = weights_of(model)
        model.fit(data, rng=seeded(), progress=silent)
        assert torch.equal(weights_of(model), state_after)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(state_after, weights_of(small))


def test_no_iterations_leave_a_network_that_says_zero(data):
    model = fitted(data, iterations=0)
    x = noise(2)
    alpha_bar = model.schedule.alpha_bar(torch.tensor(0.5))
    assert torch.allclose(evaluate(model.predictor, x, 0.5), (1 - alpha_bar).sqrt() * x)


def loss_of(model, x):
    """Mean squared error of eps over noisy images and times."""
    losses = []
    for x_t, u, v in noisy_batches(model.to_model(x), model.schedule, 64, 8, seeded(5)):
        sigma = 0.1 * torch.sinh(u)
        said = model.predictor(x_t, time_of_sigma(model.schedule, sigma))
        sigma = sigma.view(-1, 1, 1, 1)
        eps = (v + sigma * x_t) / (1 + sigma**2).sqrt()
        losses.append((said - eps).square().mean())
    return torch.stack(losses).mean().item()


@pytest.mark.parametrize("prediction", ["v", "eps"])
def test_it_learns(data, prediction):
    """A network that says 0 errs by 1 in eps, and by the mean of abar where it means v."""
    untrained = fitted(data, iterations=0, prediction=prediction)
    trained = fitted(data, iterations=100, prediction=prediction, batch_size=16)
    t = torch.linspace(0, 1, 1001).square()
    expected = {"eps": 1.0, "v": untrained.schedule.alpha_bar(t).mean().item()}[prediction]
    assert loss_of(untrained, data.val.x) == pytest.approx(expected, rel=0.05)
    assert loss_of(trained, data.val.x) < 0.8 * expected


def test_float64_suites_train_in_float64(data):
    there = data.to("cpu", torch.float64)
    model = DDPMUNet(**SMALL, iterations=2)
    model.build(there.spec(dtype=torch.float64))
    model.fit(there, rng=seeded(), progress=silent)
    assert model.sample(2, rng=seeded()).dtype == torch.float64


def test_progress_ends_at_the_total(data):
    seen = []
    fitted(data, iterations=101, batch_size=1, progress=lambda *pair: seen.append(pair))
    assert seen == [(100, 101), (101, 101)]


# -- state and parameters ------------------------------------------------------------------------------------


def test_state_round_trip(small, data):
    state = {name: value.clone() for name, value in small.state_dict().items()}
    restored = DDPMUNet(**SMALL)
    restored.build(data.spec())
    evaluate(restored.predictor, noise(1, dtype=torch.float64), 0.5)  # casts must not outlive the load
    restored.load_state_dict(state)
    x = noise(3)
    assert torch.equal(evaluate(restored.predictor, x, 0.3), evaluate(small.predictor, x, 0.3))
    assert torch.equal(
        evaluate(restored.predictor, x.double(), 0.3), evaluate(small.predictor, x.double(), 0.3)
    )
    assert torch.equal(restored.to_model(x), small.to_model(x))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_steps", 1),
        ("width", 12),
        ("width", 0),
        ("multipliers", []),
        ("multipliers", [1, 0]),
        ("blocks", 0),
        ("time_features", 1),
        ("iterations", -1),
        ("batch_size", 0),
        ("dropout", 1.0),
        ("ema", 1.0),
        ("chunk", 0),
        ("steps", 0),
        ("learning_rate", -1.0),
    ],
)
def test_bad_parameters(name, value):
    with pytest.raises(UserError) as error:
        DDPMUNet(**{name: value})
    assert f"{name} = {value}" in str(error.value)


def spec(*shape):
    return DataSpec(shape=shape, train_count=1)


def test_what_it_is_not_for():
    with pytest.raises(Unsupported, match="for images"):
        DDPMUNet().build(spec(2))
    with pytest.raises(Unsupported, match="30 x 30: 15 x 15 cannot be halved"):
        DDPMUNet().build(spec(1, 30, 30))


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_reduced_precision_is_for_cuda(precision):
    with pytest.raises(Unsupported, match=f'precision = "{precision}" is for CUDA'):
        DDPMUNet(precision=precision).build(spec(1, 8, 8))


def test_compile_changes_nothing_on_the_cpu(data, small):
    assert torch.equal(weights_of(fitted(data, compile=True)), weights_of(small))


def test_compiled_where_no_gradients_are_taken(monkeypatch):
    """Of several products of one graph a compiled backward pass allows only the first."""
    calls = []

    def fake_compile(network, **options):
        def call(x, u):
            calls.append(x.dtype)
            return network(x, u)

        return call

    monkeypatch.setattr(torch, "compile", fake_compile)
    predictor = ImagePredictor(Constant(), LinearSchedule(1000), prediction="v", compiled=True)
    x = noise(2)
    with torch.no_grad():
        compiled = evaluate(predictor, x, 0.5)
        evaluate(predictor, x.double(), 0.5)
    assert calls == [torch.float32]
    assert torch.equal(evaluate(predictor, x, 0.5), compiled)
    assert len(calls) == 1


def test_tensor_float_is_put_back():
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    with tensor_float(True):
        assert matmul.allow_tf32
        assert cudnn.allow_tf32
    assert (matmul.allow_tf32, cudnn.allow_tf32) == before


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
def test_cuda(data, precision, compiled):
    there = data.to("cuda")
    model = DDPMUNet(**SMALL, iterations=20, precision=precision, compile=compiled, chunk=4)
    model.build(there.spec(device="cuda"))
    model.fit(there, rng=torch.Generator("cuda").manual_seed(0), progress=silent)
    assert model.sample(10, rng=torch.Generator("cuda").manual_seed(1)).device.type == "cuda"
    likelihood = DiffusionODE(model, steps=2, divergence="hutchinson")
    assert torch.isfinite(
        likelihood.log_prob(there.test.x[:6], rng=torch.Generator("cuda").manual_seed(2))
    ).all()
    restored = DDPMUNet(**SMALL)
    restored.build(data.spec())
    restored.load_state_dict({name: value.cpu() for name, value in model.state_dict().items()})
    x, bound = noise(10), {"float32": 1e-4, "tf32": 1e-2, "bf16": 0.1}[precision]
    gap = evaluate(restored.predictor, x, 0.3) - evaluate(model.predictor, x.cuda(), 0.3).cpu()
    assert gap.abs().max() < bound


# -- real images ---------------------------------------------------------------------------------------------


class Digits(Dataset):
    """scikit-learn's digits, 8 x 8."""

    name = "digits_8x8"
    shape = (1, 8, 8)

    def make_split(self, split):
        x = torch.from_numpy(load_digits().images).float()[:, None] / 16
        part = {"train": slice(1400), "val": slice(1400, 1600), "test": slice(1600, None)}[split]
        return Split(x[part])


@pytest.mark.slow
def test_rk4_beats_ddim_on_digits():
    """A minute of training on one core: PSNR (range 2) to the exact solution of the network's own ODE."""
    data = Digits()
    model = fitted(data, width=32, attention=8, time_features=16, batch_size=64, iterations=500)
    assert loss_of(model, data.test.x) < 0.3
    start = noise(16, seed=1)
    exact = Oracle(tolerance=1e-5).sample(model.predictor, start, step=1)

    def psnr(sampler, step):
        error = sampler.sample(model.predictor, start, step=step) - exact
        return (10 * torch.log10(4 / error.square().flatten(1).mean(1))).mean().item()

    at_10, at_100 = (psnr(RungeKutta4(), h) - psnr(DDIM(), h) for h in (10, 100))
    assert at_10 >= 12
    assert at_100 >= 5
    assert psnr(RungeKutta4(), 10) - psnr(DDIM(), 2.5) >= 5  # at equal evaluations
