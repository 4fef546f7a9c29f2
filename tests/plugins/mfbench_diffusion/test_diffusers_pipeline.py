"""A saved diffusers model as a diffusion model: on tiny models that the tests save themselves."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from diffusion_fakes import seeded
from mfbench_diffusion.beta_schedule import BetaSchedule, betas_of
from mfbench_diffusion.ddim import DDIM
from mfbench_diffusion.diffusers_folder import download, open_folder
from mfbench_diffusion.diffusers_pipeline import DiffusersPipeline
from mfbench_diffusion.grids import evaluate
from mfbench_diffusion.model_space import log_determinant
from mfbench_diffusion.ode import DiffusionODE
from mfbench_diffusion.oracle import Oracle
from mfbench_diffusion.rk4 import RungeKutta4

from mfbench import Unsupported, UserError
from mfbench.testing.data import TinyImages

diffusers = pytest.importorskip("diffusers", reason="diffusers (extra `diffusers`) is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # its own

T = 1000
TINY = {
    "sample_size": 8,
    "in_channels": 1,
    "out_channels": 1,
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "norm_num_groups": 4,
    "attention_head_dim": 8,
}


def save(folder, *, flat=False, scheduler=None, safe=True, **config):
    """A network with random weights and a scheduler, as a pipeline has them or side by side; the network."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = diffusers.UNet2DModel(**{**TINY, **config}).eval().requires_grad_(False)
    network.save_pretrained(folder if flat else folder / "unet", safe_serialization=safe)
    made = scheduler or diffusers.DDPMScheduler(num_train_timesteps=T)
    made.save_pretrained(folder if flat else folder / "scheduler")
    return network


@pytest.fixture(scope="module")
def data():
    return TinyImages(channels=1, size=8)


def ready(folder, data, **parameters):
    model = DiffusersPipeline(folder=str(folder), **parameters)
    model.build(data.spec())
    model.fit(data.without_test(), rng=seeded(), progress=lambda done, total: None)
    return model


def noise(count, channels=1, dtype=torch.float32):
    return torch.randn(count, channels, 8, 8, generator=seeded(), dtype=dtype)


def scheduler_for(**options):
    """With the settings under which its DDIM is the one of the paper."""
    return diffusers.DDIMScheduler(
        num_train_timesteps=T,
        clip_sample=False,
        timestep_spacing="trailing",
        set_alpha_to_one=True,
        **options,
    )


# -- against diffusers' own loop -----------------------------------------------------------------------------


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("betas", ["linear", "scaled_linear", "squaredcos_cap_v2"])
def test_ddim_is_their_ddim(tmp_path, data, prediction, betas):
    scheduler = scheduler_for(prediction_type=prediction, beta_schedule=betas)
    network, count = save(tmp_path, scheduler=scheduler), 10
    model, theirs = ready(tmp_path, data), noise(3)
    scheduler.set_timesteps(count)
    for t in scheduler.timesteps:
        theirs = scheduler.step(network(theirs, t).sample, t, theirs).prev_sample
    ours = DDIM().sample(model.predictor, noise(3), step=T / count)
    # abar_T of the cosine schedule is 2e-9: what float32 has left of it is amplified in the first step
    bound = 2e-5 if betas != "squaredcos_cap_v2" else 5e-4
    assert (ours - theirs).abs().max() < bound * theirs.abs().max().clamp(min=1)


def test_trained_betas(tmp_path, data):
    betas = torch.linspace(1e-3, 0.3, 30).tolist()
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=30, trained_betas=betas)
    save(tmp_path, scheduler=scheduler)
    model = ready(tmp_path, data)
    assert model.schedule.num_steps == 30
    found = model.schedule.alpha_bar(torch.arange(1, 31, dtype=torch.float64) / 30)
    assert torch.allclose(found, scheduler.alphas_cumprod.double(), rtol=1e-5)


@pytest.mark.parametrize("kind", ["linear", "scaled_linear", "squaredcos_cap_v2"])
def test_betas_are_theirs(kind):
    scheduler = diffusers.DDPMScheduler(
        num_train_timesteps=200, beta_start=1e-3, beta_end=0.05, beta_schedule=kind
    )
    betas = betas_of(scheduler.config, "scheduler_config.json")
    assert torch.allclose(betas, scheduler.betas.double(), rtol=1e-4, atol=1e-6)


def test_alpha_bar_between_the_steps():
    schedule = BetaSchedule(torch.tensor([0.1, 0.2, 0.4], dtype=torch.float64))
    t = torch.tensor([0, 1 / 3, 0.5, 2 / 3, 1, 2], dtype=torch.float64)
    exact = [1, 0.9, 0.9 * 0.8**0.5, 0.72, 0.432, 0.432]
    assert torch.allclose(schedule.alpha_bar(t), torch.tensor(exact, dtype=torch.float64))


# -- the predictor -------------------------------------------------------------------------------------------


def test_times_are_real_and_theirs_are_ours_less_one(tmp_path, data):
    network, x = save(tmp_path), noise(2)
    model = ready(tmp_path, data)
    for k in (1.0, 500.0, 500.5, 1000.0):
        theirs = network(x, torch.tensor(k - 1)).sample
        assert torch.allclose(evaluate(model.predictor, x, k / T), theirs, atol=1e-6)
    assert torch.equal(evaluate(model.predictor, x, 0.0), evaluate(model.predictor, x, 1 / T))
    rows = model.predictor(x, torch.tensor([0.2, 0.9]))
    assert torch.allclose(rows[1], evaluate(model.predictor, x, 0.9)[1], atol=1e-6)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_finite_at_both_ends(tmp_path, data, prediction):
    save(tmp_path, scheduler=scheduler_for(prediction_type=prediction))
    model = ready(tmp_path, data)
    for t in (0.0, 1e-9, 1.0):
        assert torch.isfinite(evaluate(model.predictor, noise(2), t)).all()


def test_a_learned_variance_is_left_aside(tmp_path, data):
    network, x = save(tmp_path, out_channels=2), noise(2)
    eps = evaluate(ready(tmp_path, data).predictor, x, 0.5)
    assert torch.allclose(eps, network(x, torch.tensor(499.0)).sample[:, :1], atol=1e-6)


def test_float64_is_smooth_in_time(tmp_path, data):
    """diffusers rounds times to float32; in float64 we do not, or adaptive solvers would stumble."""
    save(tmp_path)
    model, x = ready(tmp_path, data), noise(1, dtype=torch.float64)
    near = [evaluate(model.predictor, x, 0.9 + i * 1e-9) for i in range(3)]
    first, second = near[1] - near[0], near[2] - near[1]
    assert first.abs().max() > 0
    assert torch.allclose(first, second, rtol=1e-3, atol=1e-14)
    single = evaluate(model.predictor, x.float(), 0.9)
    assert (near[0] - single).abs().max() < 1e-5


# -- what builds on it ---------------------------------------------------------------------------------------


def test_samplers_and_densities(tmp_path):
    few = diffusers.DDPMScheduler(num_train_timesteps=20, beta_start=0.005, beta_end=0.6)
    save(tmp_path, scheduler=few, in_channels=3, out_channels=3)
    data = TinyImages(channels=3, size=8)
    model = ready(tmp_path, data, chunk=2, steps=5)
    start = noise(3, channels=3)
    exact = Oracle(tolerance=1e-3).sample(model.predictor, start, step=1)
    near = RungeKutta4("asinh").sample(model.predictor, start, step=0.5)
    assert (near - exact).abs().max() < 0.02 * exact.abs().max()
    x = data.test.x[:3]
    log_prob = DiffusionODE(model, steps=2, probes=2).log_prob(x, rng=seeded())
    assert torch.isfinite(log_prob).all()
    assert log_determinant(model, x) == pytest.approx(192 * torch.tensor(2.0).log().item())
    assert torch.allclose(model.to_data(model.to_model(x)), x, atol=1e-6)
    assert torch.equal(model.sample(2, rng=seeded()), model.sample(2, rng=seeded()))


@pytest.mark.parametrize("flat", [False, True])
def test_state_round_trip_and_both_layouts(tmp_path, data, flat):
    save(tmp_path, flat=flat)
    model, x = ready(tmp_path, data), noise(2)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    restored = DiffusersPipeline(folder=str(tmp_path))
    restored.build(data.spec())
    restored.load_state_dict(state)
    assert torch.equal(evaluate(restored.predictor, x, 0.4), evaluate(model.predictor, x, 0.4))
    assert not restored.network.training


def test_no_global_draws(tmp_path, data):
    save(tmp_path)
    model = DiffusersPipeline(folder=str(tmp_path))
    model.build(data.spec())
    before = torch.get_rng_state()
    model.fit(data, rng=seeded(), progress=lambda done, total: None)
    assert torch.equal(torch.get_rng_state(), before)


def test_its_content_is_its_identity(tmp_path):
    """As a suite has it: the folder enters the key by content hash, and moving it changes nothing."""
    from mfbench.plan.values import content_hash
    from mfbench.registry import load_registry
    from mfbench.registry.signatures import read_signatures

    registry = load_registry()
    signature = read_signatures(registry, [("generator", "diffusers_pipeline")])[
        "generator", "diffusers_pipeline"
    ]
    assert signature.parameter("folder").type == "file"
    save(tmp_path / "one")
    save(tmp_path / "two")
    assert content_hash(tmp_path / "one") == content_hash(tmp_path / "two")
    (tmp_path / "two" / "scheduler" / "scheduler_config.json").write_text("{}")
    assert content_hash(tmp_path / "one") != content_hash(tmp_path / "two")


# -- what is refused -----------------------------------------------------------------------------------------


def change(file, **fields):
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def test_pickled_weights_are_refused(tmp_path, data):
    save(tmp_path, safe=False)
    assert list((tmp_path / "unet").glob("*.bin"))
    with pytest.raises(UserError, match=r"no diffusion_pytorch_model.safetensors \(.bin files"):
        ready(tmp_path, data)


@pytest.mark.parametrize(
    ("file", "fields", "message"),
    [
        ("unet/config.json", {"_class_name": "UNet2DConditionModel"}, "_class_name = 'UNet2DConditionModel'"),
        ("unet/config.json", {"num_class_embeds": 10}, "num_class_embeds = 10: only unconditional"),
        ("unet/config.json", {"time_embedding_type": "fourier"}, "time_embedding_type = 'fourier'"),
        ("unet/config.json", {"out_channels": 3}, "out_channels = 3"),
        ("scheduler/scheduler_config.json", {"beta_schedule": "sigmoid"}, "beta_schedule = 'sigmoid'"),
        ("scheduler/scheduler_config.json", {"prediction_type": "flow"}, "prediction_type = 'flow'"),
        ("scheduler/scheduler_config.json", {"rescale_betas_zero_snr": True}, "rescale_betas_zero_snr"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 1}, "num_train_timesteps = 1"),
        ("scheduler/scheduler_config.json", {"beta_start": "small"}, "beta_start"),
        ("scheduler/scheduler_config.json", {"trained_betas": [0.1, 1.5]}, "trained_betas"),
        ("scheduler/scheduler_config.json", {"trained_betas": [0.1]}, "trained_betas"),
    ],
)
def test_configurations_that_are_not_ours(tmp_path, data, file, fields, message):
    save(tmp_path)
    change(tmp_path / file, **fields)
    with pytest.raises(UserError) as error:
        ready(tmp_path, data)
    assert message in str(error.value)
    assert str(tmp_path / file) in str(error.value)


def test_files_that_are_missing_or_damaged(tmp_path, data):
    save(tmp_path)
    weights = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="weights cannot be read"):
        ready(tmp_path, data)
    weights.write_bytes(whole)
    (tmp_path / "scheduler" / "scheduler_config.json").write_text("{")
    with pytest.raises(UserError, match=r"scheduler_config.json: not JSON"):
        open_folder(tmp_path)
    (tmp_path / "scheduler" / "scheduler_config.json").unlink()
    with pytest.raises(UserError, match=r"scheduler_config.json: there is no such file"):
        open_folder(tmp_path)


def test_weights_must_be_complete(tmp_path, data):
    from safetensors.torch import load_file, save_file

    save(tmp_path)
    file = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    del weights["conv_in.weight"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"1 weights are missing, the first is conv_in.weight"):
        ready(tmp_path, data)


def test_other_images_are_unsupported(tmp_path):
    save(tmp_path)
    for channels, size in ((3, 8), (1, 16)):
        with pytest.raises(Unsupported, match=r"images \(1, 8, 8\)"):
            ready(tmp_path, TinyImages(channels=channels, size=size))


def test_one_source_is_named(tmp_path, data):
    for parameters in ({}, {"folder": str(tmp_path), "hub": "a/b"}):
        with pytest.raises(UserError, match="name a `folder`"):
            DiffusersPipeline(**parameters).build(data.spec())
    with pytest.raises(UserError, match=r"revision = 'main': the commit of a/b"):
        DiffusersPipeline(hub="a/b", revision="main").build(data.spec())


def test_the_hub_is_asked_for_configurations_and_safetensors_alone(tmp_path, data, monkeypatch):
    import fnmatch

    import huggingface_hub

    network, x, commit = save(tmp_path), noise(1), "0123456789" * 4
    asked = {}

    def snapshot(hub, *, revision, allow_patterns):
        asked.update(hub=hub, revision=revision, patterns=allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    model = DiffusersPipeline(hub="some/model", revision=commit)
    model.build(data.spec())
    model.fit(data, rng=seeded(), progress=lambda done, total: None)
    theirs = network(x, torch.tensor(499.0)).sample
    assert torch.allclose(evaluate(model.predictor, x, 0.5), theirs, atol=1e-6)
    assert (asked["hub"], asked["revision"]) == ("some/model", commit)

    def is_asked_for(name):
        return any(fnmatch.fnmatch(name, pattern) for pattern in asked["patterns"])

    assert is_asked_for("unet/config.json")
    assert is_asked_for("unet/diffusion_pytorch_model.safetensors")
    assert is_asked_for("diffusion_pytorch_model-00001-of-00002.safetensors")
    assert not is_asked_for("unet/diffusion_pytorch_model.bin")
    assert not is_asked_for("text_encoder/model.safetensors")


def test_no_network(monkeypatch):
    import huggingface_hub

    def fail(*arguments, **keywords):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(UserError, match=r"hub = 'a/b': cannot be fetched: no route to host"):
        download("a/b", "0" * 40)


def test_without_diffusers(tmp_path, data, monkeypatch):
    save(tmp_path)
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(UserError, match=r"pip install 'mfbench\[diffusers\]'"):
        ready(tmp_path, data)
