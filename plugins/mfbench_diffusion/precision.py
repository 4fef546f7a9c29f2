"""How exactly a network computes on CUDA."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import torch

from mfbench import Unsupported

Precision: TypeAlias = Literal["float32", "tf32", "bf16"]
"""Of products and convolutions: as they are; rounded to TensorFloat-32; in bfloat16 (autocast)."""


def require_cuda(precision: Precision, device: Any) -> None:
    """Unsupported where a reduced precision is asked of a device that is not CUDA: it would not be that."""
    kind = torch.device(device).type
    if precision != "float32" and kind != "cuda":
        raise Unsupported(f'precision = "{precision}" is for CUDA; on the {kind} device "float32" is right')


@contextmanager
def tensor_float(enabled: bool) -> Iterator[None]:
    """TensorFloat-32 for CUDA's float32 products and convolutions, in forward and backward passes inside."""
    if not enabled:
        yield
        return
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = True
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
