"""The commands of ``longspan``, a file for each thing one does with a search."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

console = Console()

EXIT_CLAIM_FAILS = 1
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130

RUNS = Path("runs")


def options_of(runs: Path) -> str:
    """What a command that is hinted at is given to look where this one did; for the console."""
    if runs.absolute() == RUNS.absolute():
        return ""
    return escape(f" --runs {shlex.quote(str(runs.absolute()))}")


Name = Annotated[str, typer.Argument(help="The search's name.", show_default=False)]
Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        help="A module with layers or tasks of your own; it is imported. May be repeated.",
        metavar="MODULE",
    ),
]
Runs = Annotated[
    Path,
    typer.Option(
        envvar="LONGSPAN_RUNS", help="Folder under which every search has its own.", metavar="DIR"
    ),
]
OtherData = Annotated[
    bool,
    typer.Option(
        "--other-data",
        help="Go on though the data is another than was measured; that is recorded.",
    ),
]
ClusterFile = Annotated[
    Path | None,
    typer.Option(
        "--cluster",
        help="The file that `ray up` was given: do it on that cluster, not on this machine.",
        metavar="CLUSTER.YAML",
    ),
]
