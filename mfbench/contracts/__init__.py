"""What a method of each kind, a data set, an attack and a protocol is.

One small file a kind. Nothing here imports torch: tensors appear in annotations only.
"""

from mfbench.contracts.abilities import (
    Certifies,
    ClimbsLadder,
    EstimatesDimension,
    GeneratesLevels,
    HasDensityTerms,
    HasELBO,
    HasEvidence,
    HasFeatures,
    HasSurrogate,
    KnowsAttributes,
    KnowsOutliers,
    PredictsAttributes,
    Reconstructor,
    SuperResolver,
    Unrollable,
)
from mfbench.contracts.attack import Attack, Rung, Threat
from mfbench.contracts.dataset import Dataset, Split
from mfbench.contracts.dataspec import DataSpec
from mfbench.contracts.defense import Defense
from mfbench.contracts.disentangler import Disentangler
from mfbench.contracts.generator import DiffusionModel, GenerativeModel
from mfbench.contracts.history import ImageHistory
from mfbench.contracts.likelihood import DiffusionLikelihood, Likelihood
from mfbench.contracts.method import FileRef, Method, Progress, Ref, Role
from mfbench.contracts.noise import NoisePredictor, NoiseSchedule
from mfbench.contracts.protocol import (
    Clock,
    EvaluationProtocol,
    Measurement,
    Metric,
    Record,
    Timing,
    Value,
)
from mfbench.contracts.sampler import Sampler

__all__ = [
    "Attack",
    "Certifies",
    "ClimbsLadder",
    "Clock",
    "DataSpec",
    "Dataset",
    "Defense",
    "DiffusionLikelihood",
    "DiffusionModel",
    "Disentangler",
    "EstimatesDimension",
    "EvaluationProtocol",
    "FileRef",
    "GeneratesLevels",
    "GenerativeModel",
    "HasDensityTerms",
    "HasELBO",
    "HasEvidence",
    "HasFeatures",
    "HasSurrogate",
    "ImageHistory",
    "KnowsAttributes",
    "KnowsOutliers",
    "Likelihood",
    "Measurement",
    "Method",
    "Metric",
    "NoisePredictor",
    "NoiseSchedule",
    "PredictsAttributes",
    "Progress",
    "Reconstructor",
    "Record",
    "Ref",
    "Role",
    "Rung",
    "Sampler",
    "Split",
    "SuperResolver",
    "Threat",
    "Timing",
    "Unrollable",
    "Value",
]
