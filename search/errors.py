"""What a user can put right, and what the world outside answered: each in one line."""

from __future__ import annotations

import os
import socket
import ssl

from trainables.messages import one_line

NETWORK = (ConnectionError, TimeoutError, socket.gaierror, socket.herror, ssl.SSLError)

CLIENTS = {"aiohttp", "botocore", "grpc", "http", "requests", "urllib", "urllib3"}
"""Packages that speak to other machines; what they raise has classes of their own."""


class UserError(Exception):
    """Something a user can put right, in one line: the key or file, the value, what is allowed."""


def outside(error: Exception) -> str | None:
    """One line for a network or a disk that failed, with its address or path; None for the rest."""
    path = error.filename if isinstance(error, OSError) else None
    if isinstance(path, str | bytes) and "://" not in str(path):
        return f"{os.fsdecode(path)}: {_reason(error)}"
    if _of_network(error):
        address = _address(error)
        return f"network: {address + ': ' if address else ''}{_reason(error)}"
    if isinstance(error, OSError):
        # Arrow's errors have neither path nor number, and say themselves what they were about.
        return f"disk: {_reason(error)}" if error.errno else _reason(error)
    return None


def _of_network(error: Exception) -> bool:
    modules = {cls.__module__.partition(".")[0] for cls in type(error).__mro__}
    return isinstance(error, NETWORK) or bool(modules & CLIENTS)


def _address(error: Exception) -> str | None:
    """The address that was asked, where the error knows it and does not say it."""
    request = getattr(error, "request", None)
    found = [getattr(request, "url", None), getattr(error, "url", None)]
    found += [getattr(error, "filename", None)]
    return next((str(a) for a in found if a and str(a) not in str(error)), None)


def _reason(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and isinstance(error.strerror, str) else ""
    return one_line(said or str(error) or type(error).__name__)
