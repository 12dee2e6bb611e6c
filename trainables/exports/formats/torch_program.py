"""``torch``: a program of torch's operators, which PyTorch alone loads and runs."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import torch
from torch.export import ExportedProgram

from trainables.exports.formats.format import Answer, Format


class TorchProgram(Format):
    """``torch.export.load("model.pt2").module()`` takes inputs and scored steps."""

    file = "model.pt2"

    def write(self, traced: ExportedProgram, about: Mapping[str, str]) -> bytes:
        """As `torch.export.save`, with ``about`` as an extra file ``about.json``."""
        file = io.BytesIO()
        extra = {"about.json": json.dumps(about)}
        torch.export.save(traced, file, extra_files=extra)
        return file.getvalue()

    def open(self, content: bytes) -> Answer:
        """As `torch.export.load`."""
        return torch.export.load(io.BytesIO(content)).module()
