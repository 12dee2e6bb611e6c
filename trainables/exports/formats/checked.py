"""A model in other formats, checked against itself before anything is written."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from trainables.exports.formats.format import Answer, Format, example, program
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


def convert(
    forms: Mapping[str, Format], model: Model, lag: int, about: Mapping[str, str]
) -> dict[str, Converted]:
    """The model in each format, read back from what is to be written and compared with PyTorch.

    Args:
        forms: formats by name
        model: with its weights
        lag: at which success is claimed
        about: what the files themselves say of the model

    Raises:
        ValueError: in one line, if a format does not hold the model.
    """
    lengths = lengths_for(model, lag)
    try:
        traced = program(model)
        contents = {name: form.write(traced, about) for name, form in forms.items()}
        off = {
            name: max(
                difference(model, answer, batch_size, steps)
                for batch_size in BATCH_SIZES
                for steps in lengths
            )
            for name, answer in ((name, forms[name].open(contents[name])) for name in forms)
        }
    except Exception as error:  # whatever a tracer says of a layer, be it of a plugin
        raise ValueError(f"{', '.join(forms)} cannot hold this model: {named(error)}") from error
    for name, most in off.items():
        if not most <= TOLERANCE:
            raise ValueError(
                f"{name} cannot hold this model: its answers are off by {most:.1e}, allowed:"
                f" {TOLERANCE:g}"
            )
    return {
        name: Converted(
            form.file,
            contents[name],
            {
                "file": form.file,
                "batch_sizes": list(BATCH_SIZES),
                "steps": list(lengths),
                "tolerance": TOLERANCE,
                "largest_difference": off[name],
            },
        )
        for name, form in forms.items()
    }


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
