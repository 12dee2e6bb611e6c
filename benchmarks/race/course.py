"""What is raced, and what every side but Longspan has in common: training at one fixed lag.

A course is a spec. Each side draws configurations from its space and is to find one whose members
answer at the ladder's top. Longspan climbs the ladder; the others train at the top alone, as their
own recipes do, with the same models, batches, optimisers and budget of sequences.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from search.spec.reading import read
from search.spec.spec import Spec
from trainables.config import TrialConfig
from trainables.measure.plain import digest
from trainables.randomness import Streams
from trainables.tasks import make_task
from trainables.training.held_out.evaluation import evaluate
from trainables.training.member import Member

COURSES = {
    "recall-256": """
        space: quick
        tasks: [recall]
        ladder: {start: 16, stop: 256, sequences: 20000}""",
    "copying-128": """
        space: examples/spaces/linear_recurrences.yaml
        tasks: [copying]
        ladder: {start: 16, stop: 128, sequences: 20000}""",
    "copying-256": """
        space: examples/spaces/linear_recurrences.yaml
        tasks: [copying]
        ladder: {start: 16, stop: 256, sequences: 20000}""",
    "digits-1024": """
        space: quick
        tasks:
          - {kind: parquet, path: examples/data/digits.parquet, sequence: pixels, target: label}
        ladder: {start: 8, stop: 1024, ratio: 4, success: 0.85, sequences: 20000}""",
    "copying-512": """
        space: recurrent
        tasks: [copying]
        ladder: {start: 16, stop: 512, sequences: 20000}""",
}
TRIALS = 1000
"""More than any side comes to: it is ended when it has enough candidates, or by the clock."""

ROUND = 1024
"""Training sequences between two looks of a side that trains at one lag."""

WATCHED = 128
"""Held-out sequences of which such a side counts the successes after every round."""

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Heard:
    """One round of training at the top.

    Attributes:
        success: share of the watched sequences
        passed: whether the held-out test establishes the success asked for
    """

    success: float
    passed: bool


def write(course: str, seed: int, path: Path) -> None:
    """Write the course's spec."""
    text = "\n".join(line.removeprefix(" " * 8) for line in COURSES[course].splitlines())
    search = f"search: {{trials: {TRIALS}, seed: {seed}}}"
    path.write_text(f"name: race{text}\n{search}\n", encoding="utf-8")


def course_of(path: str | Path) -> Spec:
    """The spec that `write` left."""
    return read(Path(path))


def rounds(spec: Spec, chosen: dict[str, Any], seed: int) -> Iterator[Heard]:
    """Train one member of a configuration at the top, until it passes or its sequences are used up.

    Where all of the watched sequences that it takes are right, the ladder's held-out test is
    taken, once; nothing is corrected for looking more than once, as no recipe does.
    """
    torch.set_num_threads(1)
    config = TrialConfig.model_validate(chosen)
    (task_config,) = spec.tasks
    task, lag = make_task(task_config), spec.ladder.stop
    streams = Streams(seed, digest([config.digest, task_config.identity]))
    member = Member(config, task, streams, 0, lag, CPU)
    size = config.training.batch_size
    member.enter(1.0, math.ceil(spec.ladder.sequences / size))
    train, watch, test = (task.split(name) for name in ("train", "selection", "test"))
    drawn, watched, tested = (streams.generator(p, lag, 0) for p in ("train", "selection", "test"))
    shown = 0
    while shown < spec.ladder.sequences:
        for _ in range(math.ceil(ROUND / size)):
            loss, _ = member.learn(train.sample(lag, size, drawn))
            shown += size
        tally = evaluate(member.judged, watch, lag, WATCHED, watched, CPU)
        passed = tally.rate >= spec.ladder.success and _established(spec, member, test, tested)
        yield Heard(tally.rate, passed)
        if passed or not math.isfinite(loss):
            return


def _established(spec: Spec, member: Member, test: Any, generator: torch.Generator) -> bool:
    ladder = spec.ladder
    tally = evaluate(member.judged, test, ladder.stop, ladder.test_sequences, generator, CPU)
    return tally.lower_bound(0.95) >= ladder.success
