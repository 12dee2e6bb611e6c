"""Long sequences learned from while they are read: nothing is gone back over (forward mode).

Of a recurrence whose units hear only themselves, the derivative of a state h[n] in whatever acts on
unit n alone is a number, an *eligibility trace*, that obeys the unit's own recurrence (Williams &
Zipser 1989; Mozer 1989; Zucchet et al. 2023):

e_t = (dh_t / dh_{t-1}) e_{t-1} + dh_t / dw

Here w are the numbers R[f, m, n] by which feature f of the input drives unit n, and the units' own
factors q. All that stands before the recurrence, an embedding, a map, a norm, has its gradient
through R, a table of a row for each symbol, or for each number of an input and one for none. So
memory is that of a block of steps and of B F M N traces, whatever the length, and the gradient is
that of backpropagation through all of it. Within a block the sums are those of a backward pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Num
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainables.models.element_wise import ElementWise
from trainables.models.front_ends import Pointwise
from trainables.models.model import Model
from trainables.models.positions import Positions
from trainables.models.residuals import Residual
from trainables.shapes import Inputs, Predictions, Scored
from trainables.tasks.task import Symbols

MOST_STEPS = 256
"""Of a block; longer ones are not faster."""

FEWEST_STEPS = 64
"""Between two steps that are scored, on average: where more is asked, blocks would be too short."""


def can_be_traced(model: Model) -> bool:
    """Whether one layer of units that hear only themselves is all that remembers.

    What leads from the input to it must be a table, or affine where the input is numbers.
    """
    if len(model.blocks) != 1 or model.readout.looks_back:
        return False
    path = cast(Residual, model.blocks[0])
    step_by_step = (
        isinstance(model.front_end, Pointwise)
        and type(model.positions).forward is Positions.forward
        and isinstance(path.layer, ElementWise)
    )
    return step_by_step and (isinstance(model.inputs, Symbols) or path.shows_as_it_is)


def asks_little(scored: Scored, length: int) -> bool:
    """Whether blocks, which end where answers are asked, are long enough on average."""
    return scored.unique().numel() * FEWEST_STEPS <= length


def trace_bytes(model: Model, batch_size: int, answers: int) -> int:
    """Bytes of all traces: those that are carried, and those kept for each answer."""
    table, held = _sources(model)
    return batch_size * (answers + 2) * (table.nbytes + sum(q.nbytes for q in held))


def traces_cost_less(model: Model, length: int) -> bool:
    """Whether they take no more operations a step than the layer's own `forward`.

    They take a product with the features, and scans of states and gradients, which are bound by
    memory and count as that takes.
    """
    table, _ = _sources(model)
    operations = (2.0 * len(table) * table.shape[1] + 16.0) * _real_numbers(table[0, 0])
    return operations <= cast(Residual, model.blocks[0]).flops_per_step(length)


@torch.no_grad()
def _sources(model: Model) -> tuple[Tensor, Sequence[Tensor]]:
    layer = cast(ElementWise, cast(Residual, model.blocks[0]).layer)
    return _table(model, layer), layer.held()


def _real_numbers(numbers: Tensor) -> int:
    return numbers.numel() * (2 if numbers.is_complex() else 1)


def by_traces(model: Model, inputs: Inputs, scored: Scored, most_bytes: float) -> Predictions:
    """What ``model`` answers, and its gradient in the weights, in one pass over the sequences.

    Equal to the model's `forward`, but for the order of sums; inputs get no gradient.

    Args:
        model: one that `can_be_traced`
        inputs: whole sequences
        scored: where answers are asked
        most_bytes: about what may be kept of a block

    """
    path = cast(Residual, model.blocks[0])
    layer = cast(ElementWise, path.layer)
    table, held = _table(model, layer), layer.held()
    initial = layer.units(layer.initial_state(len(inputs)))
    a_step = len(inputs) * (6 * table[0].nbytes + 2 * initial[0].nbytes + 8 * len(table))
    steps = max(1, min(MOST_STEPS, int(most_bytes / a_step)))
    read = _Read(layer, inputs, scored, steps, isinstance(model.inputs, Symbols))
    h = _Traces.apply(read, initial, table, *held)
    at = scored if inputs.ndim == 2 else scored[..., None].expand(-1, -1, inputs.shape[2])
    x = model.front_end(model.embed(inputs.gather(1, at)))
    stream = model.norm(path.after(x, layer.answered(h, path.before(x))))
    return model.readout(stream, torch.arange(scored.shape[1], device=x.device).expand_as(scored))


def _table(model: Model, layer: ElementWise) -> Num[Tensor, "F M *U"]:
    """What drives the units at each symbol; or with no input, and more with each number at 1."""
    if isinstance(model.inputs, Symbols):
        weights = next(model.parameters())
        rows = torch.arange(model.inputs.vocabulary, device=weights.device)
        return _driven(model, layer, model.embed(rows[:, None]))
    weights = next(model.parameters())
    features = model.front_end.features
    ones = torch.eye(features + 1, features, device=weights.device, dtype=weights.dtype)
    driven = _driven(model, layer, ones[:, None].roll(1, 0))
    return torch.cat((driven[:1], driven[1:] - driven[:1]))


def _driven(model: Model, layer: ElementWise, embedded: Tensor) -> Tensor:
    path = cast(Residual, model.blocks[0])
    return layer.driven(path.before(model.front_end(embedded))).squeeze(1)


@dataclass(frozen=True)
class _Read:
    """A batch, read in blocks that end at every scored step and after ``steps`` at most."""

    layer: ElementWise
    inputs: Inputs
    scored: Scored
    steps: int
    of_symbols: bool

    def blocks(self) -> Iterator[tuple[int, int]]:
        """The first step of each, and the one after its last; none behind the last answer."""
        first = 0
        for end in (self.scored.unique() + 1).tolist():
            while first < end:
                until = min(first + self.steps, end)
                yield first, until
                first = until

    def features(self, first: int, end: int, table: Tensor) -> Num[Tensor, "L B F"]:
        """Which symbol it is, or a 1 and the numbers."""
        piece = self.inputs[:, first:end].transpose(0, 1)
        if self.of_symbols:
            return torch.eye(len(table), dtype=table.real.dtype, device=table.device)[piece]
        return torch.cat((torch.ones_like(piece[..., :1]), piece), dim=-1).to(table.real.dtype)


class _Traces(torch.autograd.Function):
    """The states at the scored steps, from the table and the units' factors."""

    @staticmethod
    def forward(
        ctx: Any, read: _Read, initial: Tensor, table: Tensor, *held: Tensor
    ) -> Num[Tensor, "B S *U"]:
        B, S = read.scored.shape
        h, q = initial, [factors.expand(B, *factors.shape) for factors in held]
        into_table = table.new_zeros(B, *table.shape)
        into_held = [torch.zeros_like(factors) for factors in q]
        seen = h.new_zeros(B, S, *h.shape[1:])
        of_table = table.new_zeros(B, S, *table.shape)
        of_held = [factors.new_zeros(B, S, *factors.shape[1:]) for factors in q]
        for first, end in read.blocks():
            features = read.features(first, end, table)
            p = _product(features, table, 1)
            h, of_state, of_p, of_q = _block(read.layer, p, q, h)
            added = _product(features.permute(1, 2, 0), of_p.transpose(0, 1), 2)
            into_table.mul_(of_state[:, None, None]).add_(added)
            for trace, more in zip(into_held, of_q, strict=True):
                trace.mul_(of_state).add_(more)
            at = (read.scored == end - 1).nonzero(as_tuple=True)
            seen[at], of_table[at] = h[at[0]], into_table[at[0]]
            for kept, trace in zip(of_held, into_held, strict=True):
                kept[at] = trace[at[0]]
        ctx.save_for_backward(of_table, *of_held)
        return seen

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Num[Tensor, "B S *U"]) -> tuple[Tensor | None, ...]:
        of_table, *of_held = ctx.saved_tensors
        table = torch.einsum("bsu,bsru->ru", gradient.flatten(2), _rows(of_table))
        held = [(gradient * traces).sum((0, 1)) for traces in of_held]
        return None, None, table.view(of_table.shape[2:]), *held


def _block(
    layer: ElementWise, p: Tensor, q: Sequence[Tensor], h: Tensor
) -> tuple[Tensor, Tensor, Tensor, Sequence[Tensor]]:
    """The last state, and its gradient in the first one, in p and in q, each unit by itself.

    Of complex numbers, as ever in torch, the gradient is the conjugate of the derivative.
    """
    sources = [part.detach().requires_grad_() for part in (h, p, *q)]
    with torch.enable_grad():
        last = layer.states(sources[1], sources[2:], sources[0])[-1]
        of_state, of_p, *of_q = torch.autograd.grad(last.real.sum(), sources)
    return last.detach(), of_state, of_p, of_q


def _product(features: Tensor, numbers: Tensor, leading: int) -> Tensor:
    """Real features times ``numbers``, whose axes behind ``leading`` stay as they are."""
    real = torch.view_as_real(numbers) if numbers.is_complex() else numbers
    product = (features @ real.flatten(leading)).unflatten(-1, real.shape[leading:])
    return torch.view_as_complex(product) if numbers.is_complex() else product


def _rows(traces: Num[Tensor, "B S F M *U"]) -> Num[Tensor, "B S R U"]:
    """The axes F and M as one, and those of the units."""
    B, S, F, M = traces.shape[:4]
    return traces.reshape(B, S, F * M, -1)
