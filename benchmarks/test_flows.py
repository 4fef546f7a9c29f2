"""What flows cost beside their networks: pytest benchmarks/test_flows.py

Target, on one CPU thread: a training step and a density within 15 % of the networks alone, for 3 x 32 x 32.
The networks are the couplings', the readers of the condition and, of the hierarchy, the autoencoders: the
same calls with the same inputs, with a backward pass and Adam where they are trained. What is compared takes
turns, and the minima of its CPU time count, so that a busy machine disturbs both alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager

import pytest
import torch
from mfbench_flows.autoencoder import Decoder, Encoder
from mfbench_flows.coupling import AffineCoupling
from mfbench_flows.features import ConditionFeatures
from mfbench_flows.glow import Glow
from mfbench_flows.hierarchical_density import HierarchicalFlowDensity
from mfbench_flows.hierarchical_flow import HierarchicalFlow
from mfbench_flows.training import train
from mfbench_flows.wavelet_flow import WaveletFlow
from torch import nn

from mfbench.contracts import DataSpec
from mfbench.engine.heap import keep_freed_memory
from mfbench.timing import synchronized_timer

LIMIT = 1.15
SHAPE, BATCH, SCORED = (3, 32, 32), 32, 128
WIDTH = 64
"""Of the couplings' networks. What is between them takes the same time at any width: its share is about twice
as large at the defaults' 32, whose networks take half as long."""
REPEATS, STEPS = 7, 4

pytestmark = pytest.mark.benchmark(timer=synchronized_timer)


@pytest.fixture(autouse=True)
def _as_in_a_run():
    keep_freed_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made(kind):
    """A flow with the weights it begins with: what it costs does not depend on them."""
    model = {
        "glow": lambda: Glow(width=WIDTH),
        "wavelet_flow": lambda: WaveletFlow(width=WIDTH),
        "hierarchical_flow": lambda: HierarchicalFlow(levels=3, flow_width=WIDTH),
    }[kind]()
    model.build(DataSpec(shape=SHAPE, train_count=1))
    return model


def images(count):
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(1))


def minima(*functions, repeats=REPEATS):
    """The shortest of `repeats` calls of each function, in seconds of CPU; they take turns."""
    shortest = [float("inf")] * len(functions)
    for _ in range(repeats):
        for i, function in enumerate(functions):
            begun = time.process_time()
            function()
            shortest[i] = min(shortest[i], time.process_time() - begun)
    return shortest


@contextmanager
def watched(model):
    """The calls of the model's networks, as (network, inputs, whether it was trained), while inside."""
    calls, hooks = [], []

    def watch(network: nn.Module) -> None:
        def note(module, inputs, answer):
            given = [x if x is None else x.detach().clone().requires_grad_(x.requires_grad) for x in inputs]
            calls.append((module, given, answer.requires_grad))

        hooks.append(network.register_forward_hook(note))

    for module in model.networks.modules():
        if isinstance(module, AffineCoupling | ConditionFeatures):
            watch(module.network)
        elif isinstance(module, Encoder | Decoder):
            watch(module)
    yield calls
    for hook in hooks:
        hook.remove()


def steps_of(trained: nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], None]:
    """Some steps of the flows' own training loop, without a change of the weights."""

    def steps():
        train(
            trained,
            lambda _: loss(),
            range(STEPS),
            iterations=STEPS,
            learning_rate=1e-30,
            progress=lambda done, total: None,
            who="benchmark",
        )

    return steps


def alone(calls):
    """The loss of the networks alone, whose gradients go to the inputs that have one in the flow."""

    def loss():
        for _, inputs, _ in calls:
            for x in inputs:
                if x is not None:
                    x.grad = None
        return torch.stack([network(*inputs).mean() for network, inputs, _ in calls]).sum()

    return loss


PHASES = {
    "glow": lambda model: [(model.networks, lambda x: -model.log_prob(x).mean())],
    "wavelet_flow": lambda model: [(model.networks, lambda x: -model.log_prob(x).mean())],
    "hierarchical_flow": lambda model: [
        (model.hierarchy.autoencoders, lambda x: model._squared_errors(model.space.to_model(x))),
        (model.hierarchy.flows, lambda x: model._code_losses(model.space.to_model(x))),
    ],
}


@pytest.mark.parametrize("kind", PHASES)
def test_training(benchmark, kind):
    """Steps of each training on 32 images; the hierarchy has two trainings, of as many steps."""
    model, x, whole, bare = made(kind), images(BATCH), [], []
    for trained, loss in PHASES[kind](model):
        model.networks.requires_grad_(False)
        trained.requires_grad_(True)
        with watched(model) as calls:
            loss(x)
        shared = nn.ModuleList({id(network): network for network, _, learned in calls if learned}.values())
        took = minima(steps_of(trained, lambda loss=loss: loss(x)), steps_of(shared, alone(calls)))
        whole.append(took[0])
        bare.append(took[1])
    benchmark.extra_info |= {"training over networks": sum(whole) / sum(bare)}
    benchmark.pedantic(steps_of(trained, lambda: loss(x)), rounds=1)
    assert sum(whole) < LIMIT * sum(bare)


DENSITIES = {
    "glow": lambda model: model.log_prob,
    "wavelet_flow": lambda model: model.log_prob,
    "log_pz": lambda model: HierarchicalFlowDensity(model, "log_pz", 1).score,
    "log_py": lambda model: HierarchicalFlowDensity(model, "log_py", 1).score,
}


@pytest.mark.parametrize("kind", DENSITIES)
@torch.no_grad()
def test_density(benchmark, kind):
    """Of 128 images."""
    model, x = made(kind if kind in PHASES else "hierarchical_flow"), images(SCORED)
    density = DENSITIES[kind](model)
    with watched(model) as calls:
        density(x)

    def networks():
        for network, inputs, _ in calls:
            network(*inputs)

    scored, bare = minima(lambda: density(x), networks)
    benchmark.extra_info |= {"density over networks": scored / bare}
    benchmark.pedantic(lambda: density(x), rounds=1)
    assert scored < LIMIT * bare
