"""The command ``longspan``."""

from __future__ import annotations

import sys
from typing import cast

import typer

from search.commands import EXIT_INTERRUPTED, EXIT_USER_ERROR
from search.commands.certifying import certify
from search.commands.checking import check_task
from search.commands.clusters import logs, on_premises, stop
from search.commands.doctor import doctor
from search.commands.exporting import export, verify
from search.commands.reviewing import list_, report, ui
from search.commands.searching import resume, search, status
from search.errors import UserError, outside
from trainables.messages import one_line

app = typer.Typer(
    name="longspan",
    help="Find the sequence architecture that reliably learns the longest dependency.\n\n"
    "Start with `longspan search`: without a spec it runs the quick start, a few minutes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for command in (search, resume, status, logs, stop, certify, export, verify, report, ui, doctor):
    app.command()(command)
app.command(name="list")(list_)
app.command(name="check-task")(check_task)
app.command(name="on-premises")(on_premises)

UsageError = cast(type[typer.BadParameter], typer.BadParameter.__mro__[1])
"""A mistake on the command line; typer exports none but subclasses of it."""


def main() -> None:
    """Run the command; what a user can put right is one line and exit code 2."""
    try:
        code = app(standalone_mode=False)
    except UserError as error:
        code = _refuse(str(error))
    except UsageError as error:
        code = _refuse(one_line(error.format_message()))
    except (typer.Abort, KeyboardInterrupt):
        code = EXIT_INTERRUPTED
    except Exception as error:  # a disk that is full, a server that is away; all else is a fault
        line = outside(error)
        if line is None:
            raise
        code = _refuse(line)
    sys.exit(code if isinstance(code, int) else 0)


def _refuse(reason: str) -> int:
    print(f"longspan: {reason}", file=sys.stderr)
    return EXIT_USER_ERROR
