"""``judge``: what one layer is worth, whoever wrote it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from search.commands import EXIT_USER_ERROR, Json, console, print_json
from search.errors import UserError
from search.spec.yaml_files import load_yaml, parse_yaml

HERE = Path("--task")
"""Stands for the file of a task that is in none: its paths count from the current folder."""


def judge(
    layer: Annotated[
        str,
        typer.Argument(
            help="A shipped layer's kind, or one in the LAYERS of a module of your own.",
            metavar="LAYER|MODULE:LAYER",
        ),
    ],
    task: Annotated[
        str,
        typer.Option(
            help="A task's kind, a mapping as in a spec, or a YAML file: a task, or a spec.",
            metavar="KIND|FILE",
        ),
    ],
    stop: Annotated[
        int | None, typer.Option(help="The longest lag.", show_default="the file's, or 4096")
    ] = None,
    start: Annotated[
        int | None, typer.Option(help="The shortest lag.", show_default="the file's, or 8")
    ] = None,
    members: Annotated[
        int | None,
        typer.Option(
            help="Copies, all of which must solve a rung.", show_default="the file's, or 3"
        ),
    ] = None,
    sequences: Annotated[
        int | None,
        typer.Option(
            help="Most training sequences of a rung.", show_default="the file's, or 50000"
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="The rest of the configuration, as `model/hidden_size=32`. May be repeated.",
            metavar="PATH=VALUE",
        ),
    ] = None,
    certify: Annotated[bool, typer.Option(help="Try fresh members of what has a reach.")] = True,
    seconds: Annotated[
        float, typer.Option(help="Wall time, from the import of its module on.")
    ] = 600,
    memory: Annotated[float, typer.Option(help="Of its process, in GiB.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="All that is random derives from it.")] = 0,
    json: Json = False,
) -> None:
    """Judge one layer by its probe, its ladder and its certificate, in a process with limits.

    Exits with 0 if it has a reach, and a certificate where that is asked for; 1 if it has none;
    2 if something named is not as it should be; 3 if the layer breaks what every layer promises;
    4 if it ran past a limit; 5 if its own code failed.
    """
    from pydantic import ValidationError

    from search.certifying.judging.process import judge as judged
    from search.certifying.judging.request import OWN_MEMORY, Request
    from trainables.messages import one_line

    try:
        origin, spec = _spec_of(task)
        ladder = {"start": start, "stop": stop, "members": members, "quorum": members,
                  "sequences": sequences}  # fmt: skip
        spec["ladder"] |= {key: value for key, value in ladder.items() if value is not None}
        spec["search"] = {"seed": seed}
        spec["resources"] = {"cpus": 1, "memory": max(OWN_MEMORY, memory - OWN_MEMORY)}
        request = Request(
            layer=layer,
            import_from=list(dict.fromkeys([str(origin.parent.absolute()), str(Path.cwd())])),
            settings=_set(settings or []),
            spec=spec,
            origin=str(origin),
            certify=certify,
            seconds=seconds,
            memory=memory,
        )
        found = judged(request)
    except ValidationError as error:
        found = _bad_input(layer, f"--{one_line(error)}")
    except UserError as error:
        found = _bad_input(layer, str(error))
    if json:
        print_json(found)
    if found["exit_code"] == EXIT_USER_ERROR:
        raise UserError(found["reason"])
    if not json:
        _show(found)
    raise typer.Exit(found["exit_code"])


def _bad_input(layer: str, reason: str) -> dict[str, Any]:
    return {"verdict": "bad input", "exit_code": EXIT_USER_ERROR, "reason": reason, "layer": layer}


def _spec_of(task: str) -> tuple[Path, dict[str, Any]]:
    """The file that a task comes from, and a spec of it alone.

    Raises:
        UserError: in one line, if it is neither a task nor a spec of one.
    """
    origin = HERE
    content: dict[str, Any] = {"kind": task}
    if task.lstrip().startswith("{"):
        content = parse_yaml(task, HERE, "a task")
    elif os.sep in task or task.endswith((".yaml", ".yml")):
        origin = Path(task)
        content = load_yaml(origin, "a task or a spec")
    if "tasks" not in content:
        content = {"tasks": [content]}
    tasks = content["tasks"]
    if not isinstance(tasks, list) or len(tasks) != 1:
        raise UserError(f"{origin}: tasks: a layer is judged on one task; it needs a list of one")
    ladder: Any = content.get("ladder") or {}
    if not isinstance(ladder, Mapping):
        raise UserError(f"{origin}: ladder: {ladder!r} is no mapping")
    spec = {"name": "judge", "space": "everything", "tasks": tasks, "ladder": dict(ladder)}
    kept = ("plugins", "import_from", "certify")
    return origin, spec | {key: content[key] for key in kept if key in content}


def _set(settings: Sequence[str]) -> dict[str, Any]:
    """Values by their paths."""
    found: dict[str, Any] = {}
    for setting in settings:
        path, equals, value = setting.partition("=")
        if not equals or not path:
            raise UserError(f"--set: {setting!r} is not allowed; PATH=VALUE, as depth=2")
        if path in found:
            raise UserError(f"--set: {path} stands there twice")
        found |= {path: parse_yaml(f"value: {value}", Path("--set"), "a value")["value"]}
    return found


def _show(found: Mapping[str, Any]) -> None:
    certificate = found.get("certificate")
    if found.get("rungs"):
        table = Table("lag", "solved", "tried", "", title=f"{found['layer']}: {found['verdict']}")
        for rung in found["rungs"]:
            word = "passed" if rung["passed"] else "failed" if found["ended_by"] else "open"
            table.add_row(str(rung["lag"]), str(rung["solved"]), str(rung["tried"]), word)
        console.print(table)
    else:
        console.print(f"{found['layer']}: {found['verdict']}", highlight=False, soft_wrap=True)
    if found["reason"]:
        console.print(found["reason"], highlight=False, markup=False, soft_wrap=True)
    if certificate:
        console.print(certificate["claim"], highlight=False, markup=False, soft_wrap=True)
