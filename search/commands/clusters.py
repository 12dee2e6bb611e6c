"""What is of clusters alone: ``logs`` and others; and what other commands do with ``--cluster``."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from search.commands import Name, console, pasted
from search.errors import UserError
from trainables.messages import one_line

if TYPE_CHECKING:
    from search.spec import Spec

Required = Annotated[
    Path,
    typer.Option("--cluster", help="The file that `ray up` was given.", metavar="CLUSTER.YAML"),
]

FILES_SHOWN = 100


def logs(
    name: Name,
    cluster: Required,
    follow: Annotated[bool, typer.Option(help="Go on until the search ends, or Ctrl-C.")] = False,
) -> None:
    """Show what a search on a cluster has written."""
    from search.cluster.connection import Cluster
    from search.cluster.jobs import find_job
    from search.cluster.jobs import follow as followed

    with Cluster(cluster).jobs() as client:
        job = find_job(client, name)
        for said in followed(client, job) if follow else [client.get_job_logs(job)]:
            console.print(said, end="", highlight=False, markup=False, soft_wrap=True)


def stop(name: Name, cluster: Required) -> None:
    """Stop a search on a cluster, as Ctrl-C does; `longspan resume` goes on with it."""
    from search.cluster.connection import Cluster
    from search.cluster.jobs import find_job
    from search.cluster.jobs import stop as stop_job

    with Cluster(cluster).jobs() as client:
        running = stop_job(client, find_job(client, name))
    console.print(
        f"Stopped. Go on with: longspan resume {name} --cluster {pasted(cluster)}"
        if running
        else f"{name} was not running",
        soft_wrap=True,
    )


def on_premises(
    cluster: Annotated[
        Path, typer.Argument(help="The cluster file for the cloud.", metavar="CLUSTER.YAML")
    ],
    head: Annotated[str, typer.Option(help="The head's address.", metavar="IP")],
    worker: Annotated[list[str], typer.Option(help="A worker's; once for each.", metavar="IP")],
    user: Annotated[str, typer.Option(help="Who logs in there by ssh.")],
    key: Annotated[
        Path | None, typer.Option(help="The private key to log in with.", metavar="FILE")
    ] = None,
) -> None:
    """Print the cluster file for machines of your own, made from the one for the cloud."""
    from search.cluster.on_premises import on_premises as derive

    try:
        cloud = yaml.safe_load(cluster.read_text(encoding="utf-8"))
        derived = derive(cloud, head, worker, user, str(key.absolute()) if key else None)
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        reason = one_line(error)
        raise UserError(f"{cluster}: not a cluster file for the cloud: {reason}") from None
    typer.echo(yaml.safe_dump(derived, sort_keys=False, width=1000), nl=False)


def security_group(
    cluster: Annotated[
        Path, typer.Argument(help="The cluster file for the cloud.", metavar="CLUSTER.YAML")
    ],
) -> None:
    """Make the group that lets in whom the cluster file names, and bring it up to date.

    Before the first `ray up`, and where your address has changed.
    """
    from search.cluster.security_group import lay

    group, addresses = lay(cluster)
    console.print(
        f"{group} lets in {', '.join(addresses)}, and its own machines to each other",
        highlight=False,
        soft_wrap=True,
    )
    if group not in cluster.read_text(encoding="utf-8"):
        console.print(
            f"Put it into {cluster}: SecurityGroupIds: \\[{group}]", highlight=False, soft_wrap=True
        )


def submit(cluster: Path, spec: Spec) -> None:
    """Start a search on a cluster."""
    from search.cluster.connection import Cluster
    from search.cluster.jobs import submit_search

    console.print(f"Submitting {spec.name}; it may take a minute until it runs", soft_wrap=True)
    submit_search(Cluster(cluster), spec, _show_what_travels)
    _say_it_runs(cluster, spec.name)


def _show_what_travels(files: list[tuple[str, int]]) -> None:
    size = sum(count for _, count in files)
    console.print(
        f"What travels: spec.yaml and {len(files)} more files, {size / 2**20:,.2f} MiB",
        highlight=False,
    )
    for name, count in files[:FILES_SHOWN]:
        console.print(f"  {name}  {count:,} bytes", highlight=False, markup=False, soft_wrap=True)
    if len(files) > FILES_SHOWN:
        console.print(f"  and {len(files) - FILES_SHOWN:,} more", highlight=False)


def submit_again(cluster: Path, name: str, options: Mapping[str, float | None]) -> None:
    """Go on with a search on a cluster, as ``resume`` does here with these options."""
    from search.cluster.connection import Cluster
    from search.cluster.jobs import submit_resume

    chosen = [f"{key}={value}" for key, value in options.items() if value is not None]
    submit_resume(Cluster(cluster), name, chosen)
    _say_it_runs(cluster, name)


def _say_it_runs(cluster: Path, name: str) -> None:
    at = f"{name} --cluster {pasted(cluster)}"
    console.print(
        f"{name} runs on the cluster, whether this machine stays on or not. Next:\n"
        f"  longspan status {at}\n"
        f"  longspan logs {at} --follow\n"
        f"  longspan stop {at}\n"
        f"  longspan ui --cluster {pasted(cluster)}\n"
        f"  longspan export {at} --top 3 --to best",
        highlight=False,
        soft_wrap=True,
    )


def on_head(cluster: Path, *arguments: str) -> int:
    """Run ``longspan`` on a cluster's head; its exit code."""
    from search.cluster.connection import Cluster

    return (
        Cluster(cluster).run("env", f"COLUMNS={console.width}", "longspan", *arguments).returncode
    )


def review(cluster: Path, port: int) -> None:
    """Keep a tunnel to the MLflow of a cluster open until Ctrl-C."""
    from search.cluster.connection import Cluster
    from search.cluster.head_node import PORT, USER

    link = Cluster(cluster)
    secret = link.run("cat", ".longspan/mlflow_password", capture_output=True, text=True)
    with link.tunnel(PORT, port), contextlib.suppress(KeyboardInterrupt):
        console.print(f"MLflow: http://127.0.0.1:{port} (Ctrl-C ends it)")
        console.print(f"Sign in as {USER}; the password is in ~/.longspan/mlflow_password there")
        if console.is_terminal:
            console.print(f"It is {secret.stdout}", highlight=False, markup=False)
        while True:
            time.sleep(3600)
