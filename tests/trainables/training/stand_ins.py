"""Stand-ins for what the tests do not want to train, and trials small enough to be run often."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from trainables.config import TrialConfig
from trainables.controls.rivals import Rivals
from trainables.measure.ladder_config import LadderConfig
from trainables.models.model import Model
from trainables.randomness import Streams
from trainables.regimes import REGIMES
from trainables.tasks.recall import Recall
from trainables.tasks.task import Batch
from trainables.training.member import Member
from trainables.training.rung import RungTraining

CPU = torch.device("cpu")
LAG = 4


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def recall(alphabet: int = 4) -> Recall:
    return Recall(Recall.Config(alphabet=alphabet))


class KnowingModel(nn.Module):
    """Recalls the first symbol in a share ``success`` of the sequences, drawn at random."""

    longest: int | None = None
    carries_no_past = False

    def __init__(self, alphabet: int = 4, success: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        self.alphabet, self.success, self.generator = alphabet, success, seeded(seed)
        self.shapes: list[tuple[int, ...]] = []
        self.was_training: list[bool] = []

    def forward(self, inputs: Tensor, scored: Tensor) -> Tensor:
        self.shapes.append(tuple(inputs.shape))
        self.was_training.append(self.training)
        knows = torch.rand(len(inputs), generator=self.generator) < self.success
        answer = (inputs[:, 0] - 1 + (~knows).long()) % self.alphabet
        return nn.functional.one_hot(answer[:, None], self.alphabet).float()

    def reads(self, length: int) -> bool:
        return self.longest is None or length <= self.longest

    def flops(self, length: int, answers: int) -> float:
        return 1000.0 * length + answers


class KnowingMember:
    """A member that is told, step by step, how well it does and what it loses."""

    number = 0
    memory_bytes = math.inf

    def __init__(
        self, success: Callable[[int], float], loss: Callable[[int], float], seed: int = 0
    ) -> None:
        self.model = KnowingModel(seed=seed)
        self.success, self.loss = success, loss
        self.sizes: list[int] = []
        self.lengths: list[int] = []

    @property
    def judged(self) -> KnowingModel:
        return self.model

    def enter(self, times_longer: float, most_steps: int) -> None:
        self.entered = times_longer, most_steps

    def learn(self, batch: Batch) -> tuple[float, int]:
        step = len(self.sizes)
        self.sizes.append(len(batch.inputs))
        self.lengths.append(batch.inputs.shape[1])
        self.model.success = self.success(step)
        answers = self.model(batch.inputs, batch.scored).argmax(-1)
        return self.loss(step), int((answers == batch.targets).sum())


def knowing(
    success: float | Callable[[int], float] = 1.0,
    loss: Callable[[int], float] = lambda step: 1 / (step + 1),
    seed: int = 0,
) -> KnowingMember:
    """A member of a known success rate and, unless told otherwise, an ever falling loss."""
    return KnowingMember(success if callable(success) else lambda _: success, loss, seed)


def ladder(**changes: Any) -> LadderConfig:
    small = {"start": LAG, "stop": LAG, "members": 1, "quorum": 1, "success": 0.8}
    return LadderConfig.model_validate(
        {**small, "sequences": 2000, "test_sequences": 100, **changes}
    )


def attempt(
    member: KnowingMember | Member, steps: LadderConfig, seed: int = 0, **changes: Any
) -> RungTraining:
    """The attempt of a member at the first rung, or at ``lag``."""
    regime = changes.pop("regime", {"kind": "scratch"})
    kind = REGIMES[regime["kind"]]
    options: dict[str, Any] = {"lag": LAG, "batch_size": 16, "device": CPU}
    options |= {"name": "recall", "task": recall(), "rivals": rivals}
    return RungTraining(
        member=cast(Member, member),
        regime=kind(kind.Config.model_validate(regime)),
        ladder=steps,
        streams=Streams(seed, "0" * 64),
        **{**options, **changes},
    )


@functools.cache
def rivals(lag: int) -> Rivals:
    """What has to be beaten on `recall`."""
    return Rivals(recall(), lag, seeded())


def as_model(model: nn.Module) -> Model:
    return cast(Model, model)


def trial_config(
    cell: str = "gru",
    regime: str | dict[str, Any] = "incremental",
    learning_rate: float = 0.03,
    batch_size: int = 16,
    **model: Any,
) -> TrialConfig:
    return TrialConfig.model_validate(
        {
            "model": {"cell": cell, "hidden_size": 8, **model},
            "training": {
                "regime": regime,
                "learning_rate": learning_rate,
                "batch_size": batch_size,
            },
        }
    )


def no_tick(training: RungTraining) -> None:
    """Nothing is to be done after a training step."""
