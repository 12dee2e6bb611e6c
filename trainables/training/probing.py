"""Whether a model may be believed: probed with first weights, before anything is trained.

A layer promises that what comes out at a step depends on that row's steps up to there alone, and on
nothing else. Here that is tried, on sequences as long as the rung's, in training and in evaluation:
each row again at another place, among other rows, with all that follows a step replaced; after
other calls; with other labels at hand; and by the gradient. What breaks the promise is refused,
shipped and plugin alike.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from trainables.models.model import Model
from trainables.shapes import Numbers, Predictions, Stream
from trainables.tasks.task import Batch, ClassAnswer, Task

ROWS = 6
"""Rows of a probe; each has a step of its own after which all is replaced."""

TOLERANCE = 1e-3
"""Of what comes out, relative to the largest number in it: rounding is below, a leak above."""

GRADIENT_TOLERANCE = 1e-4
"""Of a gradient, relative to its largest number: parallel forms round."""


class UnsoundModelError(ValueError):
    """A layer that breaks the promise of layers; the message is one line."""


def require_sound(
    model: Model, task: Task, lag: int, generator: torch.Generator, device: torch.device
) -> None:
    """Refuse a model whose layers look ahead, at other rows, at places, at labels, or at chance.

    Nothing is said of a model whose numbers are not finite at ``lag``: training will say so.

    Raises:
        UnsoundModelError: in one line.
    """
    batch = task.sample(lag, ROWS, generator).to(device)
    found = _fault(model, task, lag, batch, generator)
    if found is not None and not _is_rounding(model, task, lag, batch, generator):
        kinds = ", ".join(dict.fromkeys(block.kind for block in model.config.blocks))
        raise UnsoundModelError(f"layer: {kinds}: {found} (at lag {lag})")


def _is_rounding(
    model: Model, task: Task, lag: int, batch: Batch, generator: torch.Generator
) -> bool:
    """Whether the fault is gone in float64, as what grows from rounding is."""
    exact = copy.deepcopy(model).double()
    inputs = batch.inputs.double() if batch.inputs.is_floating_point() else batch.inputs
    try:
        return _fault(exact, task, lag, replace(batch, inputs=inputs), generator) is None
    except (RuntimeError, TypeError):  # a layer that computes in float32 alone
        return False


def _fault(
    model: Model, task: Task, lag: int, batch: Batch, generator: torch.Generator
) -> str | None:
    with torch.autocast(batch.inputs.device.type, enabled=False):
        x = _shown(model, batch, generator)
        for training in (False, True):
            with _in(model, training):
                found = _of_stream(model, x, batch, generator)
                if found is None and not training:
                    found = _of_labels(model, task, lag, batch, generator)
            if found is not None:
                return found
    return None


def _of_stream(model: Model, x: Numbers, batch: Batch, generator: torch.Generator) -> str | None:
    """What is wrong with the stream that comes out of ``x``; None if nothing is."""
    steps = _steps(batch, generator)
    source = x.clone().requires_grad_(model.training)
    y = model.hidden(source)
    if y.shape[:2] != x.shape[:2]:
        return f"it turns shape {tuple(x.shape)} into {tuple(y.shape)}; the steps are to be kept"
    if not torch.isfinite(y).all():
        return None
    ahead = model.training and _looks_ahead(y, source, steps)
    with torch.no_grad():
        y = y.detach()
        model.hidden(_noise(x, generator))
        if _differs(model.hidden(x), y):
            return (
                "the same input gives another answer the second time; nothing may be random, or"
                " kept from call to call"
            )
        if _differs(model.hidden(x[2:3]), y[2:3]):
            return "a row alone is answered otherwise than among others"
        others = _noise(x, generator)
        others[::2] = x[::2]
        if _differs(model.hidden(others)[::2], y[::2]):
            return "a row is answered otherwise among other rows"
        order = torch.arange(ROWS).roll(1).to(x.device)
        if _differs(model.hidden(x[order]), y[order]):
            return "a row is answered otherwise at another place of the batch"
        later = torch.arange(x.shape[1], device=x.device) > steps[:, None]
        changed = torch.where(later[..., None], _noise(x, generator), x)
        if ahead or _differs(model.hidden(changed)[~later], y[~later]):
            return "what comes out at a step depends on later steps"
    return None


def _of_labels(
    model: Model, task: Task, lag: int, batch: Batch, generator: torch.Generator
) -> str | None:
    """Whether answers depend on labels that lie about: on the batch's own, or the last drawn."""
    answers = _answers(model, batch)
    classes = task.answer.classes if isinstance(task.answer, ClassAnswer) else None
    wrong = batch.targets + 1 if classes is None else (batch.targets + 1) % classes
    if not torch.isfinite(answers).all():
        return None
    task.sample(lag, ROWS, generator)
    if _differs(_answers(model, replace(batch, targets=wrong)), answers):
        return "its answers depend on something else than the inputs"
    return None


@torch.no_grad()
def _answers(model: Model, batch: Batch) -> Predictions:
    return model(batch.inputs, batch.scored)


def _shown(model: Model, batch: Batch, generator: torch.Generator) -> Numbers:
    """The task's own sequences, embedded, and as many of noise."""
    with torch.no_grad():
        x = model.embed(batch.inputs).clone()
    x[1::2] = _noise(x, generator)[1::2]
    return x


def _noise(x: Numbers, generator: torch.Generator) -> Numbers:
    drawn = torch.randn(x.shape, generator=generator).to(x)
    return drawn * x.std().clamp(min=0.1)


def _steps(batch: Batch, generator: torch.Generator) -> Int[Tensor, " B"]:
    """For each row a step: of some the first, the last but one, a scored one; else any."""
    length = batch.inputs.shape[1]
    steps = torch.randint(length, (ROWS,), generator=generator).to(batch.scored.device)
    steps[0], steps[1] = 0, max(0, length - 2)
    steps[2] = batch.scored[2, 0]
    return steps


def _looks_ahead(y: Stream, source: Numbers, steps: Int[Tensor, " B"]) -> bool:
    asked = y[torch.arange(ROWS, device=y.device), steps]
    weights = torch.linspace(0.5, 1.5, asked.shape[-1]).to(asked)
    (gradient,) = torch.autograd.grad((asked * weights).sum(), source, allow_unused=True)
    if gradient is None:
        return False
    later = torch.arange(source.shape[1], device=y.device) > steps[:, None]
    size = gradient.abs().amax(-1)
    return bool((size * later).max() > GRADIENT_TOLERANCE * size.max())


def _differs(found: Tensor, wanted: Tensor) -> bool:
    """Whether they differ by more than rounding."""
    if found.shape != wanted.shape:
        return True
    return bool((found - wanted).abs().max() > TOLERANCE * wanted.abs().max())


@contextmanager
def _in(model: Model, training: bool) -> Iterator[None]:
    before = model.training
    model.train(training)
    try:
        yield
    finally:
        model.train(before)
