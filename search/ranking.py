"""The leaderboard: finished trials, best first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from search.ledger import Record


def rank(records: Iterable[Record]) -> list[Record]:
    """Trials by progress; of equals the one that cost less training, then the earlier."""
    return sorted(
        (record for record in records if record.report),
        key=lambda r: (-r.progress, float(r.report["training_gflop"]), r.number),
    )


def leaderboard(
    records: Iterable[Record], top: int = 10, certified: Mapping[str, str] | None = None
) -> Table:
    """A table of the best trials; ≥ marks a reach that is censored.

    ``certified`` holds, by configuration digest, what certificates say; a column if it holds any.
    On several tasks the reach is the least, and a column says that on each.
    """
    best = rank(records)[:top]
    several = any(len(record.tasks) > 1 for record in best)
    table = Table(title="Longest dependency learned", title_justify="left")
    for name in ("#", "trial", "reach", "progress"):
        table.add_column(name, justify="right", no_wrap=True)
    if several:
        table.add_column("reach by task", overflow="fold")
    if certified:
        table.add_column("certified", justify="right", no_wrap=True)
    table.add_column("ended by", no_wrap=True)
    table.add_column("architecture", overflow="fold")
    table.add_column("params", justify="right", no_wrap=True)
    for place, record in enumerate(best, 1):
        table.add_row(
            str(place),
            str(record.number),
            reach_text(record),
            f"{record.progress:.2f}",
            *([tasks_text(record)] if several else []),
            *([certified.get(record.digest, "")] if certified else []),
            record.ended_by or "running",
            describe(record.configuration),
            f"{_parameters(record):,}",
        )
    table.caption = "≥: censored, the ladder or the trial ended before the architecture did"
    table.caption_justify = "left"
    return table


def reach_text(record: Record) -> str:
    """The reach, with ≥ where it is censored."""
    return _at_least(record.reach, record.censored)


def tasks_text(record: Record) -> str:
    """The reach on every task of several, with ≥ where it is censored."""
    tasks = record.tasks
    words = (f"{task.task} {_at_least(task.reach, task.censored)}" for task in tasks)
    return ", ".join(words) if len(tasks) > 1 else ""


def _at_least(reach: int, censored: bool) -> str:
    return f"≥ {reach}" if censored else str(reach)


def describe(configuration: Mapping[str, Any]) -> str:
    """A configuration in a few words."""
    model = configuration["model"]
    layers = f"{model['depth']} x " if model["depth"] > 1 else ""
    words = [f"{layers}{model['cell']['kind']} {model['hidden_size']}"]
    front_end = model["front_end"]
    if front_end["kind"] != "none":
        width = front_end.get("kernel_width")
        words.append(front_end["kind"] + (f" {width}" if width else ""))
    if model["positions"]["kind"] != "none":
        words.append(model["positions"]["kind"])
    if model["residual"]["kind"] != "none":
        words.append(f"residual {model['residual']['kind']}")
    words.append(f"read-out {model['readout']['kind']}")
    words.append(f"lr {configuration['training']['learning_rate']:.1e}")
    return " · ".join(words)


def _parameters(record: Record) -> int:
    rows = record.report.get("rows") or [{"parameters": 0}]
    return int(rows[0]["parameters"])
