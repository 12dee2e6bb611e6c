"""``ui``, ``list``: looking at what there is."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from search.commands import RUNS, ClusterFile, Plugins, Runs, console
from search.commands.clusters import review
from search.disk.mlflow_database import FILE, FOLDER, damage, follow
from search.errors import UserError


def ui(
    runs: Runs = RUNS,
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 5000,
    cluster: ClusterFile = None,
) -> None:
    """Open MLflow's pages over the searches in the runs folder, or over a cluster's."""
    if cluster is not None:
        review(cluster, port)
        return
    database, artifacts = runs.absolute() / FILE, (runs.absolute() / FOLDER).as_uri()
    if not database.exists():
        raise UserError(f"--runs: {database} is not there; run `longspan search` first")
    reason = damage(database)
    if reason is not None:
        raise UserError(
            f"--runs: {database} is damaged ({reason}); `longspan resume NAME` sets it aside and "
            "writes the search into a new one"
        )
    follow(database, artifacts)
    console.print(f"MLflow: http://127.0.0.1:{port} (Ctrl-C ends it)")
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{database}"]
    command += ["--default-artifact-root", artifacts]
    with subprocess.Popen(command) as server:
        try:
            code = server.wait()
        except KeyboardInterrupt:
            server.send_signal(signal.SIGINT)
            code = 0 if server.wait() in (0, -signal.SIGINT, 1) else 1
    raise typer.Exit(code)


def list_(
    what: Annotated[
        str, typer.Argument(help="spaces, tasks or cells", metavar="spaces|tasks|cells")
    ],
    plugin: Plugins = None,
) -> None:
    """List what can be chosen, each with what it is."""
    from search.spec.spaces import known_spaces
    from trainables.models.cells import LAYERS
    from trainables.tasks import TASKS

    spaces = known_spaces(plugin or (), [str(Path.cwd())] if plugin else ())
    tables: dict[str, Mapping[str, Any]] = {"spaces": spaces, "tasks": TASKS, "cells": LAYERS}
    if what not in tables:
        raise UserError(f"list: {what!r} is not known; allowed: {', '.join(tables)}")
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for kind, entry in tables[what].items():
        about = (sys.modules[entry.__module__].__doc__ or "").strip().split("\n\n")[0]
        about = about.removeprefix(f"``{kind}``:").replace("\n", " ").strip()
        table.add_row(f"[b]{kind}[/b]", about)
    console.print(table)
