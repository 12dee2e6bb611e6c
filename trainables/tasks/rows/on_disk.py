"""Numbers in a file that are read where they are asked for, and leave no memory behind.

A memory map would be simpler, but the pages that it touches, and those around them that the kernel
maps along, count as the process's memory.
"""

from __future__ import annotations

import os
import weakref

import numpy as np
from jaxtyping import Num


class OnDisk:
    """N steps of F numbers in an open file, which may have lost its name; slices are read.

    Args:
        descriptor: of the file; it is duplicated, and closed with the last use
        shape: (N, F)
    """

    def __init__(self, descriptor: int, shape: tuple[int, int], dtype: np.dtype[np.generic]):
        self.shape, self.dtype = shape, dtype
        self._file = os.dup(descriptor)
        weakref.finalize(self, os.close, self._file)

    def __getitem__(self, steps: slice) -> Num[np.ndarray, "n F"]:
        begin, end, _ = steps.indices(self.shape[0])
        a_step = self.shape[1] * self.dtype.itemsize
        content = os.pread(self._file, (end - begin) * a_step, begin * a_step)
        return np.frombuffer(content, self.dtype).reshape(-1, self.shape[1])
