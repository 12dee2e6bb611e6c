"""One member: a copy of an architecture with its own weights and its own optimiser."""

from __future__ import annotations

from typing import Any

import torch

from trainables.config import TrialConfig
from trainables.models.model import build
from trainables.randomness import Streams
from trainables.tasks.task import Batch, Task


class Member:
    """An independently initialised copy of an architecture, in training.

    Args:
        rung: the rung whose stream the first weights are drawn from
    """

    def __init__(
        self,
        config: TrialConfig,
        task: Task,
        streams: Streams,
        number: int,
        rung: int,
        device: torch.device,
    ) -> None:
        self.number = number
        self.model = build(config.model, task, streams.seed_of("weights", rung, number)).to(device)
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), lr=config.training.learning_rate, fused=True
        )
        self._clip_norm = config.training.clip_norm
        self._task = task

    def learn(self, batch: Batch) -> tuple[float, int]:
        """One step of gradient descent.

        Returns:
            the batch's mean loss and how many of its rows were a success, both before the step.
            Where the loss is not finite, no step is taken.
        """
        predictions = self.model(batch.inputs, batch.scored)
        loss = self._task.answer.loss(predictions, batch.targets)
        value = float(loss.detach())
        right = self._task.judge(predictions.detach(), batch)
        successes = int(right.sum()) * len(batch.inputs) // max(1, len(right))
        if value == value and abs(value) != float("inf"):
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if self._clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), self._clip_norm)
            self.optimizer.step()
        return value, successes

    def state(self) -> dict[str, Any]:
        """Weights and optimiser: what `restore` needs."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
