"""Long sequences in segments: states are kept at borders only, what lies between is made again.

Forward, a sequence is scanned segment by segment, and of the states at its borders no more than
`MOST_BORDERS` are kept. Backward, the borders between two kept ones are made again in the same way,
down to single segments, which are differentiated one at a time, the last first. So memory is that
of one segment and of some borders, whatever the length; the gradient is that of the whole (Chen et
al. 2016, Gruslys et al. 2016). A level of borders costs one more forward pass.

Segments are counted from the sequence's end: the last is full, the first may be shorter. Where
gradients are to end at every few borders, those are the windows of truncated backpropagation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainables.models.model import Carried, Model
from trainables.shapes import Inputs, Predictions, Scored

MOST_BORDERS = 32
"""States kept at a time on each level."""

Gradients = Sequence[Tensor | None]


def by_segments(
    model: Model,
    inputs: Inputs,
    scored: Scored,
    steps: int,
    window: int | None = None,
    first: Carried | None = None,
) -> Predictions:
    """What ``model`` answers, and its gradient in the weights, ``steps`` steps at a time.

    Equal to the model's `forward`, but for the order of sums; inputs get no gradient. A read-out
    that looks back is given the whole stream, which is then kept, and nothing else of its length.

    Args:
        model: one that `Model.carries_no_past`, or states grow from border to border
        inputs: whole sequences
        scored: where answers are asked
        steps: of a segment
        window: segments after which the gradient in the state ends; None for never. A read-out that
            looks back still reaches every window, and each learns from within itself
        first: what is carried before the first step; by default what the model begins with

    """
    B, T = inputs.shape[:2]
    wanted = scored
    if model.readout.looks_back:
        wanted = torch.arange(T, device=inputs.device).expand(B, T)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    kept = torch.is_grad_enabled() and bool(weights)
    cut = _Cut(model, inputs, wanted.contiguous(), steps, window)
    first = first or model.initial_state(B)
    seen = _Segments.apply(cut, kept, first, *first.tensors, *weights)
    if model.readout.looks_back:
        return model.readout(seen, scored)
    answers = torch.arange(scored.shape[1], device=scored.device).expand_as(scored)
    return model.readout(seen, answers)


@dataclass(frozen=True)
class _Part:
    """Of the answers, those that fall into one segment.

    Attributes:
        rows: their sequences
        answers: which of a sequence's they are
        steps: where in the segment they are asked
    """

    rows: Tensor
    answers: Tensor
    steps: Tensor


@dataclass(frozen=True)
class _Cut:
    """A batch, cut into segments of ``steps`` steps; of the stream, steps ``wanted`` are kept."""

    model: Model
    inputs: Inputs
    wanted: Scored
    steps: int
    window: int | None

    @property
    def segments(self) -> int:
        return -(-self.inputs.shape[1] // self.steps)

    def span(self, segment: int) -> tuple[int, int]:
        """A segment's first step, and the one after its last."""
        end = self.inputs.shape[1] - (self.segments - 1 - segment) * self.steps
        return max(0, end - self.steps), end

    def begins_window(self, segment: int) -> bool:
        """Whether the gradient in the state ends before this segment."""
        if self.window is None or segment == 0:
            return False
        return (self.segments - segment) % self.window == 0

    def asks(self, first: int, end: int) -> bool:
        """Whether a step of the segments ``first`` to ``end`` is wanted."""
        begins, ends = self.span(first)[0], self.span(end - 1)[1]
        return bool(((self.wanted >= begins) & (self.wanted < ends)).any())

    def scan(self, segment: int, carried: Carried) -> tuple[Tensor, Carried]:
        """The stream within a segment, and what is carried after it."""
        inputs = self.inputs[:, slice(*self.span(segment))]
        return self.model.scan(self.model.embed(inputs), carried)

    def part(self, segment: int) -> _Part:
        """Which answers fall into a segment; they ascend, so few are looked at."""
        first, end = self.span(segment)
        ends = torch.tensor([first, end], device=self.wanted.device)
        places = torch.searchsorted(self.wanted, ends.expand(len(self.wanted), 2).contiguous())
        lowest, highest = int(places[:, 0].min()), int(places[:, 1].max())
        near = self.wanted[:, lowest:highest] - first
        rows, answers = ((near >= 0) & (near < end - first)).nonzero(as_tuple=True)
        return _Part(rows, answers + lowest, near[rows, answers])


class _Segments(torch.autograd.Function):
    """The stream at the wanted steps; gradients for the first state, which may be learned too."""

    @staticmethod
    def forward(
        ctx: Any, cut: _Cut, kept: bool, first: Carried, *sources: Tensor
    ) -> Float[Tensor, "B S D"]:
        B, S = cut.wanted.shape
        states = len(first.tensors)
        carried = first.of(sources[:states])
        every, borders, seen = _stride(cut.segments), [], None
        for segment in range(cut.segments):
            if kept and segment % every == 0:
                borders.append(carried)
            stream, carried = cut.scan(segment, carried)
            if seen is None:
                seen = stream.new_zeros(B, S, stream.shape[-1])
            part = cut.part(segment)
            seen[part.rows, part.answers] = stream[part.rows, part.steps]
        assert seen is not None
        if kept:
            ctx.cut, ctx.borders = cut, borders
            ctx.states = states
            ctx.save_for_backward(*sources[states:])
            ctx.computing = _computing(seen.device.type)
        return seen

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Float[Tensor, "B S D"]) -> tuple[Tensor | None, ...]:
        back = _Backward(ctx.cut, ctx.saved_tensors, gradient)
        with ctx.computing:
            before = back.through(0, ctx.cut.segments, ctx.borders, [None] * ctx.states)
        return None, None, None, *before, *back.total


class _Backward:
    """Gradients, from the last segment to the first, into the weights' ``total``."""

    def __init__(self, cut: _Cut, weights: Sequence[Tensor], gradient: Tensor) -> None:
        self.cut, self.weights, self.gradient = cut, weights, gradient
        self.total: list[Tensor | None] = [None] * len(weights)

    def through(
        self, first: int, end: int, borders: Sequence[Carried], after: Gradients
    ) -> Gradients:
        """From the gradients ``after`` the segments ``first`` to ``end`` to those before them."""
        every = _stride(end - first)
        for place in reversed(range(len(borders))):
            start = first + place * every
            until = min(start + every, end)
            if all(given is None for given in after) and not self.cut.asks(start, until):
                continue  # nothing comes of it: of windows without an answer, or steps behind all
            if until - start == 1:
                after = self._segment(start, borders[place], after)
                if self.cut.begins_window(start):
                    after = [None] * len(after)
            else:
                after = self.through(
                    start, until, self._borders(start, until, borders[place]), after
                )
        return after

    @torch.no_grad()
    def _borders(self, first: int, end: int, carried: Carried) -> Sequence[Carried]:
        """The states before every few segments, made again."""
        every, borders = _stride(end - first), [carried]
        for segment in range(first, first + (end - first - 1) // every * every):
            _, carried = self.cut.scan(segment, carried)
            if (segment + 1 - first) % every == 0:
                borders.append(carried)
        return borders

    def _segment(self, segment: int, before: Carried, after: Gradients) -> Gradients:
        start = [part.detach() for part in before.tensors]
        for part in start:
            part.requires_grad_(part.is_floating_point())
        with torch.enable_grad():
            stream, ended = self.cut.scan(segment, before.of(start))
        asked = self.cut.part(segment)
        from_answers = torch.zeros_like(stream)
        at = asked.rows, asked.steps
        from_answers.index_put_(at, self.gradient[asked.rows, asked.answers], accumulate=True)
        out: list[Tensor] = [stream]
        of_out: list[Tensor] = [from_answers]
        for state, given in zip(ended.tensors, after, strict=True):
            if given is not None and state.requires_grad:
                out.append(state)
                of_out.append(given)
        moving = [part for part in start if part.requires_grad]
        found = torch.autograd.grad(out, [*self.weights, *moving], of_out, allow_unused=True)
        for place, more in enumerate(found[: len(self.weights)]):
            so_far = self.total[place]
            self.total[place] = (
                more if so_far is None else so_far if more is None else so_far + more
            )
        into = iter(found[len(self.weights) :])
        return [next(into) if part.requires_grad else None for part in start]


def _stride(segments: int) -> int:
    """Segments from one kept border to the next."""
    return -(-segments // MOST_BORDERS)


def _computing(device: str) -> torch.autocast:
    """As what is computed here and now is: gradients on a device have a thread of their own."""
    dtype = torch.get_autocast_dtype(device)
    return torch.autocast(device, dtype, enabled=torch.is_autocast_enabled(device))
