"""Tasks: what is to be remembered."""

from trainables.encoding.encoding import Encoding
from trainables.tasks.adding import Adding
from trainables.tasks.associative_recall import AssociativeRecall
from trainables.tasks.copying import Copying
from trainables.tasks.delayed_pattern import DelayedPattern
from trainables.tasks.flip_flop import FlipFlop
from trainables.tasks.induction import Induction
from trainables.tasks.parity import Parity
from trainables.tasks.parquet import Parquet
from trainables.tasks.permutation_tracking import PermutationTracking
from trainables.tasks.recall import Recall
from trainables.tasks.selective_copying import SelectiveCopying
from trainables.tasks.stream import Stream
from trainables.tasks.task import Task, TaskConfig
from trainables.tasks.temporal_order import TemporalOrder

TASKS: dict[str, type[Task]] = {
    "recall": Recall,
    "copying": Copying,
    "adding": Adding,
    "parquet": Parquet,
    "stream": Stream,
    "selective_copying": SelectiveCopying,
    "associative_recall": AssociativeRecall,
    "induction": Induction,
    "flip_flop": FlipFlop,
    "temporal_order": TemporalOrder,
    "parity": Parity,
    "permutation_tracking": PermutationTracking,
    "delayed_pattern": DelayedPattern,
}


def make_task(config: TaskConfig, encoding: Encoding | None = None) -> Task:
    """The task that a configuration describes; data it names is read.

    With an ``encoding`` that was fitted before, its rows and answers are as that has them.

    Raises:
        ValueError: if the data cannot be read or does not fit.
    """
    task = TASKS[config.kind](config)
    return task if encoding is None else task.under(encoding)


__all__ = ["TASKS", "make_task"]
