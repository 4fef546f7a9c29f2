"""Normalizing flows of images: Glow, a flow by wavelet levels, and the paper's hierarchy (Tu et al. 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mfbench

if TYPE_CHECKING:
    from mfbench.registry import Registrar


@mfbench.hookimpl
def mfbench_register(registry: Registrar) -> None:
    """Everything by import path: reading this imports no torch. Each flow is a generator, and its density a
    likelihood of the same name that shares the fit.
    """
    registry.generator(
        "glow",
        "mfbench_flows.glow:Glow",
        summary="multi-scale normalizing flow on pixels",
        reference="Kingma and Dhariwal 2018",
    )
    registry.likelihood(
        "glow",
        "mfbench_flows.glow:GlowDensity",
        summary="exact density of the flow of the same name",
        reference="Kingma and Dhariwal 2018",
    )
    registry.generator(
        "wavelet_flow",
        "mfbench_flows.wavelet_flow:WaveletFlow",
        summary="flows of the Haar details of each level, given the low-pass",
        reference="Yu et al. 2020",
    )
    registry.likelihood(
        "wavelet_flow",
        "mfbench_flows.wavelet_flow:WaveletFlowDensity",
        summary="exact density of the flow of the same name",
        reference="Yu et al. 2020",
    )
    registry.generator(
        "hierarchical_flow",
        "mfbench_flows.hierarchical_flow:HierarchicalFlow",
        summary="autoencoders of each level, and conditional flows on their codes",
        reference="Tu et al. 2023",
    )
    registry.likelihood(
        "hierarchical_flow",
        "mfbench_flows.hierarchical_density:HierarchicalFlowDensity",
        summary="log p(z), log p(y) or log p(x) of a level of the flow of the same name",
        reference="Tu et al. 2023, Eq. 6-8",
    )
