"""``delayed_pattern``: a cue of several noisy steps, each of which says little, then only noise.

(c_1 + n_1, 1) .. (c_P + n_P, 1)  (e_1 + n, 0) .. (e_lag + n, 0)  ->  which code c was it?

The two-sequence problem of Bengio et al. (1994) and Hochreiter & Schmidhuber (1997, experiment
3), with more classes, a code for each and distractors of the cue's own distribution.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Literal, Self

import torch
from pydantic import Field, model_validator

from trainables.tasks.task import Batch, ClassAnswer, Reals, Task, TaskConfig

WORST_ERROR = 1e-3


class DelayedPattern(Task):
    """One answer a sequence, ``lag`` steps after the *last* step of the cue; T = cue + lag.

    Features: a number, and 1 while the cue is shown. The code of a class is its row of a Hadamard
    matrix without the first column (a simplex code): classes - 1 signs, shown ``repeats`` times
    over. Each step tells half of the classes from the other half. Distractors e are random signs,
    so that a step after the cue looks like one of it. n is normal with standard deviation
    ``noise``. Chance: 1 / classes.
    """

    class Config(TaskConfig):
        """The cue takes (classes - 1) ``repeats`` steps."""

        kind: Literal["delayed_pattern"] = "delayed_pattern"
        classes: Literal[2, 4, 8, 16] = 8
        repeats: int = Field(default=2, ge=1, le=1000)
        noise: float = Field(default=0.5, ge=0)

        @property
        def cue_steps(self) -> int:
            """Steps of the cue."""
            return (self.classes - 1) * self.repeats

        @property
        def error(self) -> float:
            """Most that even the best decoder of the whole cue errs: a sum over the other codes.

            Two codes are sqrt(2 classes repeats) apart, and noise crosses half of that.
            """
            if self.noise == 0:
                return 0.0
            half = math.sqrt(2 * self.classes * self.repeats) / 2
            return (self.classes - 1) * NormalDist().cdf(-half / self.noise)

        @model_validator(mode="after")
        def _decodable(self) -> Self:
            if self.error > WORST_ERROR:
                raise ValueError(
                    f"noise: {self.noise} is not allowed; with a cue of {self.cue_steps} steps the "
                    f"best decoder may err at {self.error:.2g}, above {WORST_ERROR}"
                )
            return self

    has_gap = True
    inputs = Reals(2)

    def __init__(self, config: Config) -> None:
        from scipy.linalg import hadamard  # takes long to import, for this task alone

        self.config = config
        self.answer = ClassAnswer(config.classes)
        signs = torch.from_numpy(hadamard(config.classes)[:, 1:]).float()
        self.codes = signs.repeat(1, config.repeats)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return ("number", "shown")

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(f"code {n}" for n in range(1, self.config.classes + 1))

    def length(self, lag: int) -> int:
        return self.config.cue_steps + lag

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        self._require(lag)
        steps, cue_steps = self.length(lag), self.config.cue_steps
        targets = torch.randint(self.config.classes, (batch_size, 1), generator=generator)
        numbers = 2.0 * torch.randint(2, (batch_size, steps), generator=generator) - 1
        numbers[:, :cue_steps] = self.codes[targets[:, 0]]
        numbers += self.config.noise * torch.randn(batch_size, steps, generator=generator)
        shown = (torch.arange(steps) < cue_steps).float().expand(batch_size, steps)
        scored = torch.full((batch_size, 1), steps - 1)
        return Batch(torch.stack((numbers, shown), dim=-1), targets, scored)
