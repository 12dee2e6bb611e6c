"""What a search's tasks were made of, shown before it starts."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console

from trainables.tasks.task import Task


def show_accounts(tasks: Mapping[str, Task], console: Console) -> None:
    """A block for every task that reads data, and a line for all that is hardly meant."""
    for name, task in tasks.items():
        account = task.account
        if account is None:
            continue
        console.print(f"[b]{name}[/b] read {account.source}:", highlight=False, soft_wrap=True)
        for line in account.lines():
            console.print(f"  {line}", highlight=False, soft_wrap=True, markup=False)
        for line in account.warnings:
            shown = f"{name}: {line}"
            console.print(shown, style="yellow", highlight=False, soft_wrap=True, markup=False)
