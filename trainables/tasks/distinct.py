"""Different numbers drawn at once: a draw without replacement for every row of a batch."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor


def distinct(
    rows: int, count: int, below: int, generator: torch.Generator
) -> Int[Tensor, "rows count"]:
    """``count`` different numbers of 0 .. below - 1 a row, in random order, all as likely."""
    return torch.rand(rows, below, generator=generator).topk(count).indices
