"""How the defaults of `ddpm_mlp` were chosen: by the lower bound of Eq. 23 on the validation split, in nats.

    python benchmarks/choose_ddpm_mlp.py [SEED ...]

No unseen set and no test point has a say. Each setting differs from the first line in one parameter; all have
the default's budget of iterations. Points and paths are the same for every setting of a seed: read the
differences. Tu et al. 2023, Eq. 23, at h = 1 with 20 rounds.
"""

from __future__ import annotations

import sys

import torch

import mfbench

SETTINGS: list[dict[str, float]] = [
    {},
    {"learning_rate": 2e-3},
    {"learning_rate": 4e-3},
    {"learning_rate": 9e-3},
    {"frequency": 2.0},
    {"frequency": 4.0},
    {"fourier_features": 64},
    {"ema": 0.9995},
    {"width": 128},
]


def validation_bound(seed: int, **parameters: float) -> float:
    """Mean of Eq. 23 over the validation points of the Swiss roll, after a fit with these parameters."""
    data = mfbench.get("dataset", "swiss_roll", count=10_000, seed=seed)
    generator = mfbench.get("generator", "ddpm_mlp", **parameters)
    generator.build(data.spec())
    generator.fit(data.without_test(), rng=torch.Generator().manual_seed(seed), progress=lambda *_: None)
    markov = mfbench.get("likelihood", "diffusion_markov", rounds=20)
    markov.generator = generator
    return float(markov.log_prob(data.val.x, rng=torch.Generator().manual_seed(seed)).mean())


def main(seeds: list[int]) -> None:
    torch.set_num_threads(1)
    for parameters in SETTINGS:
        bounds = [validation_bound(seed, **parameters) for seed in seeds]
        print(parameters or "defaults", " ".join(f"{bound:.4f}" for bound in bounds), flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [100, 101])
