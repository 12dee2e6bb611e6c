"""What a cluster's head knows of itself: that it is one, and how its MLflow is reached."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from trainables.files.whole_files import make_secret

PORT = 5000
"""Of MLflow, on the head alone."""

USER = "longspan"


def home() -> Path:
    """The folder of what only this machine knows; nobody else may look in."""
    folder = Path("~/.longspan").expanduser()
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def on_cluster() -> bool:
    """Whether this is a cluster's head, where searches join the cluster."""
    return os.environ.get("LONGSPAN_RAY") == "cluster"


def tracking_environment() -> dict[str, str]:
    """What makes an MLflow client of this machine write to the head's server."""
    return {
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{PORT}",
        "MLFLOW_TRACKING_USERNAME": USER,
        "MLFLOW_TRACKING_PASSWORD": secret("mlflow_password"),
    }


def secret(name: str) -> str:
    """A secret of this machine, made when it is first asked for."""
    path = home() / name
    make_secret(path, secrets.token_urlsafe(24).encode())
    return path.read_text(encoding="utf-8")
