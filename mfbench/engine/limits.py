"""Memory limits: in the process that has one, and seen from outside."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mfbench.processes import descendants

_PAGE = os.sysconf("SC_PAGE_SIZE")


@contextmanager
def memory_limited(limit: int | None, device: str) -> Iterator[None]:
    """Let this process take `limit` bytes at most; what exceeds them raises MemoryError or torch's like.

    On the CPU, private writable memory (RLIMIT_DATA) may grow by what lies between the present resident
    size and the limit: libraries reserve more than they use. On CUDA the device's share is limited instead,
    for the driver reserves address space without measure. The supervisor watches the resident size besides.
    """
    if limit is None:
        yield
    elif device.startswith("cuda"):
        _limit_device(limit, device)
        yield
    else:
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        allowed = _data_size() + max(0, limit - (resident_size() or 0))
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def resident_size(pid: int | str = "self") -> int | None:
    """Bytes of physical memory a process holds; None where the system does not say or it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return None


def held_memory(pid: int, limit: int) -> int:
    """Bytes of physical memory that a process and its descendants hold; 0 where the system does not say.

    What forked processes share is counted once. As that takes the system long to say, it is asked only where
    the plain sum exceeds `limit`: below it, the answer is that sum.
    """
    family = [pid, *descendants(pid)]
    sizes = [resident_size(each) or 0 for each in family]
    if sum(sizes) <= limit:
        return sum(sizes)
    return max(sizes[0], sum(_proportional_size(each) for each in family))


def _proportional_size(pid: int) -> int:
    """Resident bytes, where each page counts as a fraction: one over the number of its holders."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return resident_size(pid) or 0
    return 1024 * next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)


def readable(size: float) -> str:
    """A number of bytes as a person reads it: "1.5 GiB"."""
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"


def _data_size() -> int:
    """Bytes that count against RLIMIT_DATA; 0 where the system does not say, which makes the limit strict."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    kilobytes = next((line.split()[1] for line in status.splitlines() if line.startswith("VmData:")), "0")
    return int(kilobytes) * 1024


def _limit_device(limit: int, device: str) -> None:
    import torch

    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, limit / total), device)
