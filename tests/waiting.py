"""How long a test waits for what it has started, and whether it is there."""

import urllib.request

HANGS = 1200.0
"""Seconds after which something hangs. A test waits for what happens, never for a time: it passes
however busy the machine is, and this only ends it where nothing happens at all."""


def answers(port: int) -> bool:
    """Whether MLflow's server on this port is up."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=20) as response:
            return bool(response.status == 200)
    except OSError:
        return False
