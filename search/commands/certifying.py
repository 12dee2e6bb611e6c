"""``certify``: what may be claimed of the best, on members that the search never used."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from search.commands import (
    EXIT_CLAIM_FAILS,
    EXIT_INTERRUPTED,
    RUNS,
    Json,
    OtherData,
    Runs,
    WithoutDamaged,
    console,
    options_of,
    pasted,
    print_json,
)
from search.disk.folder import SearchFolder
from search.errors import UserError


def certify(
    what: Annotated[
        str,
        typer.Argument(help="A search's name, or an exported folder.", metavar="NAME|DIR"),
    ],
    top: Annotated[
        int | None, typer.Option(help="How many of the best share the error.", show_default="1")
    ] = None,
    reliability: Annotated[
        float | None,
        typer.Option(help="Probability of learning to be shown.", show_default="0.8"),
    ] = None,
    confidence: Annotated[
        float | None, typer.Option(help="Of all claims together.", show_default="0.95")
    ] = None,
    failures: Annotated[
        int | None, typer.Option(help="Members that may fail.", show_default="1")
    ] = None,
    to: Annotated[
        int | None,
        typer.Option(help="The longest lag to try.", show_default="the search's estimate"),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the fresh members; another gives others.")
    ] = 0,
    cpus: Annotated[
        float | None, typer.Option(help="Of one member.", show_default="the spec's, or 1")
    ] = None,
    gpus: Annotated[
        float | None, typer.Option(help="Of one member.", show_default="the spec's, or 0")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="The task's Parquet file or its address, if it moved; for a folder.",
            metavar="FILE",
        ),
    ] = None,
    other_data: OtherData = False,
    without_damaged: WithoutDamaged = False,
    runs: Runs = RUNS,
    json: Json = False,
) -> None:
    """Certify the longest lag that fresh members of the best configurations reliably learn.

    Goes on where it was cut off. Exits with 1 if nothing could be certified.
    """
    from search import certify as certifying
    from search import spec as specs
    from search.certifying.live_table import Display
    from search.spec import CertifyConfig, ResourcesConfig

    plan = {
        "top": top, "reliability": reliability, "confidence": confidence, "failures": failures,
        "to": to,
    }  # fmt: skip
    needs = {"cpus": cpus, "gpus": gpus}
    display = Display(Console(stderr=True) if json else console)
    exported = _is_folder(what, runs)
    if exported:
        if top is not None:
            raise UserError(f"--top: {top} is not allowed; a folder holds one configuration")
        config = _overridden(CertifyConfig(), plan)
        resources = _overridden(ResourcesConfig(), needs)
        done = certifying.certify_export(
            Path(what), data, config, resources, seed, display, other_data
        )
    else:
        folder = SearchFolder(runs, what)
        folder.require()
        if data is not None:
            raise UserError(f"--data: {data} is not allowed; the spec of {what!r} names its own")
        spec = specs.read(folder.spec)
        config = _overridden(spec.certify, plan)
        resources = _overridden(spec.resources, needs)
        done = certifying.certify_search(
            spec, folder, config, resources, seed, display, other_data, without_damaged
        )
    if json:
        _print(done)
    else:
        _conclude(what, exported, seed, runs, done)
    if not done.finished:
        raise typer.Exit(EXIT_INTERRUPTED)
    if not any(found["lag"] for found in done.certificates):
        raise typer.Exit(EXIT_CLAIM_FAILS)


def _is_folder(what: str, runs: Path) -> bool:
    if (Path(what) / "outcome.json").exists():
        return True
    if "/" in what or (Path(what).is_dir() and not (runs / what).exists()):
        raise UserError(f"{what}: not an exported folder, and no search's name; there is no "
                        "outcome.json in it")  # fmt: skip
    return False


def _overridden(config: Any, options: dict[str, Any]) -> Any:
    """The configuration with the options that were given in place of its own."""
    from pydantic import ValidationError

    from trainables.messages import one_line

    given = {name: value for name, value in options.items() if value is not None}
    try:
        return type(config).model_validate({**config.model_dump(), **given})
    except ValidationError as error:
        raise UserError(f"--{one_line(error)}") from None


def _conclude(what: str, exported: bool, seed: int, runs: Path, done: Any) -> None:
    from search.certifying.store import stores

    at, named = ("", pasted(Path(what))) if exported else (options_of(runs), what)
    again = f"longspan certify {named}{at} --seed"
    if done.behind:
        console.print(done.behind, style="yellow")
    if not done.finished:
        console.print(f"Stopped. Go on with: {again} {seed}", highlight=False, soft_wrap=True)
        return
    console.print(certificate_table(done.certificates))
    next_step = (
        f"Next: read {Path(what) / 'CERTIFICATE.md'}"
        if exported
        else f"Next: longspan export {what} --to best{at}   the certificate goes along"
    )
    root = Path(what) if exported else SearchFolder(runs, what).path
    unused = 1 + max(store.seed for store in stores(root))
    console.print(f"{next_step}\nOther fresh members: {again} {unused}", highlight=False,
                  soft_wrap=True)  # fmt: skip


def _print(done: Any) -> None:
    if done.behind:
        print(done.behind, file=sys.stderr)
    print_json({"finished": done.finished, "certificates": done.certificates})


def certificate_table(certificates: Any) -> Any:
    """What was certified, a row a candidate."""
    from rich.table import Table

    from trainables.description import describe

    plan = certificates[0]["plan"]
    table = Table(
        title=f"Learned by at least {plan['members'] - plan['failures']} of {plan['members']} fresh"
        f" members: probability at least {plan['reliability']:g}, at {plan['confidence']:g}"
        f" confidence{' for all' if len(certificates) > 1 else ''}",
        title_justify="left",
    )
    for name in ("trial", "task", "reach", "certified"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("learned by lag")
    table.add_column("architecture", overflow="fold")
    for found in certificates:
        counts = ", ".join(f"{r['lag']}: {r['solved']}/{r['tried']}" for r in found["rungs"])
        table.add_row(
            str(found["trial"]), found["task"], str(found["search_reach"]),
            str(found["lag"] or "none"), counts, describe(found["configuration"]),
        )  # fmt: skip
    return table
