"""The commands of ``longspan``, a file for each thing one does with a search."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from search.spec.names import RUNS, plain_options_of

__all__ = ["RUNS", "plain_options_of"]


class _Console(Console):
    """One that leaves it to the command what becomes of it when nobody reads its output."""

    def on_broken_pipe(self) -> None:
        """In the place of Rich's own, which ends the process with 1: a claim that fails."""
        raise


console = _Console()


def show_complaints(lines: Iterable[str]) -> None:
    """What is not as a search leaves it, a line each."""
    for line in lines:
        console.print(line, style="yellow", highlight=False, markup=False, soft_wrap=True)


def print_json(found: Any) -> None:
    """Print plain values; what is no number is null."""
    print(json.dumps(plain(found), indent=2, allow_nan=False))


def plain(value: Any) -> Any:
    """The value as JSON has it."""
    if is_dataclass(value) and not isinstance(value, type):
        value = vars(value)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


EXIT_CLAIM_FAILS = 1
EXIT_USER_ERROR = 2
EXIT_FAULT = 70
EXIT_INTERRUPTED = 130
EXIT_UNWANTED = 141
"""Nobody reads the output any more; as a shell says of a process that SIGPIPE has ended."""


def pasted(path: Path) -> str:
    """A path as a command that is hinted at takes it; for the console."""
    return escape(shlex.quote(str(path)))


def options_of(runs: Path) -> str:
    """What a command that is hinted at is given to look where this one did; for the console."""
    return escape(plain_options_of(runs))


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
Json = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
OtherData = Annotated[
    bool,
    typer.Option(
        "--other-data",
        help="Go on though the data is another than was measured; that is recorded.",
    ),
]
WithoutDamaged = Annotated[
    bool,
    typer.Option(
        "--without-damaged",
        help="Take the best of the others where records of trials cannot be read.",
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
