"""A model that answers on its user's own rows, as the file has them, with the file's own labels."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainables.encoding.answers import NumberAnswers
from trainables.encoding.encoding import Encoding
from trainables.encoding.rows import read_rows
from trainables.exports.streaming import RowStream
from trainables.models.config import ModelConfig
from trainables.models.model import Model, tested
from trainables.models.room import Room
from trainables.tasks.task import Interface
from trainables.training.held_out.evaluation import STEPS_AT_ONCE
from trainables.training.memory import out_of_memory

NO_ENCODING = (
    "this export is of a version that kept no encoding (scaling, vocabulary, class names), so it "
    "cannot take raw rows; export it again from its search, or call model(inputs, scored)"
)


MOST_ROWS = 2**20
"""Rows of one stream."""


class Predictor(Model):
    """A `Model` that knows what its rows were: ``predict``, ``predict_proba``, ``stream``.

    ``forward`` is the model's, on inputs that are encoded already.

    Attributes:
        encoding: how rows become inputs, and outputs answers; None in exports that keep none
        lag: the lag that success is claimed at, and the gap after which is asked by default
    """

    def __init__(
        self, config: ModelConfig, interface: Interface, encoding: Encoding | None, lag: int
    ) -> None:
        super().__init__(config, interface)
        self.encoding, self.lag = encoding, lag

    def predict(self, rows: Any, gap: int | None = None) -> np.ndarray:
        """An answer for each row: the file's label, or a number in its units.

        The rows are as the user has them, of any lengths. On a ``stream`` the answer is the step
        after the last. A row is answered alike whatever stands beside it.

        Args:
            rows: a list of rows, an array (N, T) or (N, T, F), a column of Arrow or pandas, or a
                table with the file's column
            gap: after how many steps of filler the answer is asked for; by default the lag at
                which success is claimed; at most `LONGEST_GAP`. Only where the model was trained
                with filler

        Returns:
            (N,), or (N, S) where a row has S > 1 answers; where it has one at each of its n steps,
            (N,) of arrays (n,)

        Raises:
            ValueError: in one line, if a row is not what the model takes, or memory does not hold
                it with its gap.
        """
        return self._answers(self._require_encoding().answer.decode, rows, gap)

    def predict_proba(self, rows: Any, gap: int | None = None) -> np.ndarray:
        """The classes' probabilities for each row (N, C), as `predict` takes them.

        Where a row has several answers, (N, S, C); or (N,) of arrays (n, C).

        ``model.encoding.answer.names`` says which class is which.

        Raises:
            ValueError: as `predict`, or if the answers are numbers.
        """
        answer = self._require_encoding().answer
        if isinstance(answer, NumberAnswers):
            raise ValueError("predict_proba: this model answers with numbers, not classes")
        return self._answers(answer.shares, rows, gap)

    def _answers(
        self, decode: Callable[[np.ndarray], np.ndarray], rows: Any, gap: int | None
    ) -> np.ndarray:
        outputs = self.outputs_of(rows, gap)
        if self._require_encoding().each_step:
            return listed([decode(row) for row in outputs])
        answers = decode(outputs)
        return answers if self._require_encoding().is_several else answers[:, 0]

    def stream(self, batch_size: int) -> RowStream:
        """Rows side by side that come a step at a time; it answers as `predict` does on the whole.

        Where a row is answered at each of its steps, it gives the answer at the last that came.

        Raises:
            ValueError: in one line, if the export keeps no encoding, or there is no row.
        """
        is_number = isinstance(batch_size, int | np.integer) and not isinstance(batch_size, bool)
        if not is_number or not 1 <= batch_size <= MOST_ROWS:
            raise ValueError(
                f"batch_size: {batch_size!r} is not allowed; a number of rows, 1 to {MOST_ROWS}"
            )
        return RowStream(self, self._require_encoding(), self.lag, int(batch_size))

    def outputs_of(self, rows: Any, gap: int | None = None) -> np.ndarray:
        """What `forward` gives for raw rows (N, S, C); or at each step, (N,) of arrays (n, C)."""
        encoding = self._require_encoding()
        gap = encoding.require_gap(gap, self.lag)
        values = read_rows(rows, encoding)
        given: list[np.ndarray] = [np.empty(0)] * len(values)
        length, room = 0, Room(self, math.inf)
        try:
            with tested(self), torch.inference_mode():
                for numbers, inputs in self._shown(values, encoding, gap):
                    length = inputs.shape[1]
                    asked = len(values[numbers[0]]) if encoding.each_step else encoding.answers
                    scored = torch.arange(length - asked, length)
                    asked_of = scored.expand(len(inputs), -1)
                    answers = room.answers(inputs, asked_of).float().cpu().numpy()
                    for number, answer in zip(numbers, answers, strict=True):
                        given[number] = answer
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise ValueError(
                f"rows: memory does not hold rows of {length} steps, their filler and a gap of"
                f" {gap} among them; ask for a shorter gap, or give shorter rows"
            ) from None
        if encoding.each_step:
            return listed(given)
        none = np.empty((0, encoding.answers, self.outputs), np.float32)
        return np.stack(given) if given else none

    def _shown(
        self, values: list[np.ndarray], encoding: Encoding, gap: int
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Rows of one length at a time, at most `STEPS_AT_ONCE` steps, by their numbers.

        Where each step is answered, they also have as many of their own.
        """
        device = next(self.parameters()).device
        lengths: dict[tuple[int, int], list[int]] = defaultdict(list)
        for number, row in enumerate(values):
            length = encoding.length(len(row), gap, self.lag)
            self._require_readable(length, number, encoding)
            lengths[length, len(row) if encoding.each_step else 0].append(number)
        for (length, _), numbers in lengths.items():
            at_once = max(1, min(256, STEPS_AT_ONCE // length))
            for first in range(0, len(numbers), at_once):
                some = numbers[first : first + at_once]
                shown = [encoding.show(values[number], length, gap) for number in some]
                yield some, torch.stack(shown).to(device)

    def _require_readable(self, length: int, number: int, encoding: Encoding) -> None:
        if length < encoding.answers:
            raise ValueError(
                f"rows: {encoding.column!r} has {length} steps in row {number}; this model answers"
                f" at the last {encoding.answers}"
            )
        if not self.reads(length):
            raise ValueError(
                f"rows: {encoding.column!r} with its filler has {length} steps in row {number};"
                f" this model reads at most {self.longest}"
            )

    def _require_encoding(self) -> Encoding:
        if self.encoding is None:
            raise ValueError(f"predict: {NO_ENCODING}")
        return self.encoding


def listed(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of any lengths, an array each (N,)."""
    found = np.empty(len(rows), dtype=object)
    for number, row in enumerate(rows):
        found[number] = row
    return found
