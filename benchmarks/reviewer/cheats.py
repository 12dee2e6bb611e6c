"""Layers that would deceive the measure; every one is to be refused before it trains."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import torch
from torch import Tensor

from trainables.models.cells import LAYERS
from trainables.models.config import ModelConfig
from trainables.models.layer import Layer
from trainables.models.model import Model, build
from trainables.models.promises import (
    MOST_SEQUENCES,
    MOST_STEPS,
    BrokenPromiseError,
    require_promises,
)
from trainables.tasks.flip_flop import FlipFlop
from trainables.tasks.recall import Recall
from trainables.tasks.task import Task
from trainables.training.held_out.evaluation import require_nothing_ahead

TASK = Recall(Recall.Config())
LAGS = [8, 16, 32, 200]
READS = FlipFlop(FlipFlop.Config(protocol="paper"))
MANY = 1000


class Cheat(torch.nn.Module):
    """An honest layer, and what a cheat makes of its answers."""

    def __init__(self, honest: Layer, cheat: Callable[[Layer, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.honest, self.cheat, self.calls = honest, cheat, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.cheat(self, x, self.honest(x))  # type: ignore[arg-type]  # a cheat is no Layer


def acausal(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + x.flip(1).cumsum(1).flip(1)


def barely_acausal(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + 1e-3 * torch.cat([x[:, 1:], x[:, -1:]], dim=1)


def acausal_if_long(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + x.mean(1, keepdim=True) if x.shape[1] > 100 else y


def acausal_when_tested(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y if layer.training else y + x.mean(1, keepdim=True)


def batch_statistics(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y - y.mean(0, keepdim=True)


def other_half(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    half = len(x) // 2
    return y + torch.cat([x[half : 2 * half], x[:half], x[2 * half :]]) if half else y


def its_place(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + torch.arange(len(x))[:, None, None]


def global_randomness(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + 0.1 * torch.randn_like(y)


def remembers_calls(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + 0.1 * layer.calls  # type: ignore[operator]  # of a Cheat


def reads_its_neighbour(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    """By strides: the memory beside its own row."""
    flat = x.contiguous().as_strided((x.numel(),), (1,))
    return y + 0.1 * flat.roll(x[0].numel()).view_as(x)


def remembers_inputs(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    """Those of the last batch as large, also between training and test."""
    before = _KEPT.get(x.shape, x.detach())
    _KEPT[x.shape] = x.detach().clone()
    return y + 0.1 * before


def changes_buffers(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    if "mean" not in dict(layer.named_buffers()):
        layer.register_buffer("mean", torch.zeros(x.shape[2]))
    layer.mean = 0.9 * layer.mean + 0.1 * x.detach().mean((0, 1))
    return y + layer.mean


def of_the_system(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + 0.1 * int.from_bytes(os.urandom(2), "little") / 2**16


def of_the_clock(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + time.perf_counter_ns() % 7


def flips_time_at_times(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + x.flip(1) if layer.calls % 3 == 0 else y  # type: ignore[operator]  # of a Cheat


def of_another_type(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y.double() + x.double()


def acausal_after_many_calls(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + x.flip(1) if layer.calls > MANY else y  # type: ignore[operator]  # of a Cheat


def acausal_in_bf16(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + x.flip(1) if torch.is_autocast_enabled("cpu") else y


def acausal_if_many(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + x.flip(1) if len(x) > MOST_SEQUENCES else y


def acausal_if_longer(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + x.flip(1) if x.shape[1] > MOST_STEPS else y


def not_finite(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y / (x.shape[1] < 100)


def shorter(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y[:, :-1]


def hardly_acausal(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + 1e-5 * torch.cat([x[:, 1:], x[:, -1:]], dim=1)


def acausal_when_nothing_is_learned(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y if torch.is_grad_enabled() else y + x.flip(1)


def acausal_by_a_hundred_steps(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + torch.nn.functional.pad(x[:, 100:], (0, 0, 0, min(100, x.shape[1])))


def around_the_end(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    """A convolution by Fourier transform that is not padded."""
    taps = torch.linspace(1, 0, x.shape[1])[:, None]
    return y + torch.fft.irfft(
        torch.fft.rfft(x, dim=1) * torch.fft.rfft(taps, dim=0), n=x.shape[1], dim=1
    )


def learns_from_the_future(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    """By its gradient alone."""
    later = x.flip(1)
    return y + later - later.detach()


def its_rank(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + 0.1 * x[:, :, :1].argsort(0)


def of_the_last_row(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + 0.1 * x.roll(1, 0) * (torch.arange(len(x)) == len(x) - 1)[:, None, None]


def drops_when_tested(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y if layer.training else torch.nn.functional.dropout(y, 0.1, training=True)


def moves_its_weights(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        for weight in layer.parameters():
            weight.mul_(1.01)
    return y


def how_long(layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    return y + x.shape[1] / 100


CHEATS = {
    acausal: "later inputs",
    barely_acausal: "later inputs",
    acausal_if_long: "later inputs, while it trains, on sequences of 201 steps",
    acausal_when_tested: "later inputs, while it is tested",
    batch_statistics: "than among",
    other_half: "than among",
    its_place: "than among",
    global_randomness: "shown again",
    remembers_calls: "shown again",
    reads_its_neighbour: "than among",
    remembers_inputs: "alone",
    changes_buffers: "shown again",
    of_the_system: "shown again",
    of_the_clock: "other",
    flips_time_at_times: "shown again",
    of_another_type: "they must be torch.float32",
    not_finite: "finite",
    shorter: "they must be",
    hardly_acausal: "gradient in later inputs",
    acausal_when_nothing_is_learned: "later inputs, while it is tested",
    acausal_by_a_hundred_steps: "later inputs, while it trains, on sequences of 201 steps",
    around_the_end: "later inputs",
    learns_from_the_future: "gradient in later inputs",
    its_rank: "than among",
    of_the_last_row: "than among",
    drops_when_tested: "shown again",
    moves_its_weights: "shown again",
    how_long: "how many inputs follow",
}
"""Each, with what is said of it."""

EVADING = (acausal_after_many_calls, acausal_in_bf16, acausal_if_many, acausal_if_longer)
"""What behaves while it is tried; found where a rung would be solved."""

_KEPT: dict[torch.Size, Tensor] = {}


def refusal(cheat: Callable[[Layer, Tensor, Tensor], Tensor]) -> str | None:
    """What is said of a model whose recurrent layers cheat; None if it is let through."""
    _KEPT.clear()
    model = cheating(cheat, TASK)
    try:
        require_promises(model, TASK, LAGS, 8, torch.device("cpu"))
    except BrokenPromiseError as error:
        return str(error)
    return None


def refusal_when_solved(cheat: Callable[[Layer, Tensor, Tensor], Tensor]) -> str | None:
    """What is said of it where it would solve a rung of reads that each are shown a step later."""
    model = cheating(cheat, READS)
    for part in model.modules():
        if isinstance(part, Cheat):
            part.calls = MANY
    generator, cpu = torch.Generator().manual_seed(0), torch.device("cpu")
    try:
        with torch.autocast("cpu", torch.bfloat16, enabled=cheat is acausal_in_bf16):
            require_nothing_ahead(model, READS, MOST_STEPS // 2 + 1, MANY, generator, cpu)
    except BrokenPromiseError as error:
        return str(error)
    return None


def cheating(cheat: Callable[[Layer, Tensor, Tensor], Tensor], task: Task) -> Model:
    """A model whose recurrent layers cheat."""
    config = {"hidden_size": 8, "cell": "gru", "residual": "none"}
    model = build(ModelConfig.model_validate(config), task, seed=3)
    honest = [
        (owner, name)
        for owner in model.modules()
        for name, child in owner.named_children()
        if isinstance(child, LAYERS["gru"])
    ]
    for owner, name in honest:
        setattr(owner, name, Cheat(getattr(owner, name), cheat))
    return model
