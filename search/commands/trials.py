"""``trials``: every trial of a search, one a line."""

from __future__ import annotations

from typing import Annotated

import typer

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
    from search.results.trial_lines import SORTS, ordered, trial_lines

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
        from search.results.review.tables import of_search

        table = of_search(found, spec, certified)
        by_number = table.set_index("trial", drop=False).loc[[r.number for r in chosen]]
        print_json(by_number.astype(object).where(by_number.notna(), None).to_dict("records"))
        return
    console.print(trial_lines(chosen, sort, spec.ladder))
    if len(chosen) < len(found):
        console.print(f"{len(chosen)} of {len(found)}; --all shows the others", highlight=False)
    show_complaints(ledger.warnings)
