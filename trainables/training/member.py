"""One member: a copy of an architecture with its own weights and its own optimiser."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.config import TrialConfig
from trainables.learning.anchors import Anchors, anchors_of
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
        regime = REGIMES[config.training.regime.kind](config.training.regime)
        self._anchors = anchors_of(regime, self.model, streams.seed_of("anchors", rung, number))
        if self._anchors is not None:
            self._anchors.to(device)
        self._drawn = streams.generator("anchors", rung, number, 1)
        self.learning = Learning(config.training, self.model, noise, self._anchors)
        self._smoothing = config.training.label_smoothing
        self._task = task
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
            the mean loss of the batch's answers, which a loss beside them is no part of, and how
            many of its rows were a success, both before the step.
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
        total = loss if self._anchors is None else loss + self._beside(self._anchors, batch)
        self.learning.step(total)
        shown = loss.where(total.isfinite(), total).detach()
        return torch.stack((shown.double(), successes.double()))

    def _beside(self, anchors: Anchors, batch: Batch) -> Tensor:
        """The loss of what is said at anchors, by its weight."""
        drawn = anchors.draw(batch.inputs.shape[1], self._drawn)
        return anchors.config.weight * anchors.loss(self._room, batch.inputs, drawn)

    def state(self) -> dict[str, Any]:
        """Weights and optimiser: what `restore` needs."""
        state = {"model": self.model.state_dict(), **self.learning.state()}
        if self._anchors is not None:
            state["anchors"] = self._anchors.state_dict()
            state["anchors_drawn"] = self._drawn.get_state()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.model.load_state_dict(state["model"])
        self.learning.restore(state)
        if self._anchors is not None:
            self._anchors.load_state_dict(state["anchors"])
            self._drawn.set_state(state["anchors_drawn"])
