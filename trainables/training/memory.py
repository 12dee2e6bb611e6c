"""Memory: the peak of a stretch of work, on the host or the device, and whether it ran out."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def reset_peak(device: torch.device) -> None:
    """Start a new stretch. Where the host's peak cannot be reset, it is that of the process."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):  # not Linux, or a container that forbids it
            _CLEAR.write_text("5")  # proc(5): 5 resets the peak resident set size


def peak_bytes(device: torch.device) -> int:
    """Largest memory since `reset_peak`: allocated on a CUDA device, or resident on the host."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def host_bytes() -> float:
    """What this machine has, whoever uses it."""
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory ran out, on the host or on the device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    message = str(error)
    return "DefaultCPUAllocator" in message or "out of memory" in message
