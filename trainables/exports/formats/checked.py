"""A model in another format, checked against itself before anything is written."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from trainables.exports.formats.format import Answer, Format, example
from trainables.messages import named
from trainables.models.model import Model

TOLERANCE = 1e-4
"""The most that an answer may be off, as a share of the largest answer, or of 1 if all are less."""

BATCH_SIZES = (1, 3)
SHORT, LONGEST = 7, 512
"""Steps of the shorter check, and the most of the longer one, which is as long as the lag."""


@dataclass(frozen=True)
class Converted:
    """A model in a format.

    Attributes:
        file: its name
        content: all of it
        record: what was checked, for the outcome
    """

    file: str
    content: bytes
    record: dict[str, Any]


def convert(form: Format, model: Model, lag: int, about: Mapping[str, str]) -> Converted:
    """The model in a format, read back from what is to be written and compared with PyTorch.

    Args:
        form: which format
        model: with its weights
        lag: at which success is claimed
        about: what the file itself says of the model

    Raises:
        ValueError: in one line, if the format does not hold the model.
    """
    lengths = lengths_for(model, lag)
    try:
        content = form.write(model, about)
        answer = form.open(content)
        off = [
            difference(model, answer, batch_size, steps)
            for batch_size in BATCH_SIZES
            for steps in lengths
        ]
    except Exception as error:  # whatever a tracer says of a layer, be it of a plugin
        raise ValueError(f"{form.file}: this model cannot be written so: {named(error)}") from error
    if not max(off) <= TOLERANCE:
        raise ValueError(
            f"{form.file}: this model cannot be written so: its answers are off by {max(off):.1e},"
            f" allowed: {TOLERANCE:g}"
        )
    record = {
        "file": form.file,
        "batch_sizes": list(BATCH_SIZES),
        "steps": list(lengths),
        "tolerance": TOLERANCE,
        "largest_difference": max(off),
    }
    return Converted(form.file, content, record)


def lengths_for(model: Model, lag: int) -> tuple[int, int]:
    """Two lengths that the model can read, one of them as long as the lag where that is few."""
    longer = max(2 * SHORT, min(lag, LONGEST))
    longest = longer if model.longest is None else model.longest
    return min(SHORT, longest), min(longer, longest)


def difference(model: Model, answer: Answer, batch_size: int, steps: int) -> float:
    """How far ``answer`` is off the model's own, as a share of its largest answer, or of 1."""
    inputs, scored = example(model, batch_size, steps, answers=1)
    with torch.inference_mode():
        expected = model(inputs, scored)
        off = (answer(inputs, scored) - expected).abs().max()
        return float(off / expected.abs().max().clamp(min=1))


def lacking_packages(form: Format) -> list[str]:
    """The packages that a format needs and that are not installed."""
    return [name for name in form.packages if importlib.util.find_spec(name) is None]
