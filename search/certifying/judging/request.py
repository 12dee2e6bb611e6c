"""What is to be judged, and what may come of it; plain, for it crosses to another process."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from trainables.parts import Config

VERDICTS = {"holds": 0, "fails": 1, "bad input": 2, "refused": 3, "limit": 4, "error": 5}
"""What may come of a layer, and the exit code that says so."""

OF_THE_LAYER = "layer"
"""The stage from which on time is the layer's: its module is imported. The task was read before."""

LEAST_MEMORY = 1.0
"""GiB: what Python and torch take before there is a model is some of it."""

OWN_MEMORY = 0.5
"""GiB of it, which no training step has."""


class Request(Config):
    """One layer, and what it is put through.

    Attributes:
        layer: the kind of a shipped layer, or one of a module's as ``MODULE:LAYER``, by its kind
            or its class's name
        import_from: folders where the module is looked for besides where Python does
        settings: the rest of the configuration: values by path, as a space names them
        spec: one with the task, the ladder and the certificate, as a spec file has it
        origin: the file that it comes from, which its paths count from
        certify: whether fresh members are tried once something is reached
        seconds: wall time from when its module is imported
        memory: GiB of the process
        folder: where it may write, and nobody else does
    """

    layer: str
    import_from: list[str] = []
    settings: dict[str, Any] = {}
    spec: dict[str, Any]
    origin: str
    certify: bool = True
    seconds: float = Field(default=600, gt=0)
    memory: float = Field(default=8, ge=LEAST_MEMORY, le=10**6)
    folder: str = ""
