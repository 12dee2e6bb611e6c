"""``trials``, ``compare``: a search's trials one a line, two searches side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from search.commands import (
    RUNS,
    ClusterFile,
    Json,
    Name,
    Runs,
    console,
    print_json,
    show_complaints,
)
from search.commands.clusters import on_head
from search.disk.folder import SearchFolder
from search.errors import UserError

if TYPE_CHECKING:
    from search.results.review.comparison import Row, Side


def trials(
    name: Name,
    runs: Runs = RUNS,
    top: Annotated[int, typer.Option(min=1, help="So many trials.")] = 20,
    every: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    sort: Annotated[
        str, typer.Option(help="By reach, trial, skill, parameters, gflop or time.", metavar="KEY")
    ] = "reach",
    json: Json = False,
    cluster: ClusterFile = None,
) -> None:
    """List a search's trials, one a line: the best first, or by another key the least first.

    By skill it is the highest first. With `--json` each has all its parameters.
    """
    from search.disk.certificates import certified_words
    from search.disk.ledger import Ledger
    from search.disk.ranking import fronts_of
    from search.results.trial_lines import SORTS, ordered, trial_lines
    from search.results.words import errors_in_words

    if sort not in SORTS:
        raise UserError(f"--sort: {sort!r} is not known; allowed: {', '.join(SORTS)}")
    if cluster is not None:
        options = ["--top", str(top), "--sort", sort] + ["--all"] * every + ["--json"] * json
        raise typer.Exit(on_head(cluster, "trials", SearchFolder(runs, name).name, *options))
    folder = SearchFolder(runs, name)
    spec, ledger = folder.outline(), Ledger(folder)
    certified = certified_words(folder.path)
    found = ordered(ledger.records.values(), sort, certified)
    chosen = found if every else found[:top]
    if json:
        from search.results.review.tables import rows_of_search

        by_number = {row["trial"]: row for row in rows_of_search(found, spec, certified)}
        print_json([by_number[record.number] for record in chosen])
        return
    on = fronts_of(ledger.records.values(), spec.search.objectives)
    console.print(trial_lines(chosen, sort, spec.ladder, on, console.width))
    if len(chosen) < len(found):
        console.print(f"{len(chosen)} of {len(found)}; --all shows the others", highlight=False)
    show_complaints([*errors_in_words(chosen), *ledger.warnings])


def compare(
    one: Annotated[str, typer.Argument(help="A search's name.", show_default=False)],
    other: Annotated[str, typer.Argument(help="Another's.", show_default=False)],
    runs: Runs = RUNS,
    json: Json = False,
) -> None:
    """Show two searches side by side: in what their specs differ, and what came of each."""
    from search.results.review import comparison

    left, right = (_side(SearchFolder(runs, name)) for name in (one, other))
    differ, came = comparison.differences(left, right), comparison.results(left, right)
    unlike = comparison.unlike(differ)
    if json:
        sides = {"spec": differ, "results": came}
        found = {
            part: {key: {"one": a, "other": b} for key, a, b in rows}
            for part, rows in sides.items()
        }
        print_json({"one": one, "other": other, "unlike": unlike, **found})
        return
    if differ:
        console.print(_side_by_side("In what the specs differ", one, other, differ))
    else:
        console.print("The specs say the same.")
    console.print(_side_by_side("What came of each", one, other, came))
    if unlike:
        keys = ", ".join(unlike)
        console.print(f"Reaches do not mean the same: they differ in {keys}", style="yellow")


def _side(folder: SearchFolder) -> Side:
    from search.disk.certificates import certified_words
    from search.disk.ledger import Ledger
    from search.results.review.comparison import Side

    spec, ledger = folder.outline(), Ledger(folder)
    show_complaints(ledger.warnings)
    records = list(ledger.records.values())
    return Side(folder.name, spec, records, certified_words(folder.path))


def _side_by_side(title: str, one: str, other: str, rows: Sequence[Row]) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("", one, other):
        table.add_column(name, overflow="fold")
    for key, *values in rows:
        table.add_row(key, *(escape(_shown(value)) for value in values))
    return table


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
