"""TensorBoard's event files of a search, with HParams, for those who ask for them.

What they hold of a trial follows from its record alone; a trial has a folder, replaced whole.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator

from search.disk.folder import SearchFolder
from search.disk.record import Record
from search.recording.points import Point, final_points, points
from search.spec import Spec

log = logging.getLogger(__name__)

FOLDER = "tensorboard"
"""In a search's folder."""
COMPARED = ("reach", "progress", "training_gflop", "parameters")
"""Metrics that TensorBoard's HParams sets against the parameters."""


class EventFiles:
    """Writes a trial's event files once it has ended; give it to the ledger as a listener.

    A disk that takes nothing more ends no search: it is told once, and not tried again.
    """

    def __init__(self, spec: Spec, folder: SearchFolder) -> None:
        self._spec, self._root = spec, folder.path / FOLDER
        self._writes = spec.tracking.tensorboard

    def start(self, known: Iterable[Record]) -> None:
        """Write what is missing of earlier runs of the search."""
        for record in known:
            if not (self._root / f"{record.number:05d}").exists():
                self(record)

    def __call__(self, record: Record) -> None:
        """Write a trial that has ended."""
        if not (self._writes and record.finished):
            return
        try:
            self._write(record)
        except OSError as error:
            self._writes = False
            log.warning("tracking.tensorboard: %s: %s", self._root, error.strerror or error)

    def _write(self, record: Record) -> None:
        from tensorboardX import SummaryWriter  # seconds to import, and few ask for it
        from tensorboardX.summary import hparams

        folder, aside = (self._root / f"{start}{record.number:05d}" for start in ("", "."))
        shutil.rmtree(aside, ignore_errors=True)
        ended = (record.ended_ms or record.started_ms) / 1000
        found = list(self._points(record))
        last = {point.key: point.value for point in found if point.key in COMPARED}
        with SummaryWriter(str(aside)) as writer:
            for summary in hparams(_plain(record), {key: last.get(key, 0.0) for key in COMPARED}):
                writer.file_writer.add_summary(summary, walltime=ended)
            for point in found:
                writer.add_scalar(point.key, point.value, point.step, ended)
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)

    def _points(self, record: Record) -> Iterator[Point]:
        yield from points(record, self._spec)
        if record.looked_at:
            yield from final_points(record, self._spec)


def _plain(record: Record) -> dict[str, str | float | bool]:
    """The parameters, and how the trial ended; HParams knows words, numbers and truth."""
    plain = {
        key: value if isinstance(value, str | int | float | bool) else str(value)
        for key, value in record.parameters.items()
    }
    return {**plain, "ended by": record.end_text}
