"""Input complexity (Serra, Alvarez, Gomez, Slizovskaia, Nunez and Luque 2020).

    S(x) = -log p(x) - L(x),

L the length of x under a universal lossless code. S is minus the log-ratio of the model's probability to the
code's, so simple images (short under any code) no longer win by being simple.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from mfbench import DataSpec, Likelihood, Ref
from mfbench_ood.compression import CODECS, compressed_nats, require_codec
from mfbench_ood.images import require_images
from mfbench_ood.references import require_density


class ComplexityCorrected(Likelihood):
    """-S = log p(x) + L(x), in nats: a likelihood, less what a lossless compressor knows as well.

    `compressor`: the code of L; "shortest" takes, image by image, the shortest of the three. The constant
    D log 256 between densities on [0, 1]^D and probabilities of 8-bit images changes no rank and is left out.
    """

    bound: ClassVar[Literal["exact", "lower", "score"]] = "score"

    def __init__(
        self,
        likelihood: Annotated[Ref, "likelihood"] = "diffusion_markov",
        compressor: Literal["png", "jpeg2000", "webp", "shortest"] = "png",
    ) -> None:
        self.likelihood = likelihood
        self.compressor = compressor
        self.codecs = CODECS if compressor == "shortest" else (compressor,)

    def build(self, spec: DataSpec) -> None:
        require_images(spec.shape, "complexity_corrected")
        require_density(self.likelihood, "complexity_corrected")
        for codec in self.codecs:
            require_codec(codec)

    def score(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        lengths = torch.stack([compressed_nats(x, codec) for codec in self.codecs]).amin(0)
        log_prob: Tensor = self.likelihood.log_prob(x, rng=rng)
        return (log_prob.double() + lengths).to(x.dtype)
