"""``export``, ``verify``: taking the best away, and proving it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from json import loads
from pathlib import Path
from typing import Annotated, Any

import typer

from search.commands import (
    EXIT_CLAIM_FAILS,
    RUNS,
    ClusterFile,
    Json,
    Name,
    OtherData,
    Plugins,
    Runs,
    WithoutDamaged,
    console,
    print_json,
)
from search.disk.folder import SearchFolder
from search.errors import UserError

ALL = 10**7
"""Trials, where no number is asked for."""


def export(
    name: Name,
    to: Annotated[Path, typer.Option(help="Folder to export to.", metavar="DIR")],
    top: Annotated[
        int | None, typer.Option(min=1, help="How many of the best trials.", show_default="1")
    ] = None,
    trial: Annotated[int | None, typer.Option(min=0, help="This trial, by its number.")] = None,
    certified: Annotated[
        bool, typer.Option("--certified", help="Only what a certificate claims a lag of.")
    ] = False,
    pareto: Annotated[
        bool,
        typer.Option(
            "--pareto",
            help="Those that no other beats in all of the spec's objectives; all of them.",
        ),
    ] = False,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="Also a file for another runtime: torch or onnx; may be given twice.",
            metavar="FORMAT",
        ),
    ] = None,
    register: Annotated[
        str | None,
        typer.Option(help="Register them in MLflow, as versions of this model.", metavar="MODEL"),
    ] = None,
    without_damaged: WithoutDamaged = False,
    runs: Runs = RUNS,
    cluster: ClusterFile = None,
) -> None:
    """Export the best configurations: weights, configuration, card."""
    if top is not None and trial is not None:
        raise UserError(f"--top: {top} is not allowed together with --trial {trial}")
    if pareto and trial is not None:
        raise UserError(f"--pareto: is not allowed together with --trial {trial}")
    folder = SearchFolder(runs, name)
    options = {"top": top, "trial": trial, "certified": certified, "format": formats}
    options |= {"pareto": pareto, "without-damaged": without_damaged}
    if cluster is None:
        targets = _here(folder, options, to, register)
    else:
        targets = _from(cluster, folder.name, options, to, register)
    for target in targets:
        console.print(f"{target}", highlight=False, soft_wrap=True)
    console.print(
        f"Next: read CARD.md there, and measure the claim again: {next_command(targets)}",
        highlight=False,
        soft_wrap=True,
    )


def _here(
    folder: SearchFolder, options: dict[str, Any], to: Path, register: str | None
) -> list[Path]:
    from search.results.export import Wanted
    from search.results.export import export as export_wanted

    spec = folder.look()
    formats = tuple(dict.fromkeys(options["format"] or ()))
    wanted = Wanted(
        options["top"] or (ALL if options["pareto"] else 1),
        options["trial"],
        options["certified"],
        formats,
        options["without-damaged"],
        options["pareto"],
    )
    targets = export_wanted(folder, spec, wanted, to)
    if register:
        from search.recording.logged_model import publish

        for target, version in zip(targets, publish(spec, folder, targets, register), strict=True):
            console.print(f"{target.name}: version {version} of the registered model {register}")
    return targets


def next_command(targets: Sequence[Path]) -> str:
    """The command that measures what was exported again; what is the user's own is to be given."""
    outcomes = [loads((target / "outcome.json").read_text(encoding="utf-8")) for target in targets]
    given = " --data FILE" if any(outcome.get("data") for outcome in outcomes) else ""
    return f"longspan verify FOLDER{given}"


def _from(
    cluster: Path, name: str, options: dict[str, Any], to: Path, register: str | None
) -> list[Path]:
    from search.cluster.connection import Cluster
    from search.cluster.fetching import fetch_export

    return fetch_export(Cluster(cluster), name, options, to, register)


def verify(
    folder: Annotated[Path, typer.Argument(help="An exported folder.", metavar="DIR")],
    data: Annotated[
        str | None,
        typer.Option(help="The task's Parquet file or its address, if it moved.", metavar="FILE"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the fresh sequences; drawn anew without one.")
    ] = None,
    other_data: OtherData = False,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Measure an export's claim again, on fresh sequences, from the weights alone.

    Exits with 1 if it was measured and fails; with 2 if it cannot be measured on this data.
    """
    from search.disk.kept_tasks import require_data
    from search.spec.trying import try_imports
    from trainables.exports import exported
    from trainables.measure.reliability import CONFIDENCE
    from trainables.models import kernels
    from trainables.plugins import load_plugins

    seed = int.from_bytes(os.urandom(4), "big") if seed is None else seed
    try:
        folders = [Path.cwd()] if plugin else []
        try_imports(plugin or (), folders)
        load_plugins(plugin or (), folders)
        claim = exported.read(folder)
        task = exported.task_to_verify(claim, data)
        differs = require_data(task.config.kind, claim.data, task.data, other_data)
        tally = exported.measure(claim, seed, task)
    except ValueError as error:
        raise UserError(str(error)) from None
    trained_by, here = claim.outcome.get("kernels"), kernels.describe()
    bound = tally.lower_bound(CONFIDENCE)
    holds = bound >= claim.success
    remarks = [
        None
        if claim.checked
        else f"{folder} has no SHA256SUMS: its claim and configuration are not checked",
        f"On other data than was measured: {differs}" if differs else None,
        f"Trained by other kernels ({trained_by}) than measured by ({here})"
        if trained_by and trained_by != here
        else None,
    ]
    remarks = [remark for remark in remarks if remark]
    if json:
        print_json(
            {
                "lag": claim.lag,
                "successes": tally.successes,
                "sequences": tally.sequences,
                "lower_bound": bound,
                "confidence": CONFIDENCE,
                "asked_for": claim.success,
                "seed": seed,
                "holds": holds,
                "remarks": remarks,
            }
        )
    else:
        for remark in remarks:
            console.print(remark, soft_wrap=True)
        console.print(
            f"lag {claim.lag}: {tally.successes} of {tally.sequences} fresh sequences right "
            f"({tally.rate:.1%}, 95 % lower bound {bound:.1%}; asked for {claim.success:.0%}; "
            f"seed {seed}): the claim {'holds' if holds else 'FAILS'}",
            soft_wrap=True,
        )
    if not holds:
        raise typer.Exit(EXIT_CLAIM_FAILS)
