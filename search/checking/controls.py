"""A task's controls, run before the first search on it and kept in the runs folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from search.errors import UserError
from search.spec import Spec
from trainables.controls.measuring import CONTROLS, Controls, measure
from trainables.files.whole_files import write_json
from trainables.measure.plain import digest
from trainables.tasks.rows.buckets import local
from trainables.tasks.rows.files import stamp
from trainables.tasks.task import Task


def check_once(spec: Spec, tasks: Mapping[str, Task], runs: Path, console: Console) -> None:
    """Run the controls of tasks that have not passed them yet, and show what was found.

    Raises:
        UserError: in one line, if a task fails and the spec does not say ``controls: warn``.
    """
    for name, task in tasks.items():
        if spec.controls == "off" or _kept(spec, task, runs).exists():
            continue
        measured = controls_of(task, spec.ladder.rungs)
        console.print(table(name, measured, spec.ladder.success))
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


def table(name: str, measured: Sequence[Controls], success: float) -> Table:
    """What succeeds without memory, by lag, next to the success asked for.

    ``at most`` is the 95 % upper bound of the highest of those that have to stay below it.
    """
    columns = (*CONTROLS, "at most", "asked for")
    shown = Table("lag", "chance", *columns, title=f"{name}: without memory", padding=0)
    for one in measured:
        rates = (one.rates[control].rate for control in CONTROLS)
        most = one.rates[one.best].at_most
        numbers = (one.chance, *rates, most, success)
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
