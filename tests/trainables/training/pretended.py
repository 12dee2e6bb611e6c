"""An accelerator without one: tensors that have a device, a shape and a type, and no numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.optim import optimizer
from torch.utils._python_dispatch import TorchDispatchMode

from trainables.models.cells import lmu
from trainables.training.held_out import evaluation

ACCELERATOR = torch.device("meta")


class Waits(TorchDispatchMode):
    """Answers 1 to whoever asks for a number, and counts who has to wait for the accelerator."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:
        there = isinstance(arguments[0], Tensor) and arguments[0].device == ACCELERATOR
        if function is torch.ops.aten._local_scalar_dense.default:
            self.waits += there
            return 1.0 if arguments[0].is_floating_point() else 1
        answer = function(*arguments, **(named or {}))
        self.waits += there and isinstance(answer, Tensor) and answer.device.type == "cpu"
        return answer


def moved(module: nn.Module, device: torch.device) -> nn.Module:
    """`Module.to`, which does not know these tensors."""
    for part in module.modules():
        for name, weight in list(part.named_parameters(recurse=False)):
            setattr(part, name, nn.Parameter(weight.detach().to(device)))
        for name, buffer in list(part.named_buffers(recurse=False)):
            setattr(part, name, buffer.to(device))
    return module


def made(data: Any, device: torch.device | None = None, **named: Any) -> Tensor:
    """`torch.tensor`, which there gives real ones."""
    return torch.as_tensor(data, **named).to(device or "cpu")


def counted(targets: Tensor, answer: Any) -> int:
    """`most_alike`, which counts on the host, where no number is either."""
    assert targets.device.type == "cpu"
    return len(targets)


@contextlib.contextmanager
def pretended() -> Iterator[Waits]:
    """Within, `ACCELERATOR` is one: it refuses what lies on the host."""
    numberless, waits = FakeTensorMode(), Waits()
    numberless.allow_meta = True
    with pytest.MonkeyPatch.context() as patch, numberless, waits:
        patch.setattr(nn.Module, "to", moved)
        patch.setattr(torch, "tensor", made)
        patch.setattr(evaluation, "most_alike", counted)
        patch.setattr(lmu, "sampled_memory", lmu.sampled_memory.__wrapped__)  # keeps no numbers
        patch.setattr(FakeTensorMode, "__deepcopy__", lambda mode, _: mode, raising=False)
        patch.setattr(optimizer, "_get_fused_kernels_supported_devices", lambda: ["meta"])
        yield waits
