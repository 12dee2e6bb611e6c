"""What a model's output says: one of several classes by the file's name for it, or a number."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from trainables.parts import Config

Label = StrictBool | StrictInt | StrictFloat | StrictStr


def typed(name: Label) -> tuple[str, Label]:
    """A class's name with its type: True is not 1."""
    return type(name).__name__, name


class ClassAnswers(Config):
    """One of several classes.

    Attributes:
        names: of classes 0, 1, .., as the file has them and in its type
    """

    kind: Literal["class"] = "class"
    names: tuple[Label, ...] = Field(min_length=1)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names for columns of a table of probabilities; an answer of the same text is its."""
        return tuple(str(name) for name in self.names)

    def decode(self, logits: np.ndarray) -> np.ndarray:
        """The likeliest class's name, for each of the logits (..., C): an array of (...)."""
        picks = logits.argmax(-1)
        kinds = {type(name) for name in self.names}
        if kinds in ({bool}, {int}, {float}):
            return np.array(self.names)[picks]
        named = np.empty(len(self.names), dtype=object)
        named[:] = self.names
        return named[picks]


class NumberAnswers(Config):
    """A number, offset + scale * output, in the file's units.

    Attributes:
        tolerance: an answer is right if off by less; None where right or wrong is not asked
    """

    kind: Literal["number"] = "number"
    scale: float
    offset: float
    tolerance: float | None

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """The numbers (...) of outputs (..., 1), computed as in training."""
        return (self.offset + self.scale * outputs[..., 0]).astype(np.float64)


AnyAnswers = Annotated[ClassAnswers | NumberAnswers, Field(discriminator="kind")]
