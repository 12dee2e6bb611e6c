"""An exported folder behind MLflow's loader protocol, so that an MLflow server can answer with it.

MLflow calls `_load_pyfunc` by its name, in the module that a logged model names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainables.exports.exported import Exported, read
from trainables.tasks.task import NumberAnswer


class Answering:
    """Answers whole sequences: with logits of the classes, or numbers in the target's units."""

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
            ValueError: if a scored step lies outside of the sequences.
        """
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


def _load_pyfunc(data_path: str) -> Answering:
    return Answering(read(Path(data_path)))
