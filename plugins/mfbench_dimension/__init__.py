"""Local intrinsic dimension from neighbours in the training set, and the truth as a ceiling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mfbench

if TYPE_CHECKING:
    from mfbench.registry import Registrar


@mfbench.hookimpl
def mfbench_register(registry: Registrar) -> None:
    """Name every estimator by its import path; nothing is imported here."""
    registry.likelihood(
        "knn_mle",
        "mfbench_dimension.knn_mle:NeighbourLikelihood",
        summary="local dimension by maximum likelihood from the distances to the nearest neighbours",
        reference="Levina and Bickel 2004; MacKay and Ghahramani 2005",
    )
    registry.likelihood(
        "local_pca",
        "mfbench_dimension.local_pca:LocalPCA",
        summary="local dimension by counting the large principal components of the nearest neighbours",
        reference="Fukunaga and Olsen 1971",
    )
    registry.likelihood(
        "oracle_dimension",
        "mfbench_dimension.oracle:OracleDimension",
        summary="the data set's true local dimension: a ceiling",
    )
