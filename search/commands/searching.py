"""``search``, ``resume``, ``status``: running searches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.markup import escape
from rich.table import Table

from search.cluster.head_node import on_cluster
from search.commands import (
    EXIT_INTERRUPTED,
    RUNS,
    ClusterFile,
    Json,
    Name,
    OtherData,
    Runs,
    console,
    options_of,
    print_json,
    show_complaints,
)
from search.commands.clusters import on_head, submit, submit_again
from search.commands.faults import going_on_by
from search.disk.folder import SearchFolder
from search.errors import UserError

if TYPE_CHECKING:
    from search.spec import Spec

Result = TypeVar("Result")


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
    dry_run: Annotated[
        bool,
        typer.Option(
            help="Check the spec, show what was read, what would be tried first and what it may "
            "cost; start nothing."
        ),
    ] = False,
    cluster: ClusterFile = None,
    json: Annotated[bool, typer.Option("--json", help="Print a dry run as JSON.")] = False,
) -> None:
    """Search architectures for the longest dependency they reliably learn."""
    began = time.monotonic()
    if json and not dry_run:
        raise UserError("--json: goes with --dry-run alone; `longspan status NAME --json` follows")
    from search import spec as specs

    chosen = specs.read(spec or quickstart())
    if spec is None and name is None and cluster is None:
        name = unused_name(runs, chosen.name)
    chosen = overridden(chosen, name, trials, seed)
    SearchFolder(runs, chosen.name)  # refuses what no search may be called, before all that is slow
    from search.checking.accounts import show_accounts
    from search.checking.preflight import check

    if dry_run:
        _say_what_it_may_cost(chosen, runs, json)
        return
    if cluster is not None:
        show_accounts(check(chosen), console)
        chosen = _warm(chosen, runs)
        _show_first(chosen)
        submit(cluster, chosen)
        return
    with ExitStack() as ray_up:
        _search(begin(chosen, runs, ray_up), began, ray_up)


def _say_what_it_may_cost(spec: Spec, runs: Path, json: bool) -> None:
    from search.checking.accounts import show_accounts
    from search.checking.preflight import check
    from search.commands.estimating.estimate import estimate
    from search.commands.estimating.for_programs import plain_estimate
    from search.commands.estimating.words import lines, rests_on
    from search.scheduling.machines import require
    from search.scheduling.ray_session import machines

    tasks, here = check(spec), machines()
    if not json:
        show_accounts(tasks, console)
    require(here, spec.resources)
    spec = _warm(spec, runs)
    if not json:
        _show_first(spec)
    found = estimate(spec, tasks, here)
    if json:
        print_json(plain_estimate(spec, tasks, found))
        return
    table = Table(title="What it may cost", title_justify="left", box=None, show_header=False)
    for about, said in lines(spec, tasks, found):
        table.add_row(about, said)
    console.print(table, markup=False)
    console.print(rests_on(found), highlight=False)
    console.print("Nothing was started.")


def overridden(spec: Spec, name: str | None, trials: int | None, seed: int | None) -> Spec:
    """The spec of a new search, with another name, number of trials or seed where one is given."""
    given = {key: n for key, n in {"trials": trials, "seed": seed}.items() if n is not None}
    changed = spec.search.model_copy(update=given)
    return spec.as_begun.model_copy(update={"name": name or spec.name, "search": changed})


def begin(spec: Spec, runs: Path, ray_up: ExitStack | None = None) -> SearchFolder:
    """Lay a new search's folder, once all that can be refused beforehand has been looked at.

    Ray is started beside the last of it, for as long as ``ray_up`` is open, where one is given.
    """
    folder = SearchFolder(runs, spec.name)
    if folder.exists:
        folder.create("")  # refuses, before anything slow is done
    _lay(folder, spec, ray_up)
    return folder


def resume(
    name: Name,
    runs: Runs = RUNS,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Go on to this many trials in all.")
    ] = None,
    stop: Annotated[
        int | None,
        typer.Option(min=2, help="Go on to this lag with the trials that passed the top."),
    ] = None,
    hours: Annotated[
        float | None, typer.Option(min=1e-6, help="End this run after so many hours.")
    ] = None,
    gflop: Annotated[
        float | None, typer.Option(min=1e-6, help="Go on to this training cost in all.")
    ] = None,
    other_data: OtherData = False,
    cluster: ClusterFile = None,
) -> None:
    """Go on with a search that was cut off, or make one that has ended longer.

    Nothing is lost and nothing is counted twice.
    """
    began = time.monotonic()
    from search import spec as specs
    from search.checking.accounts import show_accounts
    from search.checking.preflight import check, read_tasks
    from search.cluster.packing import movable
    from search.disk.kept_tasks import keep_tasks, record_other_data, require_same_data
    from search.scheduling.machines import require
    from search.scheduling.ray_session import machines
    from search.spec.extension import extended

    folder = SearchFolder(runs, name)
    if cluster is not None:
        options = {"--trials": trials, "--stop": stop, "--hours": hours, "--gflop": gflop}
        submit_again(cluster, name, options)
        return
    folder.require()
    spec = specs.read(folder.spec)
    longer = extended(spec, trials, stop, hours, gflop)
    tasks = read_tasks(longer)
    others = require_same_data(folder, tasks, other_data)  # first: it may be why they do not fit
    check(longer, tasks)
    show_accounts(tasks, console)
    require(machines(), longer.resources)
    if not (folder.encodings.exists() or any(folder.trials.glob("*/record.json"))):
        keep_tasks(folder, tasks)  # cut off before it was written, and before anything was measured
    record_other_data(folder, others)
    if longer != spec:
        with folder.locked():
            folder.change_spec(movable(longer, folder.path).to_yaml())
    with ExitStack() as ray_up:
        _search(folder, began, ray_up)


def _beside(name: str, work: Callable[[], Result]) -> Future[Result]:
    """What a thread of that name comes to, for which Ctrl-C does not wait."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # for whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


def _import_tune_and_mlflow() -> None:
    """Each takes seconds, in which Ray starts; Tune imports MLflow itself before any trial."""
    import search.recording.tracker
    import search.run  # noqa: F401


def _search(folder: SearchFolder, began: float, ray_up: ExitStack) -> None:
    """Run the search and show what came of it; ``began`` is when the command did."""
    from search import spec as specs
    from search.disk.certificates import certified_words
    from search.disk.ledger import Ledger
    from search.results.leaderboard import leaderboard
    from search.results.live_table import Display
    from search.results.words import errors_in_words
    from search.run import run_search
    from trainables.messages import duration

    spec = specs.read(folder.spec)
    at = options_of(folder.runs)
    console.print(
        f"Searching [b]{spec.space}[/b] on [b]{', '.join(spec.tasks_by_name)}[/b]: "
        f"{spec.search.trials} trials, lags {spec.ladder.start} to {spec.ladder.stop}, "
        f"{spec.ladder.members} members each. Everything goes to {folder.path}"
    )
    with going_on_by(folder.command("resume")):
        ended = run_search(spec, folder, Display(console, spec))
        ray_up.close()
    ledger = Ledger(folder)
    certified = certified_words(folder.path)
    records = ledger.records.values()
    aims = spec.search.objectives
    console.print(
        leaderboard(records, 10, certified, spec.ladder, folder.ended_early, aims, console.width)
    )
    show_complaints([*errors_in_words(records), *ledger.complaints])
    if spec.constraints.limits:
        console.print(f"{len(ledger.refused)} proposals refused by constraints", highlight=False)
    if ended.behind:
        console.print(ended.behind, style="yellow")
    if not ended.finished and not ended.budget:
        console.print(
            f"Stopped. Go on with: {escape(folder.command('resume'))}",
            soft_wrap=True,
            highlight=False,
        )
        raise typer.Exit(EXIT_INTERRUPTED)
    option = _more(ended.budget)
    more = f"longspan resume {folder.name}{at} --{option}" if option else ""
    why = f": {ended.budget}" if ended.budget else ""
    console.print(f"Ended after {duration(time.monotonic() - began)}{why}. Next:", highlight=False)
    hints = {
        f"longspan report {folder.name}{at}": "what won, why, what mattered",
        f"longspan ui {folder.name}{at}": "review every trial in MLflow",
        f"longspan certify {folder.name}{at}": "try the winner on fresh members",
        f"longspan export {folder.name} --top 3 --to best{at}": "weights and cards of the best",
    }
    hints = {more: "go on"} | hints if more else hints
    width = max(map(len, hints))
    for command, what in hints.items():  # behind #, so that the whole line can be pasted
        console.print(f"  {command:<{width}}  # {what}", highlight=False, soft_wrap=True)


def _more(budget: str | None) -> str:
    """The option that gives a search more of what is used up; empty where nothing is."""
    options = {"search.hours": "hours HOURS", "search.gflop": "gflop GFLOP"}
    return options.get((budget or "").partition(":")[0], "")


def status(
    name: Name,
    runs: Runs = RUNS,
    cluster: ClusterFile = None,
    top: Annotated[int, typer.Option(min=1, help="So many trials of the leaderboard.")] = 10,
    json: Json = False,
) -> None:
    """Show how far a search is, and its leaderboard."""
    if cluster is not None:
        options = ["--top", str(top)] + ["--json"] * json
        raise typer.Exit(on_head(cluster, "status", SearchFolder(runs, name).name, *options))
    from search.disk.certificates import certified_words
    from search.disk.ledger import Ledger
    from search.results.leaderboard import leaderboard
    from search.results.words import errors_in_words

    folder = SearchFolder(runs, name)
    spec, ledger = folder.outline(), Ledger(folder)
    records = ledger.records.values()
    done, state = ledger.ended, ledger.state(spec.search.trials)
    if json:
        from search.results.review.tables import rows_of_search

        print_json(
            {
                "name": name,
                "state": state,
                "ended": done,
                "wanted": spec.search.trials,
                "refused": len(ledger.refused),
                "damaged": ledger.unreadable,
                "strays": ledger.strays,
                "trials": rows_of_search(records, spec, certified_words(folder.path)),
            }
        )
        return
    console.print(f"{name}: {state}, {done} of {spec.search.trials} trials ended")
    words = certified_words(folder.path)
    aims = spec.search.objectives
    console.print(
        leaderboard(records, top, words, spec.ladder, folder.ended_early, aims, console.width)
    )
    show_complaints([*errors_in_words(records), *ledger.warnings])
    if spec.constraints.limits:
        console.print(f"{len(ledger.refused)} proposals refused by constraints", highlight=False)
    if state == "stopped":
        console.print(
            f"Go on with: {escape(folder.command('resume'))}", soft_wrap=True, highlight=False
        )


def _lay(folder: SearchFolder, spec: Spec, ray_up: ExitStack | None) -> None:
    from search.checking.accounts import show_accounts
    from search.checking.controls import measure_once, refuse
    from search.checking.preflight import check
    from search.cluster.packing import pack
    from search.disk.kept_tasks import keep_tasks
    from search.scheduling.machines import require
    from search.scheduling.ray_session import machines, start_early

    tasks = check(spec)
    show_accounts(tasks, console)
    require(machines(), spec.resources)
    spec = _warm(spec, folder.runs)
    _show_first(spec)
    controls = _beside("controls", lambda: measure_once(spec, tasks, folder.runs))
    if ray_up is not None:
        _beside("imports", _import_tune_and_mlflow)
        start_early(spec, ray_up)
    refuse(spec, tasks, folder.runs, controls.result(), console)
    folder.create((pack(spec, folder.path) if on_cluster() else spec).to_yaml())
    keep_tasks(folder, tasks)


def _warm(spec: Spec, runs: Path) -> Spec:
    """The spec with what its ``warm_start`` and the portfolio have, unless it has that already."""
    from search.checking.warm_start import with_priors

    return spec if spec.search.priors else with_priors(spec, runs)


def _show_first(spec: Spec) -> None:
    if spec.search.first:
        console.print("Tried first, and measured here like any other trial:")
    for origin in spec.search.first_from:
        console.print(f"  {origin}", highlight=False, markup=False, soft_wrap=True)


def quickstart() -> Path:
    """The quick start, as it is shipped in the package."""
    spec = find_spec("longspan")
    if spec is None or spec.origin is None:
        raise UserError("the quick start is not there: longspan is not installed whole")
    return Path(spec.origin).with_name("examples") / "quickstart.yaml"


def unused_name(runs: Path, name: str) -> str:
    """The name, or with the first number under which there is no search yet."""
    found, count = name, 1
    while SearchFolder(runs, found).exists:
        count += 1
        found = f"{name}-{count}"
    return found
