"""What tasks over the user's own rows share: read once, split by their sequences, drawn by lag."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Bool

from trainables.tasks.rows.buckets import DataPath
from trainables.tasks.rows.drawable_rows import DrawableRows
from trainables.tasks.rows.encoding import Standardised, Vocabulary
from trainables.tasks.rows.reading import read_rows
from trainables.tasks.rows.splitting import in_part, require_parts
from trainables.tasks.task import Split, Task, TaskConfig


class RowsConfig(TaskConfig):
    """Which column of which file.

    Attributes:
        path: a Parquet file, or a folder of them, here or in a bucket
        sequence: a column of lists of numbers, or of lists of as many numbers each

    """

    path: DataPath
    sequence: str

    @property
    def identity(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude={"path"})

    @property
    def files(self) -> DataPath:
        return self.path

    def with_files(self, files: Path | str) -> Self:
        return type(self).model_validate({**self.model_dump(), "path": files})

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns to read, by key."""
        return {"sequence": self.sequence}


class RowsTask(Task):
    """A task over the rows of Parquet files; each part draws from rows of its own.

    Before `split`, the task draws from all rows; what the encoding knows of the numbers is learned
    from the training rows even so.

    Attributes:
        rows: all of them, of every part
        encoding: how the rows' numbers become inputs

    """

    Config: ClassVar[type[RowsConfig]]
    encoding: Standardised | Vocabulary
    _at_every_lag: DrawableRows | None

    def __init__(self, config: RowsConfig) -> None:
        super().__init__(config)
        self.rows = read_rows(config.path, config.columns)
        self._usable, such = self.usable()
        require_parts(self.rows.hashes[self._usable], such)
        self._restrict(None)

    @abstractmethod
    def usable(self) -> tuple[Bool[np.ndarray, " R"], str]:
        """Which rows can be shown at all, and what they are called in an error.

        Raises:
            ValueError: if the rows are none of this task's.

        """

    @abstractmethod
    def shown_at(self, lag: int) -> Bool[np.ndarray, " R"] | None:
        """Which rows this part shows at ``lag``; None where they are the same at every one."""

    def __str__(self) -> str:
        return str(self.config.path)

    def __reduce__(self) -> tuple[Any, ...]:
        """Read again where it is unpickled: the data may be too large to send."""
        return _read_part, (type(self), self.config, self.part)

    def distinct_sequences(self, lag: int) -> int:
        return self.drawable(lag).different

    def split(self, name: Split) -> Self:
        part = copy(self)
        part._restrict(name)
        return part

    def drawable(self, lag: int) -> DrawableRows:
        """The rows that this part shows at ``lag``, kept for the next time."""
        if lag not in self._drawable:
            chosen = self.shown_at(lag)
            if chosen is not None:
                self._drawable[lag] = self._ordered(self._of_part & chosen)
            else:
                self._at_every_lag = self._at_every_lag or self._ordered(self._of_part)
                self._drawable[lag] = self._at_every_lag
        return self._drawable[lag]

    def _ordered(self, chosen: Bool[np.ndarray, " R"]) -> DrawableRows:
        return DrawableRows(np.flatnonzero(chosen), self.rows.hashes)

    def _restrict(self, part: Split | None) -> None:
        """Draw from the rows of ``part``."""
        self.part = part
        self._of_part = self._usable
        if part is not None:
            self._of_part = self._of_part & in_part(self.rows.hashes, part)
        self._drawable: dict[int, DrawableRows] = {}
        self._at_every_lag = None


def _read_part(task: type[RowsTask], config: RowsConfig, part: Split | None) -> RowsTask:
    whole = task(config)
    return whole if part is None else whole.split(part)
