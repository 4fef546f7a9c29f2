"""What a child's environment must say before its libraries load."""

from __future__ import annotations

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

CUBLAS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""Without it cuBLAS is not deterministic."""


def environment(threads: int) -> dict[str, str]:
    """Threads of every numerical library, and a deterministic cuBLAS."""
    return {**dict.fromkeys(THREAD_VARIABLES, str(threads)), **CUBLAS}
