"""What a trial takes of memory is tried out: training steps, and the controls to beat."""

from __future__ import annotations

import pytest
import torch

from tests.trainables.training.stand_ins import CPU, recall, trial_config
from trainables.controls.rivals import Rivals
from trainables.measure.ladder_config import LadderConfig
from trainables.tasks.task import Batch, Task
from trainables.training import probe
from trainables.training.member import Member
from trainables.training.probe import STEPS, peak_of


def test_steps_and_controls_at_the_top_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    class Watched(Rivals):
        def __init__(self, task: Task, lag: int, generator: torch.Generator) -> None:
            seen.append(lag)
            super().__init__(task, lag, generator)

    step = probe._step
    monkeypatch.setattr(probe, "Rivals", Watched)
    monkeypatch.setattr(probe, "_step", lambda *given: seen.append("step") or step(*given))
    peak = peak_of(trial_config(), {"recall": recall().config}, LadderConfig(start=4, stop=16), CPU)
    assert seen == ["step"] * STEPS + [16]
    assert peak.host > 0
    assert peak.device == 0


def test_steps_are_tried_at_the_longest_lag_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """And controls at the top, where members are judged against them."""
    seen: list[int] = []

    class Watched(Rivals):
        def __init__(self, task: Task, lag: int, generator: torch.Generator) -> None:
            seen.append(lag)
            super().__init__(task, lag, generator)

    def step(member: Member, batch: Batch, device: torch.device) -> None:
        seen.append(batch.inputs.shape[1] - 1)

    monkeypatch.setattr(probe, "Rivals", Watched)
    monkeypatch.setattr(probe, "_step", step)
    ladder = LadderConfig(start=4, stop=16, train_to=8)
    peak_of(trial_config(), {"recall": recall().config}, ladder, CPU)
    assert seen == [8] * STEPS + [16]
