"""MLflow is kept up to date with the ledger, off the search's path.

A thread of the driver sends what is new, in batches. The ledger is the spool: after any failure the
runs are looked up again, and whatever the server does not hold (it was away, it died before it
answered, its database was replaced) is sent from the records. Nothing else waits in memory: the
queue holds at most the newest record of each trial.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from search.cluster.head_node import on_cluster
from search.disk.folder import SearchFolder
from search.disk.record import Record
from search.recording.parent.place import replace_damaged
from search.spec import Spec
from trainables.messages import one_line

if TYPE_CHECKING:
    from search.recording.tracker import Tracker

log = logging.getLogger(__name__)

SECONDS_BETWEEN_UPDATES = 5.0
SECONDS_BEFORE_RETRY = 15.0
SECONDS_BEFORE_CLOSING_AGAIN = 1.0
CLOSING_ATTEMPTS = 2
CLOSING_ATTEMPTS_ON_CLUSTER = 60
"""The head's server is started again when it dies, and nobody is there to resume the search."""


def send_certificates_of(spec: Spec, folder: SearchFolder) -> str | None:
    """Send the certificates of a search that this process holds, and nothing else of it.

    Returns:
        None, or one line that says what could not be sent and what to do
    """
    from search.recording.tracker import Tracker

    replace_damaged(spec, folder)
    tracker = Tracker(spec, folder)
    return _with_patience(tracker, tracker.send_certificates)


def _with_patience(tracker: Tracker, send: Callable[[], None]) -> str | None:
    """Try a few times; None, or one line that says what could not be sent and what to do."""
    attempts = CLOSING_ATTEMPTS_ON_CLUSTER if on_cluster() else CLOSING_ATTEMPTS
    for attempt in range(attempts):
        try:
            send()
            return None
        except Exception as error:
            tracker.disconnect()
            reason = one_line(error, 200)
            if attempt < attempts - 1:
                time.sleep(SECONDS_BEFORE_CLOSING_AGAIN)
    return (
        f"MLflow at {tracker.uri} is behind: {reason}. Nothing is lost: "
        f"`{tracker.goes_on}` sends what is missing"
    )


class Recorder:
    """Keeps MLflow up to date with a ledger; give it to the ledger as a listener."""

    def __init__(self, spec: Spec, folder: SearchFolder) -> None:
        self._spec, self._folder = spec, folder
        self._newest: dict[int, Record] = {}
        self._waiting: set[int] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="recorder", daemon=True)

    @cached_property
    def _tracker(self) -> Tracker:
        """Made in the thread: MLflow takes seconds to import, and Ray to start, side by side."""
        from search.recording.tracker import Tracker

        return Tracker(self._spec, self._folder)

    def __call__(self, record: Record) -> None:
        """Take a record's newest state."""
        with self._lock:
            self._newest[record.number] = record
            self._waiting.add(record.number)

    def start(self, known: Sequence[Record]) -> None:
        """Begin to record, with the trials of earlier runs of the search first."""
        replace_damaged(self._spec, self._folder)
        for record in known:
            self(record)
        self._thread.start()

    def close(
        self, records: Sequence[Record], finished: bool, budget: str | None = None
    ) -> str | None:
        """Send what is left; of a search that ended by a ``budget``, the line that says so.

        Returns:
            None, or one line that says what could not be sent and what to do
        """
        self._closing.set()
        self._thread.join()

        def send() -> None:
            self._send_trials()
            self._tracker.end(records, finished, budget)

        return _with_patience(self._tracker, send)

    def _follow(self) -> None:
        away = False
        while not self._closing.is_set():
            pause = SECONDS_BETWEEN_UPDATES
            try:
                self._send_waiting()
                away = False
            except Exception as error:  # the search goes on; what is waiting is sent later
                if not away:
                    log.warning("MLflow: %s", one_line(error, 200))
                self._tracker.disconnect()
                away, pause = True, SECONDS_BEFORE_RETRY
            self._closing.wait(pause)

    def _send_waiting(self) -> None:
        self._send_trials()
        with self._lock:
            known = list(self._newest.values())
        self._tracker.tell(known)

    def _send_trials(self) -> None:
        if not self._tracker.connected:
            self._tracker.begin()
            with self._lock:  # the server may have been replaced by one that holds nothing
                self._waiting.update(self._newest)
        with self._lock:
            numbers = sorted(self._waiting)
        for number in numbers:
            with self._lock:
                record = self._newest[number]
                self._waiting.discard(number)
            self._tracker.send(record)
