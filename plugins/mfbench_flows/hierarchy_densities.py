"""The log-densities that a hierarchy gives an image at a level, in nats (Tu et al. 2023, Eq. 6-8; Fig. 2).

All take x (n, c, h, w), full-size images in model space, and give (n,).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor

from mfbench_flows.autoencoder import Autoencoder
from mfbench_flows.hierarchy import Hierarchy
from mfbench_flows.jacobians import by_columns, by_rows, log_volume
from mfbench_flows.step import log_standard_normal

LATENT, FLOWS, AUTOENCODERS = "log p(z)", "log |det| of the flow", "log |det| of the autoencoder"
"""The terms of a log-density."""


def log_pz(hierarchy: Hierarchy, x: Tensor, level: int) -> Tensor:
    """log N(z_level; 0, I)."""
    return code_terms(hierarchy, hierarchy.encode(x, level), level, one=True)[LATENT]


def log_py(hierarchy: Hierarchy, x: Tensor, level: int) -> Tensor:
    """log p(y_level | x_hat_{level + 1}) = log N(z_level; 0, I) + log |det dg/dy|  (Eq. 6)."""
    terms = code_terms(hierarchy, hierarchy.encode(x, level), level, one=True)
    return terms[LATENT] + terms[FLOWS]


def code_terms(
    hierarchy: Hierarchy, codes: Sequence[Tensor], level: int = 1, one: bool = False
) -> dict[str, Tensor]:
    """log N(z_i; 0, I) and log |det dg_i/dy_i| of [y_level, ..., y_L]: sums over i >= level, or `one`, of
    this level alone.
    """
    latents = hierarchy.latents(codes, level)
    pairs = [(log_standard_normal(z), log_det) for z, log_det in ([next(latents)] if one else latents)]
    base, log_det = (torch.stack(terms).sum(0) for terms in zip(*pairs))
    return {LATENT: base, FLOWS: log_det}


def log_codes(hierarchy: Hierarchy, codes: Sequence[Tensor], level: int = 1) -> Tensor:
    """sum_{i >= level} log p(y_i | x_hat_{i+1}) of [y_level, ..., y_L]: the density of all the codes."""
    terms = code_terms(hierarchy, codes, level)
    return terms[LATENT] + terms[FLOWS]


def log_px_exact(hierarchy: Hierarchy, codes: Sequence[Tensor], level: int = 1) -> Tensor:
    """sum_{i >= level} log p(y_i | x_hat_{i+1}) - 1/2 log det(J_G^T J_G) of [y_level, ..., y_L].

    G: (y_level, ..., y_L) -> x_hat_level is the decoder cascade. Where G is one to one, this is the density
    of x_hat_level on the image of G by its surface measure, of dimension d = sum d_i.
    """
    return log_codes(hierarchy, codes, level) - decoder_volume(hierarchy, codes, level)


def decoder_volume(hierarchy: Hierarchy, codes: Sequence[Tensor], level: int = 1) -> Tensor:
    """1/2 log det(J_G^T J_G)."""
    flat = torch.cat([code.flatten(1) for code in codes], 1)
    counts = [math.prod(shape) for shape in hierarchy.code_shapes[level - 1 :]]

    def cascade(flat: Tensor) -> Tensor:
        parts = torch.split(flat, counts, 1)
        shaped = [part.view(-1, *shape) for part, shape in zip(parts, hierarchy.code_shapes[level - 1 :])]
        return hierarchy.decode(shaped, level)[0].flatten(1)

    return log_volume(by_columns(cascade, flat))


def log_px_paper(hierarchy: Hierarchy, x: Tensor, level: int) -> Tensor:
    """sum_{i >= level} log p(y_i | x_hat_{i+1}) + 1/2 log det(J_i J_i^T), J_i = df_i/dx_i  (Eq. 7, 8).

    Eq. 7 writes |det J_i| of a matrix that is not square; the product of its singular values is what that
    can mean. Eq. 8 adds the densities of x_i and of x_{i+1}, which is a function of x_i: not a density.
    """
    codes = log_codes(hierarchy, hierarchy.encode(x, level), level)
    return codes + encoder_volumes(hierarchy, x, level)


def encoder_volumes(hierarchy: Hierarchy, x: Tensor, level: int) -> Tensor:
    """sum_{i >= level} 1/2 log det(J_i J_i^T)."""
    volumes = []
    for i in range(level, hierarchy.levels + 1):
        encoder = _flat_encoder(hierarchy, i)
        volumes.append(log_volume(by_rows(encoder, hierarchy.at_level(x, i).flatten(1)).mT))
    return torch.stack(volumes).sum(0)


def _flat_encoder(hierarchy: Hierarchy, level: int) -> Callable[[Tensor], Tensor]:
    """f_level from (n, N_level C) to (n, d_level)."""
    autoencoder = cast(Autoencoder, hierarchy.autoencoders[level - 1])
    shape = hierarchy.shapes[level - 1]
    return lambda flat: autoencoder.encoder(flat.view(-1, *shape)).flatten(1)
