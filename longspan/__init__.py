"""Longspan from Python: run a search, open one, load what it found.

::

    import longspan

    found = longspan.search("spec.yaml")  # or a mapping; as `longspan search` does
    found = longspan.open("quickstart")   # one that ran, or is running
    found.trials                          # a row a trial, best first, parameters as columns
    found.figure("forgetting_curves").show()
    model = longspan.load("best/1-trial-00000")

What can be put right is a `UserError` of one line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longspan.hiding import require_our_own

require_our_own()

from search.errors import UserError  # noqa: E402  # not before it is known to be ours

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    import pyarrow as pa

    from search.disk.ledger import Ledger
    from search.disk.record import Record
    from search.spec import Spec
    from trainables.exports.predicting import Predictor

__all__ = ["Search", "UserError", "load", "open", "search"]

RUNS = Path("runs")


def search(
    spec: str | Path | Mapping[str, Any],
    *,
    runs: str | Path = RUNS,
    name: str | None = None,
    trials: int | None = None,
    seed: int | None = None,
) -> Search:
    """Run a search to its end, as ``longspan search`` does; Ctrl-C ends it and loses nothing.

    Args:
        spec: a YAML file, or what stands in one; paths in a mapping count from here
        runs: folder under which every search has its own
        name: in place of the spec's
        trials: in place of the spec's
        seed: in place of the spec's

    Raises:
        UserError: in one line, if something of it can be put right.
    """
    from search import spec as specs
    from search.commands import console
    from search.commands.searching import begin, overridden
    from search.results.live_table import Display
    from search.run import run_search

    chosen = specs.read(Path(spec)) if isinstance(spec, str | Path) else specs.take(spec)
    chosen = overridden(chosen, name, trials, seed)
    folder = begin(chosen, Path(runs))
    run_search(chosen, folder, Display(console, chosen))
    return Search(folder.name, folder.runs)


def open(name: str, runs: str | Path = RUNS) -> Search:
    """A search that ran, runs or was cut off.

    Raises:
        UserError: in one line, if there is none of that name.
    """
    return Search(name, runs)


def load(folder: str | Path, plugins: Sequence[str] = ()) -> Predictor:
    """The model in an exported folder, with ``predict``; see `trainables.load`."""
    import trainables

    return trainables.load(folder, plugins)


class Search:
    """A search on disk. Each look reads it anew, so one that runs is seen as it goes on.

    Raises:
        UserError: in one line, if there is none of that name.
    """

    def __init__(self, name: str, runs: str | Path = RUNS) -> None:
        from search.disk.folder import SearchFolder

        self._folder = SearchFolder(Path(runs), name)
        self._folder.look()

    def __repr__(self) -> str:
        return f"<longspan search {self.name!r}: {self.state}, {self._ledger.ended} trials ended>"

    @property
    def _ledger(self) -> Ledger:
        from search.disk.ledger import Ledger

        return Ledger(self._folder)

    @property
    def name(self) -> str:
        """The search's name."""
        return self._folder.name

    @property
    def path(self) -> Path:
        """The search's folder."""
        return self._folder.path

    @property
    def spec(self) -> Spec:
        """The spec, as it runs."""
        return self._folder.look()

    @property
    def state(self) -> str:
        """``running``, ``finished`` or ``stopped``."""
        return self._ledger.state(self.spec.search.trials)

    @property
    def damaged(self) -> list[str]:
        """One line for each trial whose record cannot be read, and which so has no place."""
        return self._ledger.unreadable

    @property
    def records(self) -> list[Record]:
        """What is known of every trial, by number."""
        return list(self._ledger.records.values())

    @property
    def best(self) -> Record | None:
        """The trial on top of the leaderboard; None where none has passed a rung."""
        from search.disk.certificates import certified_words, claimed
        from search.disk.ranking import rank

        ranked = rank(self.records, claimed(certified_words(self.path)))
        return next((record for record in ranked if record.reach > 0), None)

    @property
    def trials(self) -> pd.DataFrame:
        """A row a trial, best first: what was measured, then the space's parameters."""
        from search.disk.certificates import certified_words
        from search.results.review import tables

        return tables.of_search(self.records, self.spec, certified_words(self.path))

    @property
    def outcomes(self) -> pa.Table:
        """A row a trial, task, lag and member, as they lie in Parquet under ``outcomes``."""
        from search.disk import outcomes

        return outcomes.read(self._folder.outcomes)

    @property
    def forgetting_curves(self) -> pd.DataFrame:
        """A row a trial, task and lag: how many of how many sequences were right."""
        from search.results.review import tables

        return tables.forgetting_curves(self.records)

    def figure(self, kind: str, of: str | int | None = None, top: int = 6) -> go.Figure:
        """A picture by plotly.

        Args:
            kind: ``forgetting_curves``, ``reach_over_time``, ``importance``, ``reach_by_choice``,
                ``pareto``, ``members_by_rung`` or ``ends``
            of: for ``reach_by_choice`` the parameter, for ``members_by_rung`` the trial's number;
                without one, what carries most, and the best trial
            top: so many curves

        Raises:
            UserError: in one line, if there is no such kind, parameter or trial.
        """
        from search.results.review import figures

        return figures.figure(kind, self.records, self.spec, of, top)

    def report(self, to: str | Path) -> Path:
        """Write the search's page, one HTML file that needs no network."""
        from search.disk.certificates import certificates
        from search.results.review.page import page

        decided = list(certificates(self.path))
        html = page(self._folder, self.spec, self._ledger, decided)
        Path(to).write_text(html, encoding="utf-8")
        return Path(to)

    def export(
        self,
        to: str | Path,
        top: int = 1,
        formats: Sequence[str] = (),
        without_damaged: bool = False,
    ) -> list[Path]:
        """Export the best, as ``longspan export`` does; the folders.

        Args:
            to: folder to export to
            top: how many of the best
            formats: ``torch``, ``onnx``: files for other runtimes besides
            without_damaged: the best of the others, where records of trials cannot be read

        Raises:
            UserError: as the command.
        """
        from search.results.export import Wanted, export

        wanted = Wanted(top=top, formats=tuple(formats), without_damaged=without_damaged)
        return export(self._folder, self.spec, wanted, Path(to))
