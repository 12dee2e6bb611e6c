"""``ui``, ``report``, ``list``: looking at what there is."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from search.cluster.connection import listens
from search.commands import (
    RUNS,
    ClusterFile,
    Json,
    Name,
    Plugins,
    Runs,
    console,
    print_json,
    show_complaints,
)
from search.commands.clusters import review
from search.disk.folder import SearchFolder
from search.disk.mlflow_database import (
    FILE,
    FOLDER,
    damage,
    follow,
    page_of_runs,
    page_of_search,
    remove_stray_folders,
    tracking_uri,
    uri_of,
)
from search.errors import UserError

if TYPE_CHECKING:
    from search.spec import TrackingConfig

SECONDS_TO_END = 10
SERVER_LOG = "mlflow.log"
"""In the runs folder: what MLflow's server says while ``ui`` shows its pages."""


def ui(
    name: Annotated[
        str | None, typer.Argument(help="Show this search alone.", show_default=False)
    ] = None,
    runs: Runs = RUNS,
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 5000,
    cluster: ClusterFile = None,
    browser: Annotated[
        bool, typer.Option(help="Open it in the browser, from a terminal on a desktop.")
    ] = True,
) -> None:
    """Open MLflow's pages over the searches in the runs folder, or over a cluster's.

    Prints the address of the runs, the longest reach first, and of the search's own. Where the
    spec's `tracking.uri` or MLFLOW_TRACKING_URI says that searches record elsewhere, it is that
    which is shown.
    """
    if cluster is not None:
        review(cluster, port)
        return
    folder = None if name is None else SearchFolder(runs, name)
    tracking = _tracking(folder)
    show_complaints(_complaints([folder] if folder else _searches(runs)))
    uri, database = tracking_uri(tracking.uri, runs), runs.absolute() / FILE
    if uri.startswith(("http://", "https://")):
        _say(f"MLflow: {_public(uri)} (a server of its own, as searches record to it)")
        return
    page, own, store = "", "", ["--backend-store-uri", uri]
    if uri == uri_of(database):
        artifacts = (database.parent / FOLDER).as_uri()
        _require_sound(database)
        follow(database, artifacts)
        identity = folder.known_identity if folder else None
        page = page_of_runs(database, tracking.experiment_name, identity)
        own = page_of_search(database, identity) if identity else ""
        store += ["--default-artifact-root", artifacts]
    shown = "" if page else f", over {_public(uri)}"
    if listens(port):
        raise UserError(f"--port: {port} is taken; give another")
    address = f"http://127.0.0.1:{port}{page}"
    _say(f"MLflow: {address}{shown} (in some seconds; Ctrl-C ends it)")
    if own:
        _say(f"The search's own page: http://127.0.0.1:{port}{own}")
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    said = runs.absolute() / SERVER_LOG
    opened = address if browser and _on_a_desktop() else None
    code = _serve([*command, "--workers", "1", *store], said, port, opened)
    remove_stray_folders(database)
    if code:
        raise UserError(
            f"--port: MLflow's server on {port} ended with {code}; what it said is in {said}"
        )


def _require_sound(database: Path) -> None:
    if not database.exists():
        raise UserError(f"--runs: {database} is not there; run `longspan search` first")
    reason = damage(database)
    if reason is not None:
        raise UserError(
            f"--runs: {database} is damaged ({reason}); `longspan resume NAME` sets it aside and "
            "writes the search into a new one"
        )


def _public(uri: str) -> str:
    """An address without a user's name and password."""
    return re.sub(r"//[^/@]*@", "//", uri)


def _say(line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _tracking(folder: SearchFolder | None) -> TrackingConfig:
    """Where the search records."""
    from search import spec as specs

    return folder.look().tracking if folder else specs.TrackingConfig()


def _searches(runs: Path) -> Iterator[SearchFolder]:
    for path in sorted(runs.glob("*/search.json")):
        with suppress(UserError):  # of a folder that no search can be called by
            yield SearchFolder(runs, path.parent.name)


def _complaints(folders: Iterable[SearchFolder]) -> Iterator[str]:
    """What of the searches is missing on MLflow's pages, or there from before it was damaged."""
    from search.disk.ledger import Ledger

    for folder in folders:
        yield from Ledger(folder).complaints


def _on_a_desktop() -> bool:
    """Whether a person looks on who has a browser here, and not at the end of a wire."""
    if not console.is_terminal or "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform != "linux" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())


def open_when_up(server: subprocess.Popen[bytes], port: int, address: str) -> None:
    """Show a page in the browser as soon as the server answers; never where it ends before."""
    while server.poll() is None:
        if listens(port):
            webbrowser.open(address)
            return
        time.sleep(0.2)


def _serve(command: list[str], said: Path, port: int, opened: str | None) -> int:
    """Run a server until it ends, or Ctrl-C or SIGTERM ends it with all that it started.

    What it says is written to ``said``, and lost where nothing may be written. Once it answers, the
    page that is to be ``opened`` is shown.
    """
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **os.environ}
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with (
            _opened(said) as log,
            subprocess.Popen(
                command, start_new_session=True, env=environment, stdout=log, stderr=log
            ) as server,
        ):
            if opened:
                arguments = (server, port, opened)
                threading.Thread(target=open_when_up, args=arguments, daemon=True).start()
            try:
                return server.wait()
            except KeyboardInterrupt:
                os.killpg(server.pid, signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    server.wait(SECONDS_TO_END)
                with suppress(ProcessLookupError):
                    os.killpg(server.pid, signal.SIGKILL)
                return 0
    finally:
        signal.signal(signal.SIGTERM, before)


def _opened(log: Path) -> IO[bytes]:
    try:
        return log.open("wb")
    except OSError:
        return Path(os.devnull).open("wb")


def report(
    name: Name,
    runs: Runs = RUNS,
    to: Annotated[
        Path | None,
        typer.Option(help="In place of report.html in the search's folder.", metavar="FILE"),
    ] = None,
) -> None:
    """Tell what won and why to believe it, what mattered, what failed and what to try next.

    Writes it with all pictures as one HTML file, which needs no network.
    """
    from search.disk.certificates import certificates
    from search.disk.ledger import Ledger
    from search.results.review import story
    from search.results.review.importance import what_mattered
    from search.results.review.page import page

    folder = SearchFolder(runs, name)
    spec, ledger = folder.look(), Ledger(folder)
    records = list(ledger.records.values())
    decided = list(certificates(folder.path))
    html = page(folder, spec, ledger, decided).encode()
    target = _written(html, to or folder.path / "report.html", name if to is None else None)
    show_complaints(ledger.warnings)
    console.print(story.what_won(records, spec, decided), highlight=False, markup=False)
    for line in story.how_it_ended(records):
        console.print(f"  {line}", highlight=False, markup=False)
    mattered = what_mattered(records, spec)
    if mattered:
        console.print(mattered, highlight=False, markup=False)
    for sentence, command in story.what_next(records, spec, folder, decided):
        console.print(f"{sentence}\n  {command}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"The page: {target.as_uri()}", highlight=False, markup=False, soft_wrap=True)


def _written(html: bytes, target: Path, name: str | None) -> Path:
    """Where the page was written; a search of that ``name`` may lie where nothing may be written.

    Then that is the current folder.
    """
    from trainables.files.whole_files import write_aside

    target = target.absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_aside(target, html)
    except OSError as error:
        if name is None or error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        return _written(html, Path(f"{name}-report.html"), None)
    return target


def list_(
    what: Annotated[
        str, typer.Argument(help="spaces, tasks or cells", metavar="spaces|tasks|cells")
    ],
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """List what can be chosen, each with what it is."""
    from search.spec.spaces import known_spaces
    from search.spec.trying import try_imports
    from trainables.models.cells import LAYERS
    from trainables.tasks import TASKS

    folders = [str(Path.cwd())] if plugin else []
    try:
        try_imports(plugin or (), folders)
    except ValueError as error:
        raise UserError(f"--plugin: {error}") from None
    spaces = known_spaces(plugin or (), folders)
    tables: dict[str, Mapping[str, Any]] = {"spaces": spaces, "tasks": TASKS, "cells": LAYERS}
    if what not in tables:
        raise UserError(f"list: {what!r} is not known; allowed: {', '.join(tables)}")
    found = {kind: _about(kind, entry) for kind, entry in tables[what].items()}
    if json:
        print_json(found)
        return
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for kind, about in found.items():
        table.add_row(f"[b]{kind}[/b]", about)
    console.print(table)


def _about(kind: str, entry: Any) -> str:
    about = (sys.modules[entry.__module__].__doc__ or "").strip().split("\n\n")[0]
    return about.removeprefix(f"``{kind}``:").replace("\n", " ").strip()
