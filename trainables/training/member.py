"""One member: a copy of an architecture with its own weights and its own optimiser."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.config import TrialConfig
from trainables.learning.learning import Learning
from trainables.models.model import Model, build
from trainables.models.passing import after_others
from trainables.models.room import Room
from trainables.randomness import Streams
from trainables.regimes import REGIMES
from trainables.tasks.task import Batch, Task


class Member:
    """An independently initialised copy of an architecture, in training.

    Args:
        rung: the rung whose stream the first weights are drawn from
        memory_bytes: what a step may take; longer sequences are trained and tested in segments
    """

    def __init__(
        self,
        config: TrialConfig,
        task: Task,
        streams: Streams,
        number: int,
        rung: int,
        device: torch.device,
        memory_bytes: float = math.inf,
    ) -> None:
        self.number, self.memory_bytes = number, memory_bytes
        self.model = build(config.model, task, streams.seed_of("weights", rung, number)).to(device)
        noise = streams.generator("noise", rung, number)
        self.learning = Learning(config.training, self.model, noise)
        self._smoothing = config.training.label_smoothing
        self._task = task
        regime = REGIMES[config.training.regime.kind](config.training.regime)
        self._room = Room(self.model, memory_bytes, regime.window)
        self._passed_fraction = regime.passed_fraction

    @property
    def judged(self) -> Model:
        """The model whose success counts: that of the averaged weights where these are kept."""
        return cast(Model, self.learning.judged)

    def enter(self, times_longer: float, most_steps: int) -> None:
        """Begin a rung that is ``times_longer`` than the ladder's first."""
        self.learning.enter(times_longer, most_steps)

    def learn(self, batch: Batch) -> tuple[float, int]:
        """One step of gradient descent.

        Returns:
            the batch's mean loss and how many of its rows were a success, both before the step.
            Where the loss is not finite, the gradient counts as zero.
        """
        loss, successes = self.queue(batch).tolist()
        return loss, int(successes)

    def queue(self, batch: Batch) -> Float[Tensor, " 2"]:
        """What `learn` does and returns, as an accelerator's numbers: nothing is waited for."""
        predictions = after_others(self._room, batch.inputs, batch.scored, self._passed_fraction)
        loss = self._task.answer.loss(predictions, batch.targets, self._smoothing)
        right = self._task.judge(predictions.detach(), batch)
        successes = right.sum() * len(batch.inputs) // max(1, len(right))
        self.learning.step(loss)
        return torch.stack((loss.detach().double(), successes.double()))

    def state(self) -> dict[str, Any]:
        """Weights and optimiser: what `restore` needs."""
        return {"model": self.model.state_dict(), **self.learning.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.model.load_state_dict(state["model"])
        self.learning.restore(state)
