"""``search``, ``resume``, ``status``: running searches."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.commands import EXIT_INTERRUPTED, RUNS, ClusterFile, Name, Runs, console
from search.commands.clusters import on_head, submit, submit_again
from search.folder import SearchFolder, UserError
from search.head import on_cluster, tracking_environment

if TYPE_CHECKING:
    from search.spec import Spec


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
    cluster: ClusterFile = None,
) -> None:
    """Search architectures for the longest dependency they reliably learn."""
    from search import spec as specs

    chosen = specs.read(spec or quickstart())
    if spec is None and name is None and cluster is None:
        name = unused_name(runs, chosen.name)
    overrides = {"trials": trials, "seed": seed}
    changed = chosen.search.model_copy(update={k: v for k, v in overrides.items() if v is not None})
    chosen = chosen.model_copy(update={"name": name or chosen.name, "search": changed})
    from search.preflight import check

    if cluster is not None:
        check(chosen)
        submit(cluster, chosen)
        return
    folder = SearchFolder(runs, chosen.name)
    if folder.exists:
        folder.create("")  # refuses, before anything slow is done
    lay(folder, chosen, beside=(spec or quickstart()).parent)
    _search(folder)


def resume(name: Name, runs: Runs = RUNS, cluster: ClusterFile = None) -> None:
    """Go on with a search that was cut off: nothing is lost and nothing is counted twice."""
    folder = SearchFolder(runs, name)
    if cluster is not None:
        submit_again(cluster, name)
        return
    folder.require()
    _search(folder)


def _search(folder: SearchFolder) -> None:
    from search import spec as specs
    from search.ledger import Ledger
    from search.live import Display
    from search.packing import make_importable
    from search.ranking import leaderboard
    from search.tuner import run_search

    make_importable(folder.files)
    spec = specs.read(folder.spec)
    if on_cluster() and spec.tracking.uri is None:
        os.environ.update(tracking_environment())
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


def status(name: Name, runs: Runs = RUNS, cluster: ClusterFile = None) -> None:
    """Show how far a search is, and its leaderboard."""
    if cluster is not None:
        raise typer.Exit(on_head(cluster, "status", SearchFolder(runs, name).name))
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


def lay(folder: SearchFolder, spec: Spec, beside: Path) -> None:
    """Lay a search's folder, after everything that can be refused beforehand has been looked at.

    What travelled to a cluster with the spec lies ``beside`` it.
    """
    from search.joining import machines
    from search.machines import require
    from search.packing import FILES, make_importable, pack
    from search.preflight import check

    if on_cluster():
        make_importable(beside / FILES)
    check(spec)
    require(machines(), spec.resources)
    folder.create((pack(spec, folder.path) if on_cluster() else spec).to_yaml())


def quickstart() -> Path:
    """The shipped quick start."""
    spec = Path(__file__).parents[2] / "examples" / "quickstart.yaml"
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
