"""``check-task``: whether a task needs the memory that it says it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from search.commands import RUNS, Json, Runs, console, print_json
from search.errors import UserError


def check_task(
    spec: Annotated[Path, typer.Argument(help="A YAML spec; its tasks are checked.")],
    runs: Runs = RUNS,
    json: Json = False,
) -> None:
    """Check a spec's tasks: blinded and shuffled copies must fall to chance.

    Exits with 2 if a task succeeds without the inputs that it is meant to need.
    """
    from search import spec as specs
    from search.checking.accounts import show_accounts
    from search.checking.controls import controls_of, keep, table
    from search.checking.preflight import check_tasks

    chosen = specs.read(spec)
    tasks = check_tasks(chosen)
    if not json:
        show_accounts(tasks, console)
    said: dict[str, Any] = {}
    for name, task in tasks.items():
        measured = controls_of(task, chosen.ladder.rungs)
        found = [c for c in (one.complaint(chosen.ladder.success) for one in measured) if c]
        said[name] = {"account": task.account, "controls": measured, "complaints": found}
        if not json:
            console.print(table(name, measured, chosen.ladder.success))
        if not found:
            keep(chosen, task, runs, measured)
    if json:
        print_json({"asked_for": chosen.ladder.success, "tasks": said})
    complaints = [f"{name}: {c}" for name, one in said.items() for c in one["complaints"]]
    if complaints:
        raise UserError(f"tasks: {complaints[0]}")
    if not json:
        console.print("Nothing was found that succeeds without the old inputs.")
