"""Rows that come a step at a time, and may be answered at any moment.

A recurrent model carries a state of one size; attention keeps what it may look back on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainables.encoding.answers import NumberAnswers
from trainables.encoding.encoding import Encoding
from trainables.encoding.holders import columns_of, listed
from trainables.encoding.rows import read_rows
from trainables.models.model import Carried, Model, tested
from trainables.shapes import Inputs, Stream

PIECE = 256
"""Steps of filler that go through the model at once."""


class RowStream:
    """Rows side by side, a step of each at a time; `predict` is that of the rows so far.

    Rows that are still shorter than those the model was trained on begin with filler, whose amount
    is known once they are answered. Until then their steps are kept, at most so many.

    Attributes:
        steps: how many have come
    """

    def __init__(self, model: Model, encoding: Encoding, lag: int, batch_size: int) -> None:
        self.steps = 0
        self._model, self._encoding, self._lag = model, encoding, lag
        self._batch_size = batch_size
        self._padded = 0 if encoding.padding is None else encoding.padding.steps_at(lag)
        self._waiting: list[Inputs] = []
        with torch.inference_mode():
            self._at = _Position.first(model, batch_size, encoding.answers)

    def step(self, values: Any) -> None:
        """One more step of each row, raw: (B,) values or names, or (B, F) numbers.

        Raises:
            ValueError: in one line, if they are not one for each row, or not what the model takes.
        """
        rows = self._one_step(values)
        if len(rows) != self._batch_size:
            raise ValueError(
                f"step: {len(rows)} values are not allowed; this stream has {self._batch_size} rows"
            )
        read = read_rows(rows, self._encoding)
        shown = torch.stack([self._encoding.show(row, 1, 0) for row in read])
        limit = self._model.longest
        if limit is not None and self.steps >= limit:
            raise ValueError(f"step: {self.steps + 1} steps; this model reads at most {limit}")
        self.steps += 1
        self._waiting.append(shown)
        if self.steps >= self._padded:
            self._at = self._after(self._at, torch.cat(self._waiting, dim=1))
            self._waiting = []

    def _one_step(self, values: Any) -> list[list[Any]]:
        """The step of each row, as a row of its own."""
        values = listed(values, self._encoding.column)
        if (
            not isinstance(values, Iterable)
            or isinstance(values, str | bytes)
            or columns_of(values) is not None
            or (isinstance(values, np.ndarray) and not values.ndim)
        ):
            said = repr(values) if isinstance(values, int | float | str) else type(values).__name__
            raise ValueError(
                f"step: {said} is not allowed; a list with one step of each of the stream's"
                f" {self._batch_size} rows"
            )
        return [[value] for value in values]

    def predict(self, gap: int | None = None) -> np.ndarray:
        """What ``model.predict`` answers to the rows so far; the stream may go on after it.

        Where it answers at each step, the answer at the last that came (B,).

        Args:
            gap: as in ``model.predict``; filler goes through a copy of the state

        Raises:
            ValueError: in one line, if no step has come, or too few for the answers.
        """
        answers = self._encoding.answer.decode(self.outputs(gap))
        return answers[:, 0] if self._encoding.answers == 1 else answers

    def predict_proba(self, gap: int | None = None) -> np.ndarray:
        """What ``model.predict_proba`` gives for the rows so far.

        Raises:
            ValueError: as `predict`, or if the answers are numbers.
        """
        answer = self._encoding.answer
        if isinstance(answer, NumberAnswers):
            raise ValueError("predict_proba: this model answers with numbers, not classes")
        shares = answer.shares(self.outputs(gap))
        return shares[:, 0] if self._encoding.answers == 1 else shares

    def outputs(self, gap: int | None = None) -> np.ndarray:
        """What the model's ``forward`` gives for the rows so far (B, S, C)."""
        gap = self._encoding.require_gap(gap, self._lag)
        length = self._encoding.length(self.steps, gap, self._lag)
        if not self.steps or length < self._encoding.answers:
            needed = 1 if not self.steps else self._encoding.answers
            raise ValueError(f"predict: {self.steps} steps have come; it takes at least {needed}")
        if not self._model.reads(length):
            raise ValueError(
                f"gap: {self.steps} steps with their filler are {length}; this model reads at most"
                f" {self._model.longest}"
            )
        at = self._at
        lead = max(0, self._padded - self.steps)
        if lead:
            at = self._after(at, self._filler(length)[:, :lead])
        if self._waiting:
            at = self._after(at, torch.cat(self._waiting, dim=1))
        if gap:
            at = self._after(at, self._filler(gap))
        return at.answers(self._model)

    @property
    def state_bytes(self) -> int:
        """Bytes that are carried now, for all rows."""
        tensors = (*self._at.carried.tensors, self._at.seen, *self._waiting)
        return sum(part.numel() * part.element_size() for part in tensors)

    @property
    def bytes_a_step(self) -> int:
        """Bytes that each further step of one row adds to what is carried; 0: constant memory.

        Attention's keys and values, once its windows are full.
        """
        return self._model.bytes_a_step

    def _filler(self, length: int) -> Inputs:
        filler = self._encoding.fixed_filler(length)
        return filler.expand(self._batch_size, *filler.shape)

    def _after(self, at: _Position, inputs: Inputs) -> _Position:
        with tested(self._model), torch.inference_mode():
            for piece in inputs.split(PIECE, dim=1):
                at = at.after(self._model, piece)
        return at


class _Position:
    """Where in its sequences a model is.

    Attributes:
        carried: what it needs to go on
        seen: the stream at the steps that the read-out may need (B, N, D)
    """

    def __init__(self, carried: Carried, seen: Stream, answers: int) -> None:
        self.carried, self.seen, self._answers = carried, seen, answers

    @classmethod
    def first(cls, model: Model, batch_size: int, answers: int) -> _Position:
        """Before the first step."""
        none = next(model.parameters()).new_zeros(batch_size, 0, model.config.hidden_size)
        return cls(model.initial_state(batch_size), none, answers)

    def after(self, model: Model, inputs: Tensor) -> _Position:
        """Where it is after more steps."""
        inputs = inputs.to(self.seen.device)
        new, carried = model.scan(model.embed(inputs), self.carried)
        seen = torch.cat((self.seen, new), dim=1)
        if not model.readout.looks_back:
            seen = seen[:, -self._answers :]
        return _Position(carried, seen, self._answers)

    def answers(self, model: Model) -> np.ndarray:
        """The answers at the last steps."""
        length = self.seen.shape[1]
        scored = torch.arange(length - self._answers, length, device=self.seen.device)
        with torch.inference_mode():
            given = model.readout(self.seen, scored.expand(len(self.seen), -1))
        return given.float().cpu().numpy()
