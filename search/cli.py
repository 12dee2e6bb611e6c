"""The command ``longspan``."""

from __future__ import annotations

import codecs
import io
import sys
import tempfile
import traceback
from importlib.metadata import version
from typing import Annotated, cast

import typer

from search.commands import EXIT_FAULT, EXIT_INTERRUPTED, EXIT_USER_ERROR
from search.commands.certifying import certify
from search.commands.checking import check_task
from search.commands.clusters import logs, on_premises, stop
from search.commands.doctor import doctor
from search.commands.exporting import export, verify
from search.commands.reviewing import list_, report, ui
from search.commands.searching import resume, search, status
from search.errors import UserError, outside
from trainables.messages import named, one_line

app = typer.Typer(
    name="longspan",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _version(asked: bool) -> None:
    if asked:
        print(f"longspan {version('longspan')}")
        raise typer.Exit


@app.callback()
def longspan(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it, and end.")
    ] = False,
) -> None:
    """Find the sequence architecture that reliably learns the longest dependency.

    Start with `longspan search`: without a spec it runs the quick start, a few minutes.
    """


for command in (search, resume, status, logs, stop, certify, export, verify, report, ui, doctor):
    app.command()(command)
app.command(name="list")(list_)
app.command(name="check-task")(check_task)
app.command(name="on-premises")(on_premises)

PLAIN = {"≥": ">=", "≤": "<=", "·": "-", "–": "-", "×": "x", "…": "...", "±": "+-", "²": "2"}

UsageError = cast(type[typer.BadParameter], typer.BadParameter.__mro__[1])
"""A mistake on the command line; typer exports none but subclasses of it."""


def main() -> None:
    """Run the command; what a user can put right is one line and exit code 2.

    A fault of Longspan's own is one line too, with exit code 70 (EX_SOFTWARE of sysexits.h); its
    trace lies in a file.
    """
    _write_what_the_terminal_can_show()
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
        code = _fault(error) if line is None else _refuse(line)
    sys.exit(code if isinstance(code, int) else 0)


def _fault(error: Exception) -> int:
    """The last resort: one line, and the trace where it can be sent from."""
    trace = "".join(traceback.format_exception(error))
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix="longspan-fault-", suffix=".txt", delete=False
    ) as file:
        file.write(f"longspan {' '.join(sys.argv[1:])}\n\n{trace}")
    print(
        f"longspan: a fault of Longspan's own: {named(error)}; please report it with {file.name}. "
        "What was measured is kept: `longspan resume NAME` goes on",
        file=sys.stderr,
    )
    return EXIT_FAULT


def _write_what_the_terminal_can_show() -> None:
    """Where it takes no UTF-8, signs like ≥ are written in its own letters."""
    codecs.register_error("longspan", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="longspan")


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign, "?") for sign in signs), error.end


def _refuse(reason: str) -> int:
    print(f"longspan: {reason}", file=sys.stderr)
    return EXIT_USER_ERROR
