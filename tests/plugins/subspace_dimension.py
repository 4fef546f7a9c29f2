"""How many dimensions the training data have as a whole: an estimator that ranks nothing."""

import torch

import mfbench


class SubspaceDimension(mfbench.Likelihood, mfbench.EstimatesDimension):
    """Participation ratio of the covariance's eigenvalues l: (sum l)^2 / sum l^2, everywhere the same."""

    bound = "score"

    def fit(self, data, *, rng, progress):
        spectrum = torch.linalg.svdvals(data.train.x.flatten(1) - data.train.x.flatten(1).mean(0)).square()
        self.ratio = float(spectrum.sum() ** 2 / spectrum.square().sum())

    def intrinsic_dimension(self, x, *, rng=None):
        return x.new_full((len(x),), self.ratio)

    def score(self, x, *, rng=None):
        raise mfbench.Unsupported("it ranks nothing")


@mfbench.hookimpl
def mfbench_register(registry):
    registry.likelihood("subspace_dimension", SubspaceDimension, summary="participation ratio")
