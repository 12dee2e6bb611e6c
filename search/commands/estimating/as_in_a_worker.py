"""A process that computes, for a while, as a worker does: its threads, allocator and kernels."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from search.scheduling.preparation import settle
from search.spec import ResourcesConfig

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Of mallopt(3): a worker hands back no memory, and takes large pieces from the heap too."""
KEEPING = {TRIM_THRESHOLD: 2**31 - 1, MMAP_MAX: 0}
USUAL = {TRIM_THRESHOLD: 128 * 1024, MMAP_MAX: 65536}


@contextmanager
def as_in_a_worker(resources: ResourcesConfig) -> Iterator[torch.device | None]:
    """The device that a trial would have on this machine; None where it asks for one in vain."""
    threads = torch.get_num_threads()
    settle(resources)
    _allocate(KEEPING)
    try:
        yield _device(resources)
    finally:
        _allocate(USUAL)
        torch.set_num_threads(threads)


def _device(resources: ResourcesConfig) -> torch.device | None:
    if torch.cuda.is_available() and resources.gpus != 0:
        return torch.device("cuda")
    return None if resources.gpus_at_least else torch.device("cpu")


def _allocate(options: dict[int, int]) -> None:
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        if hasattr(library, "gnu_get_libc_version"):
            for option, value in options.items():
                library.mallopt(option, value)
