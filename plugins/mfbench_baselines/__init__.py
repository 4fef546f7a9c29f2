"""Baselines, yardsticks, ceilings and controls: what every new method has to be compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mfbench

if TYPE_CHECKING:
    from mfbench.registry import Registrar


@mfbench.hookimpl
def mfbench_register(registry: Registrar) -> None:
    """Name every baseline by its import path; nothing is imported here."""
    _register_likelihoods(registry)
    _register_generators(registry)
    _register_disentanglers(registry)


def _register_likelihoods(registry: Registrar) -> None:
    registry.likelihood(
        "kde",
        "mfbench_baselines.kde:KernelDensity",
        summary="Gaussian kernel density, bandwidth by leave-one-out maximum likelihood",
        reference="Parzen 1962; Habbema et al. 1974",
    )
    registry.likelihood(
        "gmm",
        "mfbench_baselines.mixture:MixtureLikelihood",
        summary="mixture of full-covariance Gaussians fitted by EM (scikit-learn)",
        reference="Dempster et al. 1977",
    )
    registry.likelihood(
        "gaussian",
        "mfbench_baselines.gaussian:Gaussian",
        summary="one Gaussian with the data's mean and covariance",
    )
    registry.likelihood(
        "zuko_nsf",
        "mfbench_baselines.flow:FlowLikelihood",
        summary="exact density of a neural spline flow (zuko)",
        reference="Durkan et al. 2019",
    )
    registry.likelihood(
        "isolation_forest",
        "mfbench_baselines.outliers:IsolationForestScore",
        summary="mean path length in random trees (scikit-learn)",
        reference="Liu et al. 2008",
    )
    registry.likelihood(
        "lof",
        "mfbench_baselines.outliers:LocalOutlierFactorScore",
        summary="local density against that of the neighbours (scikit-learn)",
        reference="Breunig et al. 2000",
    )
    registry.likelihood(
        "oracle_density",
        "mfbench_baselines.oracles:OracleDensity",
        summary="the data set's true log-density: a reference that a method may exceed",
    )
    registry.likelihood(
        "oracle_bayes",
        "mfbench_baselines.oracles:OracleBayes",
        summary="log p_in - log p_out, the best possible score: a ceiling, shown the OOD set",
        reference="Neyman and Pearson 1933",
    )
    registry.likelihood(
        "untrained_network",
        "mfbench_baselines.control:UntrainedNetwork",
        summary="a likelihood whose network has random weights: a control",
    )


def _register_generators(registry: Registrar) -> None:
    registry.generator(
        "gmm",
        "mfbench_baselines.mixture:MixtureGenerator",
        summary="mixture of full-covariance Gaussians fitted by EM (scikit-learn)",
        reference="Dempster et al. 1977",
    )
    registry.generator(
        "zuko",
        "mfbench_baselines.flow:SplineFlow",
        summary="neural spline flow trained by maximum likelihood (zuko)",
        reference="Durkan et al. 2019",
    )
    registry.generator(
        "held_out",
        "mfbench_baselines.oracles:HeldOut",
        summary="the validation split itself: held-out against held-out, the floor of every distance",
    )
    registry.generator(
        "exact_diffusion",
        "mfbench_baselines.oracles:ExactDiffusion",
        summary="the data set's closed-form noise predictor served as a diffusion model",
    )


def _register_disentanglers(registry: Registrar) -> None:
    registry.disentangler(
        "pca",
        "mfbench_baselines.linear_codes:PrincipalComponents",
        summary="principal components (scikit-learn)",
        reference="Pearson 1901",
    )
    registry.disentangler(
        "random_projection",
        "mfbench_baselines.linear_codes:RandomProjection",
        summary="random directions with the best linear decoder: a control",
    )
    registry.disentangler(
        "oracle_factors",
        "mfbench_baselines.factor_oracle:OracleFactors",
        summary="the true attributes as a code: the ceiling",
    )
