"""How much of a sequence is computed at a time: all of it, or segments where memory is short.

One layer of units that hear only themselves learns in forward mode instead of in segments: its
memory does not depend on the length, and nothing is computed twice.

What a step leaves for the backward pass is counted on two short stretches of the model itself, so
the choice follows from the configuration, the batch and the memory given, not from what else runs.
What is only tested is counted as if it were trained on, and cut alike: of segments then nothing is
kept but the answers. Whatever the memory, no more of it than `UNLEARNED` is computed at a time.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from trainables.models.model import Carried, Model
from trainables.models.segments import MOST_BORDERS, by_segments
from trainables.models.traces import (
    asks_little,
    by_traces,
    can_be_traced,
    trace_bytes,
    traces_cost_less,
)
from trainables.shapes import Inputs, Predictions, Scored

USED = 0.5
"""Of the memory given, the part for what is kept between forward and backward."""

OF_A_NODE = 1024
"""Bytes of a graph's node and of the tensors it names, for each tensor that is kept."""

TEMPORARY = 1.5
"""Of what is kept: with what backward makes of it on its way."""

FOR_EACH_WEIGHT = 4
"""Numbers: itself, its gradient, and Adam's two."""

MOST_A_STEP = 4096
"""Bytes a step for each number of width and state that no model keeps: below, none are counted."""

SHORT, SHORTEST = 128, 64

UNLEARNED = 2**18
"""Sequences times steps that are computed at a time, of recurrences, where nothing is learned."""

OF_THOSE = 2**16
"""Sequences times steps of a segment where there are more of them."""


class Room:
    """Decides and answers, within ``total_bytes``; infinite where nothing is known of memory.

    Args:
        window: steps within which a gradient goes back in time; None for all
    """

    def __init__(self, model: Model, total_bytes: float, window: int | None = None) -> None:
        self.model, self.most, self.window = model, USED * total_bytes, window
        self._bytes_a_step = 0.0

    def answers(self, inputs: Inputs, scored: Scored, first: Carried | None = None) -> Predictions:
        """What the model answers, from the state ``first`` on, if given."""
        B, T = inputs.shape[:2]
        if self.window is not None and self.window < T:
            steps = self._steps_of_a_window(B, T, self.window)
            return by_segments(self.model, inputs, scored, steps, self.window // steps, first)
        cut = self.steps(B, T) if torch.is_grad_enabled() else self._steps_unlearned(B, T)
        if cut is not None and first is None and self.traced(T, scored):
            return by_traces(self.model, inputs, scored, self.most / 2)
        if cut is not None:
            return by_segments(self.model, inputs, scored, cut, first=first)
        if first is None:
            return self.model(inputs, scored)
        stream, _ = self.model.scan(self.model.embed(inputs), first)
        return self.model.readout(stream, scored)

    def steps(self, batch_size: int, length: int) -> int | None:
        """Steps of a segment for a training step; None where the whole fits or cannot be cut.

        The longest power of two whose segment fits with the borders kept beside it; where none
        does, the shortest.
        """
        if math.isinf(self.most) or length <= SHORTEST or not self.model.carries_no_past:
            return None
        if self.fits(batch_size, length):
            return None
        steps = 1 << (length - 1).bit_length() - 1
        while steps > SHORTEST and self._cut(batch_size, length, steps) > self.most:
            steps //= 2
        return steps

    def _steps_unlearned(self, batch_size: int, length: int) -> int | None:
        """As `steps`, and no more at a time than memory should hold, however much there is."""
        cut = self.steps(batch_size, length)
        if batch_size * length <= UNLEARNED or not self.model.carries_no_past:
            return cut
        return min(cut or length, max(SHORTEST, OF_THOSE // batch_size))

    def traced(self, length: int, scored: Scored) -> bool:
        """Whether what is learned from and does not fit is learned from in forward mode.

        So it is where a model allows it, little is asked, traces take no more than half of the
        memory, and fewer operations than the layer itself.
        """
        if not torch.is_grad_enabled() or not asks_little(scored, length):
            return False
        model = self.model
        return (
            can_be_traced(model)
            and traces_cost_less(model, length)
            and trace_bytes(model, *scored.shape) <= self.most / 2
        )

    def fits(self, batch_size: int, length: int) -> bool:
        """Whether all of a batch can be trained on at a time."""
        if math.isinf(self.most) or self._surely_fits(batch_size, length):
            return True
        return self._kept(batch_size, length) <= self.most

    def _steps_of_a_window(self, batch_size: int, length: int, window: int) -> int:
        """Steps of a segment: the window's, halved while it does not fit and can be halved."""
        if not self.model.carries_no_past or self.fits(batch_size, window):
            return window
        steps = window
        while (
            steps > SHORTEST and steps % 2 == 0 and self._cut(batch_size, length, steps) > self.most
        ):
            steps //= 2
        return steps

    def _surely_fits(self, batch_size: int, length: int) -> bool:
        """Told without counting, which takes as long as some training steps."""
        model = self.model
        numbers = len(model.blocks) * model.config.hidden_size + model.state_bytes(1) // 4
        return batch_size * length * float(numbers) * MOST_A_STEP <= self.most

    def _kept(self, batch_size: int, length: int) -> float:
        if not self._bytes_a_step:
            self._bytes_a_step = TEMPORARY * bytes_a_step(self.model)
        return batch_size * length * self._bytes_a_step

    def _cut(self, batch_size: int, length: int, steps: int) -> float:
        levels, spanned = 1, MOST_BORDERS * steps
        while spanned < length:
            levels, spanned = levels + 1, spanned * MOST_BORDERS
        borders = batch_size * levels * MOST_BORDERS * self.model.state_bytes(steps)
        return self._kept(batch_size, steps) + borders


def needed_bytes(model: Model, batch_size: int, length: int) -> float:
    """What a training step on whole sequences takes: what is kept, weights and Adam's numbers."""
    kept = TEMPORARY * bytes_a_step(model) * batch_size * length
    return kept + 4 * FOR_EACH_WEIGHT * model.num_parameters


def bytes_a_step(model: Model) -> float:
    """Bytes that one sequence's step leaves for the backward pass."""
    weights = next(model.parameters())
    embedded = weights.new_zeros(1, 2 * SHORT, model.front_end.features).requires_grad_()
    short, long = (
        kept_bytes(functools.partial(model.hidden, embedded[:, :steps]))
        for steps in (SHORT, 2 * SHORT)
    )
    return (long - short) / SHORT + 4 * model.front_end.features


def kept_bytes(compute: Callable[[], Tensor]) -> int:
    """Bytes that the graph of a computation keeps, each stretch of memory counted once."""
    stretches: dict[int, int] = {}
    tensors = 0

    def keep(tensor: Tensor) -> Tensor:
        nonlocal tensors
        storage = tensor.untyped_storage()
        stretches[storage.data_ptr()] = storage.nbytes()
        tensors += 1
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda kept: kept):
        answer = compute()
    return sum(stretches.values()) + tensors * OF_A_NODE + answer.nbytes
