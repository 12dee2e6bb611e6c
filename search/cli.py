"""The command ``longspan``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.table import Table

from search.folder import SearchFolder, UserError

app = typer.Typer(
    name="longspan",
    help="Find the sequence architecture that reliably learns the longest dependency.\n\n"
    "Start with `longspan search`: without a spec it runs the quick start, a few minutes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
console = Console()

EXIT_USER_ERROR = 2
EXIT_CLAIM_FAILS = 1
EXIT_INTERRUPTED = 130

Name = Annotated[str, typer.Argument(help="The search's name.", show_default=False)]
Runs = Annotated[
    Path,
    typer.Option(
        envvar="LONGSPAN_RUNS", help="Folder under which every search has its own.", metavar="DIR"
    ),
]
RUNS = Path("runs")

UsageError = cast(type[typer.BadParameter], typer.BadParameter.__mro__[1])
"""A mistake on the command line; typer exports none but subclasses of it."""


@app.command()
def search(
    spec: Annotated[
        Path | None,
        typer.Argument(help="A YAML spec; without one, the quick start runs.", metavar="[SPEC]"),
    ] = None,
    runs: Runs = RUNS,
    name: Annotated[str | None, typer.Option(help="In place of the spec's name.")] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="In place of the spec's number of trials.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="In place of the spec's seed.")] = None,
) -> None:
    """Search architectures for the longest dependency they reliably learn."""
    from search import spec as specs

    chosen = specs.read(spec or quickstart())
    if spec is None and name is None:
        name = unused_name(runs, chosen.name)
    overrides = {"trials": trials, "seed": seed}
    changed = chosen.search.model_copy(update={k: v for k, v in overrides.items() if v is not None})
    chosen = chosen.model_copy(update={"name": name or chosen.name, "search": changed})
    folder = SearchFolder(runs, chosen.name)
    if folder.exists:
        folder.create("")  # refuses, before anything slow is done
    from search.preflight import check

    check(chosen)
    folder.create(chosen.to_yaml())
    _search(folder)


@app.command()
def resume(name: Name, runs: Runs = RUNS) -> None:
    """Go on with a search that was cut off: nothing is lost and nothing is counted twice."""
    folder = SearchFolder(runs, name)
    folder.require()
    _search(folder)


def _search(folder: SearchFolder) -> None:
    from search import spec as specs
    from search.ledger import Ledger
    from search.live import Display
    from search.ranking import leaderboard
    from search.tuner import run_search

    spec = specs.read(folder.spec)
    at = "" if folder.runs == RUNS.absolute() else f" --runs {folder.runs}"
    console.print(
        f"Searching [b]{spec.space}[/b] on [b]{', '.join(spec.tasks_by_name)}[/b]: "
        f"{spec.search.trials} trials, lags {spec.ladder.start} to {spec.ladder.stop}, "
        f"{spec.ladder.members} members each. Everything goes to {folder.path}"
    )
    ended = run_search(spec, folder, Display(console, spec.search.trials))
    console.print(leaderboard(Ledger(folder).records.values()))
    if ended.behind:
        console.print(ended.behind, style="yellow")
    if not ended.finished:
        console.print(f"Stopped. Go on with: longspan resume {folder.name}{at}")
        raise typer.Exit(EXIT_INTERRUPTED)
    console.print(
        f"Ended after {ended.seconds:.0f} s. Next:\n"
        f"  longspan ui{at}                                   review every trial in MLflow\n"
        f"  longspan export {folder.name} --top 3 --to best{at}   weights and cards of the best",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def status(name: Name, runs: Runs = RUNS) -> None:
    """Show how far a search is, and its leaderboard."""
    from search import spec as specs
    from search.ledger import Ledger
    from search.ranking import leaderboard

    folder = SearchFolder(runs, name)
    folder.require()
    spec = specs.read(folder.spec)
    records = Ledger(folder).records.values()
    done = sum(record.finished for record in records)
    state = "running" if folder.busy else "finished" if done >= spec.search.trials else "stopped"
    console.print(f"{name}: {state}, {done} of {spec.search.trials} trials ended")
    console.print(leaderboard(records))
    if state == "stopped":
        console.print(f"Go on with: longspan resume {name}")


@app.command()
def export(
    name: Name,
    to: Annotated[Path, typer.Option(help="Folder to export to.", metavar="DIR")],
    top: Annotated[int, typer.Option(min=1, help="How many of the best trials.")] = 1,
    runs: Runs = RUNS,
) -> None:
    """Export the best configurations: weights, configuration, card."""
    from search import spec as specs
    from search.export import export as export_top

    folder = SearchFolder(runs, name)
    folder.require()
    for target in export_top(folder, specs.read(folder.spec), top, to):
        console.print(f"{target}", highlight=False, soft_wrap=True)
    console.print("Next: read CARD.md there, and measure the claim again: longspan verify FOLDER")


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="An exported folder.", metavar="DIR")],
    data: Annotated[
        Path | None, typer.Option(help="The task's Parquet file, if it moved.", metavar="FILE")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the fresh sequences; drawn anew without one.")
    ] = None,
) -> None:
    """Measure an export's claim again, on fresh sequences, from the weights alone.

    Exits with 1 if the claim is not established.
    """
    from trainables import exported
    from trainables.reliability import CONFIDENCE

    seed = int.from_bytes(os.urandom(4), "big") if seed is None else seed
    try:
        claim = exported.read(folder)
        tally = exported.verify(claim, seed, data)
    except ValueError as error:
        raise UserError(str(error)) from None
    bound = tally.lower_bound(CONFIDENCE)
    holds = bound >= claim.success
    console.print(
        f"lag {claim.lag}: {tally.successes} of {tally.sequences} fresh sequences right "
        f"({tally.rate:.1%}, 95 % lower bound {bound:.1%}; asked for {claim.success:.0%}; "
        f"seed {seed}): the claim {'holds' if holds else 'FAILS'}",
        soft_wrap=True,
    )
    if not holds:
        raise typer.Exit(EXIT_CLAIM_FAILS)


@app.command()
def ui(
    runs: Runs = RUNS,
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 5000,
) -> None:
    """Open MLflow's pages over the searches in the runs folder."""
    database = runs.absolute() / "mlflow.db"
    if not database.exists():
        raise UserError(f"--runs: {database} is not there; run `longspan search` first")
    console.print(f"MLflow: http://127.0.0.1:{port} (Ctrl-C ends it)")
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{database}"]
    command += ["--default-artifact-root", (runs.absolute() / "mlartifacts").as_uri()]
    with subprocess.Popen(command) as server:
        try:
            code = server.wait()
        except KeyboardInterrupt:
            server.send_signal(signal.SIGINT)
            code = 0 if server.wait() in (0, -signal.SIGINT, 1) else 1
    raise typer.Exit(code)


@app.command(name="list")
def list_(
    what: Annotated[
        str, typer.Argument(help="spaces, tasks or cells", metavar="spaces|tasks|cells")
    ],
) -> None:
    """List what can be chosen, each with what it is."""
    from spaces import SPACES
    from trainables.models.cells import LAYERS
    from trainables.tasks import TASKS

    tables: dict[str, Mapping[str, Any]] = {"spaces": SPACES, "tasks": TASKS, "cells": LAYERS}
    if what not in tables:
        raise UserError(f"list: {what!r} is not known; allowed: {', '.join(tables)}")
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for kind, entry in tables[what].items():
        about = (sys.modules[entry.__module__].__doc__ or "").strip().split("\n\n")[0]
        about = about.removeprefix(f"``{kind}``:").replace("\n", " ").strip()
        table.add_row(f"[b]{kind}[/b]", about)
    console.print(table)


def quickstart() -> Path:
    """The shipped quick start."""
    spec = Path(__file__).parent.parent / "examples" / "quickstart.yaml"
    if not spec.exists():
        raise UserError(f"{spec}: the quick start is part of a checkout; give a spec of your own")
    return spec


def unused_name(runs: Path, name: str) -> str:
    """The name, or with the first number under which there is no search yet."""
    found, count = name, 1
    while SearchFolder(runs, found).exists:
        count += 1
        found = f"{name}-{count}"
    return found


def main() -> None:
    """Run the command; what a user can put right is one line and exit code 2."""
    try:
        code = app(standalone_mode=False)
    except UserError as error:
        code = _refuse(str(error))
    except UsageError as error:
        code = _refuse(" ".join(error.format_message().split()))
    except OSError as error:  # a folder that cannot be written, a disk that is full
        code = _refuse(f"{error.filename or 'disk'}: {error.strerror or error}")
    except (typer.Abort, KeyboardInterrupt):
        code = EXIT_INTERRUPTED
    sys.exit(code if isinstance(code, int) else 0)


def _refuse(reason: str) -> int:
    print(f"longspan: {reason}", file=sys.stderr)
    return EXIT_USER_ERROR
