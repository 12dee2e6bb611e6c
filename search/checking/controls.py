"""A task's controls, run before the first search on it and kept in the runs folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from search.errors import UserError
from search.spec import Spec
from trainables.controls.measuring import CONTROLS, Controls, measure
from trainables.controls.seen import LOOKUP, seen_share
from trainables.files.whole_files import write_json
from trainables.measure.plain import digest
from trainables.tasks.rows.buckets import local
from trainables.tasks.rows.files import stamp
from trainables.tasks.task import Task

Measured = Mapping[str, tuple[Sequence[Controls], Sequence[float]]]
"""By task, its controls at some lags, and the share of inputs there that training shows too."""


def measure_once(spec: Spec, tasks: Mapping[str, Task], runs: Path) -> Measured:
    """The controls of tasks that have not passed them yet."""
    found = {}
    with one_thread():
        for name, task in tasks.items():
            if spec.controls != "off" and not _kept(spec, task, runs).exists():
                measured = controls_of(task, spec.ladder.rungs)
                found[name] = measured, seen_at(task, measured, spec.ladder.sequences)
    return found


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread, for as long; several that share busy cores wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def refuse(
    spec: Spec, tasks: Mapping[str, Task], runs: Path, found: Measured, console: Console
) -> None:
    """Show what was found of each task, and keep it; where a task fails, refuse it.

    Raises:
        UserError: in one line, if a task fails and the spec does not say ``controls: warn``.
    """
    for name, (measured, seen) in found.items():
        task = tasks[name]
        console.print(table(name, measured, spec.ladder.success, seen, nearest_row(task)))
        for line in lookup_tables(name, measured, seen):
            console.print(line, style="yellow", soft_wrap=True)
        complaints = [c for c in (one.complaint(spec.ladder.success) for one in measured) if c]
        if not complaints:
            keep(spec, task, runs, measured)
        elif spec.controls == "warn":
            console.print(f"{name}: {complaints[0]}", style="yellow", soft_wrap=True)
        else:
            raise UserError(f"tasks: {name}: {complaints[0]}; `controls: warn` searches anyway")


def controls_of(task: Task, rungs: Sequence[int]) -> list[Controls]:
    """The controls at the first, the middle and the last rung."""
    lags = sorted({rungs[0], rungs[len(rungs) // 2], rungs[-1]})
    return [measure(task, lag) for lag in lags]


def seen_at(task: Task, measured: Sequence[Controls], sequences: int) -> list[float]:
    """The share of held-out inputs that training shows as well, at each lag measured."""
    generator = torch.Generator().manual_seed(0)
    return [seen_share(task, one.lag, sequences, generator) for one in measured]


def lookup_tables(name: str, measured: Sequence[Controls], seen: Sequence[float]) -> list[str]:
    """A line for each lag at which a table of what training shows answers most tests."""
    return [
        f"{name}: lag {one.lag} is a lookup table: training shows {share:.0%} of the test's inputs"
        for one, share in zip(measured, seen, strict=True)
        if share >= LOOKUP
    ]


def nearest_row(task: Task) -> float | None:
    """How often the nearest training row's answer is right for a held-out one, where told."""
    account = task.account
    return None if account is None or account.answers is None else account.answers.nearest


def table(
    name: str,
    measured: Sequence[Controls],
    success: float,
    seen: Sequence[float] = (),
    nearest: float | None = None,
) -> Table:
    """What succeeds without memory, by lag, next to the success asked for.

    ``seen`` is the share of held-out inputs at each lag that training shows as well, of each;
    ``nearest`` how often the answer of the nearest training row is right, where there are rows. It
    is no reason to refuse a task: near copies are warned of by themselves.

    ``at most`` is the 95 % upper bound of the highest of those that have to stay below it.
    """
    more = ["nearest row"] if nearest is not None else []
    columns = (*CONTROLS, *more, "at most", "asked for", *(["seen"] if seen else []))
    shown = Table(title=f"{name}: without memory", title_justify="left", box=None)
    shown.padding = (0, 1, 0, 0)  # all in 80 columns
    for head in ("lag", "chance", *columns):
        shown.add_column(head.replace(" ", "\n"), justify="right", no_wrap=True)
    for place, one in enumerate(measured):
        rates = [one.rates[control].rate for control in CONTROLS]
        rates += [] if nearest is None else [nearest]
        most = one.of_sequences[one.best].at_most
        numbers = (one.chance, *rates, most, success, *seen[place : place + 1])
        shown.add_row(str(one.lag), *(f"{number:.1%}" for number in numbers))
    return shown


def keep(spec: Spec, task: Task, runs: Path, measured: Sequence[Controls]) -> None:
    """Note that the task has passed, so that no later search on it need ask again."""
    file = _kept(spec, task, runs)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, [asdict(one) for one in measured])


def _kept(spec: Spec, task: Task, runs: Path) -> Path:
    """Where it is noted: under the task, its files as they are now, the rungs and the success."""
    config, files = task.config.model_dump(mode="json"), task.config.files
    content = () if files is None else stamp(local(files))
    name = digest([config, content, spec.ladder.rungs, spec.ladder.success])[:16]
    return runs / "controls" / f"{task.config.kind}-{name}.json"
