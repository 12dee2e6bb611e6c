"""What the tables of real trials measure: tasks on small ladders, over one space.

Small, so that a configuration costs some ten seconds of one core, all three tasks and all three
members together; large enough that about half of the configurations pass a rung.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from search.spec import ConstraintsConfig, SearchConfig, Spec
from trainables.measure.ladder_config import LadderConfig, StallRule
from trainables.tasks import TASKS
from trainables.tasks.task import TaskConfig

SPACE = "everything"
SEED = 0
MEMBERS = 3
LARGEST = 60_000
"""Parameters; larger proposals are left out, so that a configuration stays cheap."""

DIGITS = Path(__file__).parents[2] / "examples" / "data" / "digits.parquet"


@dataclass(frozen=True)
class Measured:
    """A task of the table.

    Attributes:
        ladder: as a search of the table has it: a rung is passed by all of its members
        answers: of a sequence
        chance: of a single answer
    """

    task: TaskConfig
    ladder: LadderConfig
    chance: float
    answers: int = 1

    def spec(self, name: str) -> Spec:
        """A search of this task, whose constraints and ladder the table keeps."""
        return Spec(
            name=name,
            space=SPACE,
            tasks=[self.task],
            ladder=self.ladder,
            search=SearchConfig(sampler="random", scheduler="none", seed=SEED),
            constraints=ConstraintsConfig(max_parameters=LARGEST),
        )


def _ladder(success: float, sequences: int, gflop: float) -> LadderConfig:
    return LadderConfig(
        start=4,
        stop=64,
        ratio=2,
        members=MEMBERS,
        quorum=MEMBERS,
        success=success,
        sequences=sequences,
        gflop=gflop,
        seconds=3.0,  # of the processor: only what is slow for its operations ends by it
        test_sequences=128,
        stall=StallRule(patience=0.25),
    )


MEASURED: dict[str, Measured] = {
    "recall": Measured(TASKS["recall"].Config(kind="recall"), _ladder(0.9, 3000, 8), chance=1 / 8),
    "copying": Measured(
        TASKS["copying"].Config(kind="copying", symbols=3),
        _ladder(0.9, 3000, 8),
        chance=1 / 8,
        answers=3,
    ),
    "digits": Measured(
        TASKS["parquet"].Config(
            kind="parquet", path=str(DIGITS), sequence="pixels", target="label", filler="noise"
        ),
        _ladder(0.4, 4000, 20),
        chance=1 / 10,
    ),
}

ELSEWHERE: dict[str, Measured] = {
    "induction": Measured(
        TASKS["induction"].Config(kind="induction", vocabulary=8),
        _ladder(0.9, 6000, 20),
        chance=1 / 7,
    ),
    "temporal_order": Measured(
        TASKS["temporal_order"].Config(kind="temporal_order"), _ladder(0.9, 3000, 8), chance=1 / 4
    ),
    "delayed_pattern": Measured(
        TASKS["delayed_pattern"].Config(kind="delayed_pattern"), _ladder(0.9, 3000, 8), chance=1 / 8
    ),
    "flip_flop": Measured(
        TASKS["flip_flop"].Config(kind="flip_flop"), _ladder(0.9, 3000, 8), chance=1 / 2
    ),
}
"""Tasks that had no part in what was chosen by those of the table: of some of its draws."""
