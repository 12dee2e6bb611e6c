"""Which versions measured something."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
"""Where the packages of this code lie."""

PACKAGES = ("longspan", "torch", "ray", "optuna", "mlflow", "pyarrow", "numpy")


def versions() -> dict[str, str]:
    """Python's and the packages' versions, the machine, and the commit where there is one."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a checkout that was not installed
            found[package] = "not installed"
    commit = git_commit()
    return {**found, "commit": commit} if commit else found


def git_commit() -> str | None:
    """The commit that this code was checked out at, if it was.

    Code that was installed somewhere below another's repository was not.
    """
    try:
        found = subprocess.run(
            ["git", "-C", str(CHECKOUT), "rev-parse", "--show-toplevel", "HEAD"],
            capture_output=True, text=True, check=True, timeout=5,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    top, commit = found.stdout.splitlines()
    return commit if Path(top).resolve() == CHECKOUT.resolve() else None
