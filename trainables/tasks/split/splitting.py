"""Which part of the data a row belongs to: told by its sequence alone.

Equal sequences get equal hashes and so lie in one part, however often they are repeated and
whatever their labels. Neither the order of the rows nor the width of their number type changes
where they lie.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from jaxtyping import Bool, Int, UInt64

from trainables.tasks.rows.steps import Steps
from trainables.tasks.task import Split

PARTS: tuple[Split, ...] = ("train", "selection", "test")
TRAIN = PARTS.index("train")

ENDS = (0.7, 0.8)
"""Of the hashes' range, where train and selection end: 70 % train, 10 % selection, 20 % test."""

FRESH_FROM = 0.9
"""Where, with `test: fresh`, that begins which only a certificate tests on."""


def row_hashes(steps: Steps) -> UInt64[np.ndarray, " R"]:
    """BLAKE2b, 64 bits, of each row's numbers as 64-bit integers or floats, little-endian."""
    if np.issubdtype(steps.values.dtype, np.integer):
        canonical = steps.values.astype("<i8")
    else:
        canonical = steps.values.astype("<f8") + 0.0  # -0.0 and 0.0 are the same number
        canonical[np.isnan(canonical)] = np.nan  # of one bit pattern
    bytes_a_step = canonical[:1].nbytes
    data = memoryview(canonical.tobytes())
    ends = np.cumsum(steps.lengths) * bytes_a_step
    starts = ends - steps.lengths * bytes_a_step
    digests = (
        blake2b(data[start:end], digest_size=8).digest()
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    )
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def part_of(hashes: UInt64[np.ndarray, " R"]) -> Int[np.ndarray, " R"]:
    """The number in `PARTS` of the part that each hash falls to."""
    return np.searchsorted(ENDS, hashes / 2.0**64, side="right")


def in_part(hashes: UInt64[np.ndarray, " R"], part: Split) -> Bool[np.ndarray, " R"]:
    """Which of the hashes fall to ``part``."""
    return part_of(hashes) == PARTS.index(part)
