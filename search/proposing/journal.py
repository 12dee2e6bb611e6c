"""Optuna's journal, written by the one process that holds the search."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from trainables.files.whole_files import write_aside


class Journal(BaseJournalBackend):
    """The journal of the one process that writes it: no lock, nothing is read back from disk.

    Nothing is synced either: what a power cut takes of it, the ledger gives back.
    """

    def __init__(self) -> None:
        self._logs: list[dict[str, Any]] = []
        self._first = 0
        self._lines: list[str] = []
        self._path: Path | None = None

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Logs from a number on; those before it are not asked for again."""
        self._logs = self._logs[log_number_from - self._first :]
        self._first = log_number_from
        return iter(self._logs)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self._logs += logs
        self._lines += (json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        if self._path:
            self._flush(self._path)

    def write_to(self, path: Path) -> None:
        """Replace the file at ``path`` by what was logged so far, and go on there."""
        write_aside(path, b"")
        self._path = path
        self._flush(path)

    def _flush(self, path: Path) -> None:
        with path.open("a") as file:
            file.writelines(self._lines)
        self._lines.clear()
