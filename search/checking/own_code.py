"""The user's own tasks, space and sampler, called before a search relies on them.

In a copy of this process first (`search.spec.trying`), and so that what comes back is looked at:
what ends the process, hangs or gives nonsense is refused in one line that names whose it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from search.errors import UserError
from search.proposing.draws import DRAWS, each_draw
from search.spec import Spec
from search.spec.trying import try_calls
from spaces import Space
from trainables.messages import named, one_line
from trainables.models.model import outline
from trainables.tasks import make_task
from trainables.tasks.answer import ClassAnswer, NumberAnswer
from trainables.tasks.task import Batch, Reals, Symbols, Task, TaskConfig

BUILT = 32
"""How many of the draws are built as models."""

TRIED = 2
"""Sequences that are drawn of a task."""


def has_own_code(spec: Spec) -> bool:
    """Whether a space, sampler, layer or task of the spec may be the user's own."""
    return bool(spec.plugins) or ":" in spec.space or ":" in spec.search.sampler


def made(name: str, config: TaskConfig) -> Task:
    """The task of a configuration, with its data; the user's own is tried.

    Raises:
        ValueError: in one line, if a shipped task cannot read its data.
        UserError: in one line, if one of the user's own cannot be relied on.
    """
    if config.is_shipped:
        return make_task(config)
    what = f"tasks: {name}"
    try:
        if config.files is None:  # data may take its time
            try_calls(what, (make_task(config) for _ in range(1)))
        task = make_task(config)
        try_calls(what, _used(task))
        for _ in _used(task):
            pass
    except (ValueError, OSError) as error:
        said = one_line(error)
        raise UserError(said if said.startswith(what) else f"{what}: {said}") from None
    except (Exception, SystemExit) as error:  # whatever the user's own code raises
        raise UserError(f"{what}: {named(error)}") from None
    return task


def try_space(spec: Spec, space: Space, tasks: Mapping[str, Task]) -> None:
    """Draw from the user's own space, and build some of it, in a copy of this process.

    Raises:
        ValueError: in one line, if that ends the copy or hangs.
    """
    if has_own_code(spec):
        try_calls(f"space: {spec.space!r}", _built(space, tasks))


def _built(space: Space, tasks: Mapping[str, Task]) -> Iterator[None]:
    for number, config in enumerate(each_draw(space, DRAWS)):
        for task in tasks.values() if number < BUILT else ():
            outline(config.model, task)
        yield


def _used(task: Task) -> Iterator[None]:
    """Ask a task for what a search asks of it first; what is no answer is an error."""
    lag = task.shortest_lag
    _require_count("shortest_lag", lag)
    length = task.length(lag)
    _require_count(f"length({lag})", length)
    _require("inputs", task.inputs, (Symbols, Reals), "Symbols or Reals")
    _require("answer", task.answer, (ClassAnswer, NumberAnswer), "ClassAnswer or NumberAnswer")
    yield
    batch = task.sample(lag, TRIED, torch.Generator().manual_seed(0))
    _require_batch(f"sample({lag}, {TRIED})", batch, task.inputs, length)
    yield


def _require_batch(where: str, batch: Batch, inputs: Symbols | Reals, length: int) -> None:
    _require(where, batch, Batch, "a Batch")
    for name, tensor in vars(batch).items():
        _require(f"{where}.{name}", tensor, torch.Tensor, "a tensor")
    steps = (TRIED, "T") if isinstance(inputs, Symbols) else (TRIED, "T", inputs.features)
    shape, wanted = list(batch.inputs.shape), [*steps]
    if len(shape) > 1:
        wanted[1] = shape[1]
    if shape != wanted or shape[1] > length:
        raise ValueError(f"{where}.inputs has shape {shape}; allowed: {[*steps]}, T <= {length}")
    if batch.inputs.is_floating_point() != isinstance(inputs, Reals):
        raise ValueError(f"{where}.inputs is {batch.inputs.dtype}, though inputs is {inputs}")
    for name in ("targets", "scored"):
        shape = list(getattr(batch, name).shape)
        if len(shape) != 2 or shape[0] != TRIED or shape != list(batch.scored.shape):
            raise ValueError(f"{where}.{name} has shape {shape}; allowed: [{TRIED}, S], the same S")
    if batch.scored.is_floating_point() or (batch.scored >= batch.inputs.shape[1]).any():
        raise ValueError(f"{where}.scored: no steps of its sequences: {batch.scored.tolist()}")


def _require_count(where: str, found: object) -> None:
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ValueError(f"{where} is {repr(found)[:60]}; allowed: a whole number from 1")


def _require(where: str, found: object, kind: type | tuple[type, ...], wanted: str) -> None:
    if not isinstance(found, kind):
        raise ValueError(f"{where} is {repr(found)[:60]}; allowed: {wanted}")
