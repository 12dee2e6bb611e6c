"""What a process computes in that changes its speed and is not on the command line."""

from __future__ import annotations

import os
from pathlib import Path

import torch

ALLOCATOR = "MALLOC_"
"""What the names of the C library's variables of its allocator begin with."""


def describe() -> str:
    """Threads, and what the allocator was told when the process started, of this process.

    As ``1 thread, MALLOC_TRIM_THRESHOLD_=17179869184``.
    """
    threads = torch.get_num_threads()
    told = sorted(f"{k}={v}" for k, v in _at_start().items() if k.startswith(ALLOCATOR))
    return ", ".join([f"{threads} thread{'s' * (threads > 1)}", *told])


def _at_start() -> dict[str, str]:
    """The environment that the process was started with, which alone the allocator has read."""
    try:
        lines = Path("/proc/self/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # not Linux
        return dict(os.environ)
    return dict(line.split("=", 1) for line in lines if "=" in line)
