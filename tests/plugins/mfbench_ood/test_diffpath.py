"""Path statistics on Gaussian data, where each step of the path is a multiplication."""

from __future__ import annotations

import pytest
import torch
from mfbench_ood.diffpath import DiffusionPath
from ood_fakes import Exact, gaussian
from protocol_fakes import fitted

from mfbench import UserError
from mfbench.measures import auroc
from mfbench.schedules import LinearSchedule, sigma_at

SPECTRUM = [2.0, 1.0, 0.5, 0.1]
DATA = gaussian(SPECTRUM, count=600)
V = torch.tensor(SPECTRUM, dtype=torch.float64)


def factors(times):
    """eps = factor * x along the Euler path from x, (steps, D), by the recursion in y = x_t / sqrt(abar)."""
    schedule = LinearSchedule(1000)
    sigmas, abars = sigma_at(schedule, times), schedule.alpha_bar(times)
    y, found = 1 / abars[0].sqrt() * torch.ones_like(V), []
    for k in range(len(times)):
        found.append((1 - abars[k]).sqrt() * abars[k].sqrt() * y / (abars[k] * V + 1 - abars[k]))
        if k + 1 < len(times):
            y = y + (sigmas[k + 1] - sigmas[k]) * found[-1]
    return torch.stack(found)


def test_statistics_are_the_sums_of_powers_along_the_path():
    steps, x = 8, DATA.test.x[:20].double()
    times = 1e-3 + (1 - 1e-3) * torch.arange(steps, dtype=torch.float64) / steps
    eps = factors(times)[:, None] * x  # (steps, n, D)
    rate = eps.diff(dim=0) / ((1 - 1e-3) / steps)
    expected = [values.pow(p).sum(dim=(0, 2)) for values in (eps, rate) for p in (1, 2, 3)]
    found = DiffusionPath(Exact(DATA), steps=steps).statistics(x)
    assert torch.allclose(found, torch.stack(expected, 1), rtol=1e-7, atol=1e-7)


def test_with_many_steps_it_follows_the_flow():
    """Along the probability-flow ODE x_t / sqrt(abar v + 1 - abar) stays as it is."""
    x = DATA.test.x[:20].double()
    path = DiffusionPath(Exact(DATA), steps=2000).path(x)
    for level, eps in path[:: len(path) // 5]:
        abar = level.signal**2
        x_t = x * ((abar * V + 1 - abar) / V).sqrt()
        assert torch.allclose(eps, (1 - abar) ** 0.5 * x_t / (abar * V + 1 - abar), atol=0.05)


@pytest.mark.parametrize("density", ["gmm", "kde"])
def test_seen_above_unseen_and_the_state_is_enough(density):
    method = fitted(DiffusionPath(Exact(DATA), density=density, components=2), DATA)
    scores = method.score(DATA.test.x)
    assert auroc(scores, method.score(3 * DATA.test.x)) > 0.9
    copy = DiffusionPath(Exact(DATA), density=density, chunk=13)
    copy.build(DATA.spec())
    copy.load_state_dict(method.state_dict())
    assert torch.allclose(copy.score(DATA.test.x), scores, atol=1e-4)


def test_one_step_shows_no_change():
    with pytest.raises(UserError, match="diffpath: steps = 1: at least 2"):
        DiffusionPath(Exact(DATA), steps=1)
