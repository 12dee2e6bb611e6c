"""Bringing exports from the head of a cluster to this machine."""

from __future__ import annotations

import io
import shlex
import shutil
import tarfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.cluster.connection import Cluster
from search.errors import UserError
from trainables.messages import one_line


def fetch_export(
    cluster: Cluster,
    name: str,
    options: Mapping[str, Any],
    to: Path,
    register: str | None = None,
) -> list[Path]:
    """Export on the head, by the command's ``options``, and take the folders from there.

    Raises:
        UserError: what the head refuses, or if something is in the way at ``to``.
    """
    export = f"longspan export {name} --to $there/best"
    for option, value in options.items():
        if value is True:
            export += f" --{option}"
        elif isinstance(value, list):
            export += "".join(f" --{option} {shlex.quote(each)}" for each in value)
        elif value is not None and value is not False:
            export += f" --{option} {value}"
    export += f" --register {shlex.quote(register)}" if register else ""
    command = f"there=$(mktemp -d); {export} >/dev/null"
    command += " && tar -C $there/best -cf - . ; code=$?; rm -rf $there; exit $code"
    done = cluster.run("bash", "-c", command, capture_output=True)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise UserError((said or ["the head did not answer"])[-1].removeprefix("longspan: "))
    to.mkdir(parents=True, exist_ok=True)
    aside = to / f".{uuid.uuid4().hex}"
    try:
        _unpack(done.stdout, aside)
        folders = sorted(aside.iterdir())
        for folder in folders:
            if (to / folder.name).exists():
                raise UserError(f"--to: {to / folder.name} is there already; give another folder")
        return [folder.rename(to / folder.name) for folder in folders]
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _unpack(content: bytes, folder: Path) -> None:
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(folder, filter="data")  # refuses what leads out of the folder
    except tarfile.TarError as error:
        reason = one_line(error)
        raise UserError(f"--cluster: the head's archive is refused: {reason}") from None
