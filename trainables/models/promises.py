"""What every model promises, tried before it is trained; a layer of one's own is tried alike.

What the measure says of memory holds only for a model that reads nothing of the future, answers
each sequence by itself, and always answers the same. Tried is that

- a state changes with no later input, nor with how many follow, by value and, on a short sequence,
  by gradient;
- a sequence's states are the same alone, among others, and at any place in the batch;
- the same sequences give the same states, whatever was shown in between;
- states are finite, one a step, as wide as the stream and of its type;

each as it trains and as it is tested, on sequences of the task from short to long. It is a trial
and no proof: what a model does on longer sequences only, or after so many, is not seen here. Where
a rung is solved it is tried once more that no answer changes with what comes after it
(`trainables.training.held_out.evaluation.require_nothing_ahead`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from trainables.models.model import Model
from trainables.tasks.task import Task

SEQUENCES = 6
MOST_SEQUENCES = 32
MOST_STEPS = 1024
SHORT = 256
"""Steps up to which gradients are taken, and rounding has not grown."""

RELATIVE = 1e-3
"""Of the largest state, what may differ by rounding."""
RELATIVE_IF_LONG = 0.05
"""Where rounding that differs with a batch's shape has had many steps to grow."""
OF_GRADIENT = 1e-5
"""Of the largest gradient: convolutions by Fourier transform leave some 1e-7 before their time."""


class BrokenPromiseError(ValueError):
    """A model that the measure says nothing about, in one line."""


def require_promises(
    model: Model, task: Task, lags: Sequence[int], batch_size: int, device: torch.device
) -> None:
    """Try ``model`` on sequences of ``task`` at the shortest lag and at longer ones.

    Raises:
        BrokenPromiseError: in one line, which promise it breaks and where.
    """
    was_training = model.training
    lengths = {task.length(lag): lag for lag in reversed(lags)}
    shortest = min(lengths)
    tried = [n for n in sorted(lengths) if n == shortest or n <= MOST_STEPS]
    readable = [n for n in tried if model.reads(n)]
    chosen = sorted({readable[0], readable[len(readable) // 2], readable[-1]}) if readable else []
    for training in (True, False):
        model.train(training)
        for place, length in enumerate(chosen):
            count = max(SEQUENCES, min(MOST_SEQUENCES, batch_size)) if place == 0 else SEQUENCES
            generator = torch.Generator().manual_seed(length)
            batch = task.split("train").sample(lengths[length], count, generator)
            with torch.set_grad_enabled(training), _in_float32(device):
                _try(_Shown(model, batch.inputs.to(device), training))
    model.train(was_training)


@contextmanager
def _in_float32(device: torch.device) -> Iterator[None]:
    with torch.autocast(device.type, enabled=False):
        yield


class _Shown:
    """A model and the sequences, (B, T) or (B, T, F), that it is tried on."""

    def __init__(self, model: Model, inputs: Tensor, training: bool) -> None:
        self.model, self.inputs = model, inputs
        self.when = "while it trains" if training else "while it is tested"
        self.rounding = RELATIVE if inputs.shape[1] <= SHORT else RELATIVE_IF_LONG

    def states(self, inputs: Tensor) -> Tensor:
        """The stream behind the last layer, (B, T, D)."""
        return self.model.hidden(self.model.embed(inputs)).detach()

    def breach(self, said: str) -> BrokenPromiseError:
        length = self.inputs.shape[1]
        return BrokenPromiseError(f"model: {said}, {self.when}, on sequences of {length} steps")


def _try(shown: _Shown) -> None:
    inputs = shown.inputs
    states = shown.states(inputs)
    _require_shape(shown, states)
    _require_same(shown, states)
    _require_rows_alone(shown, states)
    _require_no_future(shown, states)
    if inputs.shape[1] <= SHORT and torch.is_grad_enabled():
        _require_no_gradient_from_the_future(shown)


def _require_shape(shown: _Shown, states: Tensor) -> None:
    wanted = (*shown.inputs.shape[:2], shown.model.config.hidden_size)
    if tuple(states.shape) != wanted:
        raise shown.breach(f"its states are {tuple(states.shape)}; they must be {wanted}")
    if states.dtype != torch.float32:
        raise shown.breach(f"its states are {states.dtype}; they must be {torch.float32}")
    if not states.isfinite().all():
        raise shown.breach("its states are not all finite")


def _require_same(shown: _Shown, states: Tensor) -> None:
    shown.states(shown.inputs.flip(0)[: SEQUENCES // 2])
    if differ(shown.states(shown.inputs), states):
        raise shown.breach("the same sequences give other states when they are shown again")


def _require_rows_alone(shown: _Shown, states: Tensor) -> None:
    count = len(shown.inputs)
    dealt = torch.randperm(count, generator=torch.Generator().manual_seed(count))
    some = torch.cat([torch.arange(2), torch.arange(count - 2, count)])
    for rows, said in (
        (torch.tensor([0]), "alone"),
        (torch.tensor([count - 1]), "alone"),
        (some, "among fewer others"),
        (dealt, "at another place in the batch"),
    ):
        if differ(shown.states(shown.inputs[rows]), states[rows], shown.rounding):
            raise shown.breach(f"a sequence's states are others {said} than among {count}")


def _require_no_future(shown: _Shown, states: Tensor) -> None:
    length = shown.inputs.shape[1]
    for last in sorted({0, length // 3, length - 2}):
        if not 0 <= last < length - 1:
            continue
        changed = shown.inputs.clone()
        changed[:, last + 1 :] = shown.inputs.roll(1, 0)[:, last + 1 :].flip(1)
        kept = slice(None, last + 1)
        if differ(shown.states(changed)[:, kept], states[:, kept]):
            raise shown.breach(f"states up to step {last} change with later inputs")
        if differ(shown.states(shown.inputs[:, kept]), states[:, kept], shown.rounding):
            raise shown.breach(f"states up to step {last} change with how many inputs follow")


def _require_no_gradient_from_the_future(shown: _Shown) -> None:
    length = shown.inputs.shape[1]
    embedded = shown.model.embed(shown.inputs).detach().requires_grad_()
    states = shown.model.hidden(embedded)
    for last in sorted({0, length // 2, length - 2}):
        if not 0 <= last < length - 1:
            continue
        total = (
            states[:, last] * torch.linspace(0.5, 1.5, states.shape[2], device=states.device)
        ).sum()
        (gradient,) = torch.autograd.grad(total, embedded, retain_graph=True)
        future = gradient[:, last + 1 :].abs().max()
        if future > OF_GRADIENT * gradient.abs().max():
            raise shown.breach(f"the state at step {last} has a gradient in later inputs")


def differ(found: Tensor, wanted: Tensor, rounding: float = RELATIVE) -> bool:
    """Whether numbers differ by more than ``rounding``, a part of the largest that is wanted."""
    if found.shape != wanted.shape:
        return True
    return bool((found - wanted).abs().max() > rounding * wanted.abs().max() + 1e-6)
