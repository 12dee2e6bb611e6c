"""What trials of a spec cost at most, in operations, counted on models without numbers.

At most: every member uses its whole budget on every rung. That no search does; what part of it one
takes is known from measured trials alone (`LIKELY`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from search.proposing.constraints import Constraints
from search.proposing.draws import DRAWS as MOST_DRAWS
from search.proposing.draws import flat_draws, nested
from search.spec import Spec
from spaces import Space
from trainables.config import TrialConfig
from trainables.learning.anchors import training_flops
from trainables.learning.config import TrainingConfig
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.looks.asked import Asked
from trainables.measure.reliability import CONFIDENCE
from trainables.models.model import Model, outline
from trainables.regimes import REGIMES
from trainables.tasks.task import Task
from trainables.training.held_out.looks import SELECTION_SEQUENCES

LIKELY = (0.03, 0.3)
"""The part of the most that a search takes, from and to.

The 500 draws of `everything` in `benchmarks/replay/trials.parquet` took 13, 10 and 8 % of it on
recall, copying and digits, all together and without a scheduler; one draw in ten took more than 38,
28 and 19 %.
"""

TRIED = (0.14, 0.39)
"""The part of all rungs that members are tried on: those draws on digits, and on recall."""

DRAWS = 64
LONGEST_DRAWN = 2**16
"""Steps; on longer lags answers are taken to be as many as there."""


@dataclass(frozen=True)
class Attempt:
    """One member's attempt at a rung, at most.

    Attributes:
        a_sequence: training cost of one sequence, in GFLOP
        sequences: training sequences
        tests: held-out sequences: a selection, a look, a comparison
        passes: of its regime; a held-out sequence is passed once, and forwards alone
        shown: the part of the tests that is expected to be shown, where looks end early
    """

    task: str
    lag: int
    a_sequence: float
    sequences: float
    tests: int
    passes: float = 1.0
    shown: float = 1.0

    @property
    def a_test(self) -> float:
        """Cost of one held-out sequence, in GFLOP."""
        return self.a_sequence / self.passes / 3

    @property
    def gflop(self) -> float:
        """Training cost."""
        return self.a_sequence * self.sequences


@dataclass(frozen=True)
class Drawn:
    """A configuration as a search might propose it, and what a trial of it costs at most.

    Attributes:
        parameters: by path, those that the space has chosen
        attempts: of one member
    """

    parameters: Mapping[str, Any]
    config: TrialConfig
    attempts: tuple[Attempt, ...]
    members: int

    @property
    def kind(self) -> str:
        """Of its cell: what its speed depends on most."""
        return self.config.model.cell.kind

    @property
    def gflop(self) -> float:
        """Training cost of a trial, at most."""
        return self.members * sum(attempt.gflop for attempt in self.attempts)


def drawn(spec: Spec, tasks: Mapping[str, Task], space: Space, count: int = DRAWS) -> list[Drawn]:
    """Random draws of the space, always the same, that keep the spec's constraints.

    Of ``count``; where none of them does, of as many as constraints are checked by before a search.
    """
    sizes = {(name, lag): _size(task, lag) for name, task in tasks.items()
             for lag in spec.ladder.rungs}  # fmt: skip
    constraints = Constraints(spec)
    found = []
    kept = _keeping(constraints, space, count) or _keeping(constraints, space, MOST_DRAWS)
    for parameters, config in kept:
        models = {name: outline(config.model, task) for name, task in tasks.items()}
        ahead = spec.ladder.before_the_first
        if not REGIMES[config.training.regime.kind](config.training.regime).carries_weights:
            ahead = None
        climbed = [(spec.ladder, lag) for lag in spec.ladder.rungs]
        climbed += [] if ahead is None else [(ahead, ahead.stop)]
        attempts = tuple(
            attempt_of(task, name, lag, models[name], *sizes[name, lag], ladder, config.training)
            for name, task in tasks.items()
            for ladder, lag in climbed
            if models[name].reads(sizes[name, lag][0])
        )
        found.append(Drawn(parameters, config, attempts, spec.ladder.members))
    return found


def _keeping(
    constraints: Constraints, space: Space, count: int
) -> list[tuple[dict[str, Any], TrialConfig]]:
    """Those of ``count`` draws that keep the constraints."""
    flat = flat_draws(space, count)
    all_drawn = [(one, TrialConfig.model_validate(nested(one))) for one in flat]
    return [(one, config) for one, config in all_drawn if not constraints.exceeded(config)]


def attempt_of(
    task: Task,
    name: str,
    lag: int,
    model: Model,
    length: int,
    answers: int,
    ladder: LadderConfig,
    training: TrainingConfig,
) -> Attempt:
    """What a member spends on a rung at most: its sequences, or its GFLOP and one batch more."""
    regime = REGIMES[training.regime.kind](training.regime)
    trained, flops = training_flops(regime, model, length, answers), model.flops(length, answers)
    a_sequence = 3e-9 * trained
    sequences = float(ladder.sequences)
    if ladder.gflop is not None and a_sequence:
        sequences = min(sequences, ladder.gflop / a_sequence + training.batch_size)
    tests = SELECTION_SEQUENCES + 2 * ladder.test_sequences
    if not ladder.trains_at(lag):
        sequences, tests = 0.0, 2 * ladder.test_sequences
    shown = shown_of(task, lag, ladder)
    return Attempt(name, lag, a_sequence, sequences, tests, trained / flops, shown)


def shown_of(task: Task, lag: int, ladder: LadderConfig) -> float:
    """The part of a look's sequences that it shows on average before it is decided.

    To a member three quarters of the way from the success asked for to being always right, at the
    first look: 28 % of 512 where 0.9 is asked. The tests of 120 rungs on recall showed 21 % of what
    whole looks did (`python -m benchmarks.looks`).
    """
    measures_skill = ladder.relative is not None and lag == ladder.start
    if ladder.looks != "sequential" or measures_skill or task.paired:
        return 1.0
    asked = Asked(ladder.success, 1 - CONFIDENCE, ladder.test_sequences, by_stages=True)
    stages = asked.stages(1, task.split("test").distinct_sequences(lag))
    return stages.ends((3 + asked.success) / 4)[1] / stages.sizes[-1]


def _size(task: Task, lag: int) -> tuple[int, int]:
    """Steps of the longest sequence at ``lag``, and its answers."""
    sample = task.sample(min(lag, LONGEST_DRAWN), 1, torch.Generator().manual_seed(0))
    return task.length(lag), sample.targets.shape[1]


def shares(draws: Sequence[Drawn]) -> dict[int, float]:
    """The part of the most that each lag takes, over all draws."""
    by_lag: dict[int, float] = {}
    for attempt in (attempt for each in draws for attempt in each.attempts):
        by_lag[attempt.lag] = by_lag.get(attempt.lag, 0.0) + attempt.gflop
    total = sum(by_lag.values())
    return {lag: cost / total for lag, cost in by_lag.items()} if total else {}
