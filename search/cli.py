"""The command ``longspan``."""

from __future__ import annotations

import sys
import traceback
from importlib.metadata import version
from typing import Annotated, cast

import typer

from search.commands import EXIT_FAULT, EXIT_INTERRUPTED, EXIT_UNWANTED, EXIT_USER_ERROR
from search.commands.certifying import certify
from search.commands.checking import check_task
from search.commands.clusters import logs, on_premises, security_group, stop
from search.commands.doctor import doctor
from search.commands.exporting import export, verify
from search.commands.faults import (
    forget_output,
    last_resort,
    output,
    output_is_unwanted,
    speak_plainly,
)
from search.commands.judging import judge
from search.commands.reviewing import list_, report, ui
from search.commands.searching import resume, search, status
from search.commands.trials import compare, trials
from search.errors import UserError, outside
from trainables.messages import one_line

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


for command in (
    search,
    resume,
    status,
    trials,
    logs,
    stop,
    certify,
    judge,
    export,
    verify,
    report,
    compare,
    ui,
    doctor,
):
    app.command()(command)
app.command(name="list")(list_)
app.command(name="check-task")(check_task)
app.command(name="on-premises")(on_premises)
app.command(name="security-group")(security_group)

UsageError = cast(type[typer.BadParameter], typer.BadParameter.__mro__[1])
"""A mistake on the command line; typer exports none but subclasses of it."""


def main() -> None:
    """Run the command; what a user can put right is one line and exit code 2.

    A fault of Longspan's own is one line too, with exit code 70 (EX_SOFTWARE of sysexits.h); its
    trace lies in a file. Where nobody reads the output any more, the code is that of a broken pipe.
    """
    speak_plainly()
    began_as = output()
    try:
        code = app(standalone_mode=False)
        if sys.stdout is not None:  # as where it was closed beforehand
            sys.stdout.flush()  # here, where it can still be told
    except UserError as error:
        code = _say(str(error), EXIT_USER_ERROR)
    except UsageError as error:
        code = _say(one_line(error.format_message()), EXIT_USER_ERROR)
    except (typer.Abort, KeyboardInterrupt):
        code = EXIT_INTERRUPTED
    except BaseException as error:  # of a disk, a server, a reader that left; all else is a fault
        code = _met(error, began_as)
    sys.exit(code if isinstance(code, int) else 0)


def _met(error: BaseException, began_as: tuple[int, int]) -> int:
    if output_is_unwanted(error, began_as):
        forget_output()
        return EXIT_UNWANTED
    if isinstance(error, SystemExit) and _is_of_completion(error):
        return error.code if isinstance(error.code, int) else EXIT_USER_ERROR
    line = outside(error) if isinstance(error, Exception) else None
    if line is not None:
        return _say(line, EXIT_USER_ERROR)
    return _say(last_resort(error), EXIT_FAULT)


def _is_of_completion(end: SystemExit) -> bool:
    """Whether typer ends the process, as it does once it has completed; a plugin may not."""
    *_, (last, _) = traceback.walk_tb(end.__traceback__)
    return str(last.f_globals.get("__name__")).startswith("typer.")


def _say(line: str, code: int) -> int:
    print(f"longspan: {line}", file=sys.stderr)
    return code
