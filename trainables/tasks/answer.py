"""What is asked at a scored step: one of several classes, or a number.

Sequences of a batch may be asked different numbers of times. Where nothing is asked, the target is
`NO_CLASS`, or NaN in place of a number: it is neither learned from nor ever wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Bool, Float
from pydantic import AllowInfNan
from torch import Tensor

from trainables.shapes import Predictions, Targets

NO_CLASS = -1
"""In place of a class where nothing is asked."""


def asked(targets: Targets) -> Bool[Tensor, "B S"]:
    """Which of the targets are answers."""
    return ~targets.isnan() if targets.is_floating_point() else targets != NO_CLASS


def not_asked(targets: Targets, none: Bool[Tensor, "B S"]) -> Targets:
    """The targets, but for ``none``, where nothing is asked."""
    return targets.masked_fill(none, torch.nan if targets.is_floating_point() else NO_CLASS)


@dataclass(frozen=True)
class ClassAnswer:
    """Answers that are one of ``classes``; right if the argmax is.

    Attributes:
        of_places: where a sequence's answers have classes of their own, how many each has; the
            logits beyond those are none
    """

    classes: int
    of_places: tuple[int, ...] = ()

    @property
    def outputs(self) -> int:
        """Numbers a model gives for one answer: a logit a class."""
        return self.classes

    def right(self, predictions: Predictions, targets: Targets) -> Bool[Tensor, "B S"]:
        """Which answers are right; one that is not asked is."""
        if predictions.shape[1] == len(self.of_places):
            places = torch.tensor(self.of_places, device=predictions.device)[:, None]
            none = torch.arange(self.classes, device=predictions.device) >= places
            predictions = predictions.masked_fill(none, -torch.inf)
        return (predictions.argmax(-1) == targets) | ~asked(targets)

    def loss(
        self, predictions: Predictions, targets: Targets, label_smoothing: float = 0.0
    ) -> Tensor:
        """Mean cross entropy of what is asked, in nats."""
        return torch.nn.functional.cross_entropy(
            predictions.flatten(0, 1),
            targets.flatten(),
            ignore_index=NO_CLASS,
            label_smoothing=label_smoothing,
        )

    def losses(self, predictions: Predictions, targets: Targets) -> Float[Tensor, " B"]:
        """Mean cross entropy of each sequence."""
        each = torch.nn.functional.cross_entropy(
            predictions.flatten(0, 1), targets.flatten(), ignore_index=NO_CLASS, reduction="none"
        )
        return each.view(targets.shape).sum(1) / asked(targets).sum(1)


@dataclass(frozen=True)
class NumberAnswer:
    """Answers that are a number, offset + scale * output; right if off by less than ``tolerance``.

    Attributes:
        tolerance: in the target's units, as are ``scale`` and ``offset``; infinite where right or
            wrong is not asked

    """

    tolerance: Annotated[float, AllowInfNan(True)]
    scale: float = 1.0
    offset: float = 0.0

    @property
    def outputs(self) -> int:
        """Numbers a model gives for one answer."""
        return 1

    def value(self, predictions: Predictions) -> Float[Tensor, "B S"]:
        """The answers in the target's units."""
        return self.offset + self.scale * predictions[..., 0]

    def right(self, predictions: Predictions, targets: Targets) -> Bool[Tensor, "B S"]:
        """Which answers are right; one that is not asked is."""
        off = (self.value(predictions) - targets).abs()
        return (off < self.tolerance) | ~asked(targets)

    def loss(
        self, predictions: Predictions, targets: Targets, label_smoothing: float = 0.0
    ) -> Tensor:
        """Mean squared error of what is asked, in units of ``scale`` squared; without labels."""
        share = asked(targets).float().mean()
        return self._squares(predictions, targets).mean() / share

    def losses(self, predictions: Predictions, targets: Targets) -> Float[Tensor, " B"]:
        """Mean squared error of each sequence."""
        return self._squares(predictions, targets).mean(1) / asked(targets).float().mean(1)

    def _squares(self, predictions: Predictions, targets: Targets) -> Float[Tensor, "B S"]:
        """Squared errors in units of ``scale`` squared, 0 where nothing is asked."""
        outputs = (targets - self.offset) / self.scale
        return (predictions[..., 0] - outputs).where(asked(targets), 0).square()
