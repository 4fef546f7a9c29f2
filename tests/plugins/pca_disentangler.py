"""Principal components as a code."""

import torch

import mfbench


class PCA(mfbench.Disentangler):
    """z = V^T (x - mean) with the `dim` directions V of largest variance; its symbols are the signs of z."""

    def __init__(self, dim: int = 4):
        self.dim = dim

    def build(self, spec):
        self.shape = spec.shape

    def fit(self, data, *, rng, progress):
        x = data.train.x.flatten(1)
        self.mean = x.mean(0)
        self.directions = torch.linalg.svd(x - self.mean, full_matrices=False).Vh[: self.dim].T

    def encode(self, x):
        return (x.flatten(1) - self.mean) @ self.directions

    def decode(self, z):
        return (self.mean + z @ self.directions.T).unflatten(1, self.shape)

    def symbols(self, x):
        return (self.encode(x) > 0).long()

    def state_dict(self):
        return {"mean": self.mean, "directions": self.directions}

    def load_state_dict(self, state):
        self.mean, self.directions = state["mean"], state["directions"]


@mfbench.hookimpl
def mfbench_register(registry):
    registry.disentangler(
        "principal_components", PCA, summary="principal components", reference="Pearson 1901"
    )
