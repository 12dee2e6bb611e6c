"""What a format is: how a model is written in it, and how what was written is run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch.export import ExportedProgram

from trainables.exports.formats.graph_form import graph_form
from trainables.models.model import Model
from trainables.shapes import Inputs, Predictions, Scored
from trainables.tasks.task import Symbols

Answer = Callable[[Inputs, Scored], Predictions]

INPUTS, SCORED, ANSWERS = "inputs", "scored", "answers"
"""What a graph calls what it takes and gives."""


class Format(ABC):
    """A file that answers as `Model.forward`, without Longspan.

    Attributes:
        file: its name in an exported folder
        packages: what it is written and checked with, besides torch
    """

    file: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def write(self, traced: ExportedProgram, about: Mapping[str, str]) -> bytes:
        """The file, with ``about`` in it for whoever has nothing else."""

    @abstractmethod
    def open(self, content: bytes) -> Answer:
        """What such a file answers."""


def example(model: Model, batch_size: int, steps: int, answers: int) -> tuple[Inputs, Scored]:
    """Inputs as the model takes them, drawn at random, and the last steps to answer at."""
    generator = torch.Generator().manual_seed(steps)
    kind = model.inputs
    if isinstance(kind, Symbols):
        inputs = torch.randint(kind.vocabulary, (batch_size, steps), generator=generator)
    else:
        inputs = torch.randn(batch_size, steps, kind.features, generator=generator)
    return inputs, torch.arange(steps - answers, steps).expand(batch_size, -1).contiguous()


def program(model: Model) -> ExportedProgram:
    """The model as a graph of torch's operators, for any number of rows, steps and answers.

    Every format starts from it.
    """
    steps = max(4, 2 * model.front_end.stride)
    steps = steps if model.longest is None else min(steps, model.longest)
    any_size = torch.export.Dim.DYNAMIC
    shapes = ({0: any_size, 1: any_size}, {0: any_size, 1: any_size})
    with torch.no_grad():
        return torch.export.export(
            graph_form(model), example(model, 2, steps, 2), dynamic_shapes=shapes
        )
