"""An exported folder behind MLflow's loader protocol, so that an MLflow server can answer with it.

MLflow calls `_load_pyfunc` by its name, in the module that a logged model names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from trainables.encoding.answers import ClassAnswers, ColumnsAnswers, NumberAnswers
from trainables.encoding.encoding import Encoding
from trainables.exports.exported import Exported, read
from trainables.exports.predicting import NO_ENCODING, Predictor
from trainables.messages import one_line
from trainables.tasks.task import NumberAnswer

LABEL = "label"
"""The column of the answers; where a class is called so, its probability's is ``p(label)``."""


class RefusedRowsError(MlflowException, ValueError):
    """Rows that are not the model's, in one line; MLflow's server hands it to who asked, as 400."""

    def __init__(self, error: ValueError) -> None:
        super().__init__(one_line(error), error_code=INVALID_PARAMETER_VALUE)


class Answering:
    """Answers rows as the user has them: a table with the labels, and a column a class."""

    def __init__(self, model: Predictor, encoding: Encoding) -> None:
        self._model, self._encoding = model, encoding

    def predict(self, rows: Any, params: Mapping[str, Any] | None = None) -> Any:
        """A DataFrame with a row for each: ``label``, and each class's probability by its name.

        Where a row has several answers, lists of them; of several columns, each column's under its
        name.

        Args:
            rows: what `Predictor.predict` takes; also a mapping with ``inputs``, or its own column
            params: ``gap``, the steps of filler after which is asked; -1 for the claimed lag

        Raises:
            RefusedRowsError: in one line, if a row is not what the model takes.
        """
        import pandas as pd  # comes with MLflow, which alone calls this

        gap = (params or {}).get("gap", -1)
        encoding, answer = self._encoding, self._encoding.answer
        if isinstance(rows, Mapping) and encoding.column not in rows and list(rows) == ["inputs"]:
            rows = rows["inputs"]
        try:
            outputs = self._model.outputs_of(rows, None if gap == -1 else gap)
        except ValueError as error:
            raise RefusedRowsError(error) from None
        if isinstance(answer, ColumnsAnswers):
            found = _of_columns(answer, outputs)
        else:
            found = _columns(answer, outputs)
            if not encoding.is_several:
                found = {name: [row[0] for row in rows_of] for name, rows_of in found.items()}
        return pd.DataFrame(
            found,
            index=rows.index if isinstance(rows, pd.DataFrame | pd.Series) else None,
        )


def _columns(answer: ClassAnswers | NumberAnswers, outputs: np.ndarray) -> dict[str, list[Any]]:
    """Under each name, of each row the list of what its answers are there."""
    columns = {LABEL: [answer.decode(row).tolist() for row in outputs]}
    if isinstance(answer, ClassAnswers):
        shares = [answer.shares(row).astype(np.float64) for row in outputs]
        for number, name in enumerate(probability_columns(answer)):
            columns[name] = [row[:, number].tolist() for row in shares]
    return columns


def _of_columns(answer: ColumnsAnswers, outputs: np.ndarray) -> dict[str, list[Any]]:
    """Each column's answer, then its classes' probabilities: ``fault``, ``p(fault: shaft)``, ..."""
    columns = {}
    for place, (name, part) in enumerate(zip(answer.columns, answer.parts, strict=True)):
        logits = outputs[:, place, : len(part.names)]
        columns[name] = part.decode(logits).tolist()
        shares = part.shares(logits).astype(np.float64)
        for number, each in enumerate(shares_of(name, part)):
            columns[each] = shares[:, number].tolist()
    return columns


def shares_of(column: str, answer: ClassAnswers) -> list[str]:
    """The columns of the probabilities of one of several columns' classes."""
    return [f"p({column}: {label})" for label in answer.names]


def probability_columns(answer: ClassAnswers) -> list[str]:
    """The columns of the classes' probabilities, in the classes' order, each once."""
    found: list[str] = []
    for name in map(str, answer.names):
        found.append(f"p({name})" if name in (LABEL, *found) else name)
    return found


class AnsweringEncoded:
    """Of a folder that keeps no encoding: answers whole sequences that are encoded already.

    With logits of the classes, or numbers in the target's units.
    """

    def __init__(self, exported: Exported) -> None:
        self._model, self._answer = exported.model(), exported.config.answer

    def predict(
        self, sequences: Mapping[str, np.ndarray], params: Mapping[str, Any] | None = None
    ) -> dict[str, np.ndarray]:
        """The ``answers`` (B, S, C), or (B, S) where they are numbers.

        Args:
            sequences: ``inputs``, (B, T) of symbols or (B, T, F) of numbers
            params: ``scored``, the S steps to answer at; negative ones count from the end

        Raises:
            ValueError: in one line, if they are raw rows, or a scored step lies outside of them.
        """
        if not isinstance(sequences, Mapping) or "inputs" not in sequences:
            raise RefusedRowsError(ValueError(f"rows: {NO_ENCODING}; or give encoded 'inputs'"))
        inputs = torch.from_numpy(np.ascontiguousarray(sequences["inputs"]))
        length = inputs.shape[1]
        steps = torch.as_tensor((params or {}).get("scored", [-1]))
        if not ((-length <= steps) & (steps < length)).all():
            raise ValueError(
                f"scored: {steps.tolist()} is not allowed; the sequences have {length} steps"
            )
        with torch.inference_mode():
            given = self._model(inputs, (steps % length).expand(len(inputs), -1))
        if isinstance(self._answer, NumberAnswer):
            given = self._answer.value(given)
        return {"answers": given.numpy()}


def _load_pyfunc(data_path: str) -> Answering | AnsweringEncoded:
    exported = read(Path(data_path))
    if exported.encoding is None:
        return AnsweringEncoded(exported)
    return Answering(exported.model(), exported.encoding)
