"""How a model learns: an optimiser, its rate by time and by lag, and an average of weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from trainables.learning.config import TrainingConfig
from trainables.learning.optimisers import OPTIMISERS
from trainables.learning.schedules import SCHEDULES
from trainables.tasks.transfer import onto


class Learning:
    """Moves a model's weights, step by step; it can be cut off after any step and restored.

    Args:
        noise: where gradient noise is drawn from
        beside: a net that learns along, and is neither judged nor disturbed

    Attributes:
        judged: the model whose success counts and whose weights are kept: the average of the
            model's weights over time where one is kept, else the model itself

    """

    def __init__(
        self,
        config: TrainingConfig,
        model: nn.Module,
        noise: torch.Generator,
        beside: nn.Module | None = None,
    ) -> None:
        self.config, self.model, self.noise = config, model, noise
        self.learns = [model] if beside is None else [model, beside]
        optimiser = OPTIMISERS[config.optimiser.kind](config.optimiser)
        self.optimisers: Sequence[torch.optim.Optimizer] = [
            each for net in self.learns for each in optimiser.make(net, config.learning_rate)
        ]
        self.schedule = SCHEDULES[config.schedule.kind](config.schedule)
        self.judged = copy.deepcopy(model) if config.average_decay else model
        self._step = self._total = 0
        self._times_longer, self._most = 1.0, 1

    def enter(self, times_longer: float, most: int) -> None:
        """Begin a rung, ``times_longer`` than the ladder's first, with a budget of ``most`` steps.

        The rate is times_longer^-lag_scaling of the configuration's: the largest that still learns
        falls as a power of the timescale (arXiv 2501.02378, 2502.17433).
        """
        self._step, self._times_longer, self._most = 0, times_longer, most

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        by_time = self.schedule.factor(self._step, self._most)
        by_lag = self._times_longer**-self.config.lag_scaling
        return self.config.learning_rate * by_time * by_lag

    def step(self, loss: torch.Tensor) -> None:
        """One step down the gradient of ``loss``, which counts as zero where that is not finite.

        Nothing is waited for that an accelerator has still to compute.
        """
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        no_number = ~loss.detach().isfinite()
        for net in self.learns:
            for weight in net.parameters():
                if weight.grad is not None:
                    weight.grad.masked_fill_(no_number, 0)
            if self.config.clip_norm is not None:
                nn.utils.clip_grad_norm_(net.parameters(), self.config.clip_norm)
        if self.config.gradient_noise:
            self._disturb()
        rate = self.rate
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.step()
        self._step += 1
        self._total += 1
        if self.config.average_decay:
            self._average()

    def _disturb(self) -> None:
        """Add what is less the longer the member has been trained."""
        deviation = (self.config.gradient_noise / (1 + self._total) ** 0.55) ** 0.5
        for weight in self.model.parameters():
            if weight.grad is not None:
                drawn = torch.randn(weight.shape, generator=self.noise, dtype=weight.dtype)
                weight.grad.add_(onto(drawn, weight.device), alpha=deviation)

    @torch.no_grad()
    def _average(self) -> None:
        """Move the average by 1 - decay of the way; at first by more, or first weights would stay.

        After n steps it has moved by 9 / (9 + n) at least.
        """
        share = max(1 - self.config.average_decay, 9 / (9 + self._total))
        for mean, weight in zip(self.judged.parameters(), self.model.parameters(), strict=True):
            mean.lerp_(weight, share)

    def state(self) -> dict[str, Any]:
        """All but the model's weights: what `restore` needs."""
        found = [optimiser.state_dict() for optimiser in self.optimisers]
        state: dict[str, Any] = {"optimizer": found[0] if len(found) == 1 else found}
        state["steps"] = (self._step, self._total)
        if self.config.gradient_noise:
            state["noise"] = self.noise.get_state()
        if self.config.average_decay:
            state["average"] = self.judged.state_dict()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`; one of a time before schedules has no steps."""
        found = state["optimizer"]
        states = found if isinstance(found, list) else [found]
        for optimiser, its in zip(self.optimisers, states, strict=True):
            optimiser.load_state_dict(its)
        self._step, self._total = state.get("steps", (0, 0))
        if self.config.gradient_noise:
            self.noise.set_state(state["noise"])
        if self.config.average_decay:
            self.judged.load_state_dict(state["average"])
