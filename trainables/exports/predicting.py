"""A model that answers on its user's own rows, as the file has them, with the file's own labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainables.encoding.answers import ClassAnswers
from trainables.encoding.encoding import Encoding
from trainables.encoding.rows import read_rows
from trainables.exports.streaming import RowStream
from trainables.models.config import ModelConfig
from trainables.models.model import Model
from trainables.tasks.task import Interface
from trainables.training.evaluation import STEPS_AT_ONCE
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
        super().__init__(config, interface.inputs, interface.answer.outputs)
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
            (N,), or (N, S) where a row has S > 1 answers

        Raises:
            ValueError: in one line, if a row is not what the model takes, or memory does not hold
                it with its gap.
        """
        encoding = self._require_encoding()
        answers = encoding.answer.decode(self.outputs_of(rows, gap))
        return answers[:, 0] if encoding.answers == 1 else answers

    def predict_proba(self, rows: Any, gap: int | None = None) -> np.ndarray:
        """The classes' probabilities for each row (N, C), or (N, S, C), as `predict` takes them.

        ``model.encoding.answer.names`` says which class is which.

        Raises:
            ValueError: as `predict`, or if the answers are numbers.
        """
        encoding = self._require_encoding()
        if not isinstance(encoding.answer, ClassAnswers):
            raise ValueError("predict_proba: this model answers with numbers, not classes")
        logits = torch.from_numpy(self.outputs_of(rows, gap))
        shares = logits.softmax(-1).numpy()
        return shares[:, 0] if encoding.answers == 1 else shares

    def stream(self, batch_size: int) -> RowStream:
        """Rows side by side that come a step at a time; it answers as `predict` does on the whole.

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
        """What `forward` gives for raw rows (N, S, C)."""
        encoding = self._require_encoding()
        gap = encoding.require_gap(gap, self.lag)
        values = read_rows(rows, encoding)
        given = np.empty((len(values), encoding.answers, self.outputs), np.float32)
        length = 0
        was_training = self.training
        self.eval()
        try:
            with torch.inference_mode():
                for numbers, inputs in self._shown(values, encoding, gap):
                    length = inputs.shape[1]
                    scored = torch.arange(length - encoding.answers, length)
                    answers = self(inputs, scored.expand(len(inputs), -1))
                    given[numbers] = answers.float().cpu().numpy()
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise ValueError(
                f"rows: memory does not hold rows of {length} steps, their filler and a gap of"
                f" {gap} among them; ask for a shorter gap, or give shorter rows"
            ) from None
        finally:
            self.train(was_training)
        return given

    def _shown(
        self, values: list[np.ndarray], encoding: Encoding, gap: int
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Rows of one length at a time, at most `STEPS_AT_ONCE` steps, by their numbers."""
        device = next(self.parameters()).device
        lengths: dict[int, list[int]] = defaultdict(list)
        for number, row in enumerate(values):
            length = encoding.length(len(row), gap, self.lag)
            self._require_readable(length, number, encoding)
            lengths[length].append(number)
        for length, numbers in lengths.items():
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
