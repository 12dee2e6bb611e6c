"""From the host to a device, without waiting for it."""

from __future__ import annotations

import torch
from torch import Tensor


def onto(tensor: Tensor, device: torch.device) -> Tensor:
    """``tensor`` on ``device``; from the host to an accelerator, the copy is only queued.

    It then lies in pinned memory first, out of which a device copies by itself.
    """
    if device.type == "cpu" or tensor.device.type != "cpu":
        return tensor.to(device)
    if device.type == "cuda" and torch.cuda.is_available():
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
