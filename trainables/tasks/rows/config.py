"""The keys of tasks over the user's own rows: which columns, how they are shown and split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from trainables.encoding.missing import MissingValues
from trainables.encoding.steps import Scale
from trainables.tasks.layouts.layout import Layout, TextKind, sequence_keys
from trainables.tasks.layouts.patterns import alternatives, together
from trainables.tasks.rows.buckets import DataPath
from trainables.tasks.rows.fitting import ValueKind
from trainables.tasks.rows.numbers import Scaling
from trainables.tasks.split.partition import Partition
from trainables.tasks.split.partition import Split as ColumnOrTimes
from trainables.tasks.task import TaskConfig

LATER = frozenset(
    {
        *("scale", "missing", "missing_indicator", "group", "split", "split_seed"),
        *("group_by", "order_by", "test"),
    }
)

TEXT: Mapping[ValueKind, TextKind] = {
    "numbers": "refused",
    "tokens": "symbols",
    "characters": "characters",
}


class RowsConfig(TaskConfig):
    """Which column of which file.

    Attributes:
        path: a Parquet file, or a folder of them, here or in a bucket; a pattern of them, or a list
        sequence: a column of lists of numbers, or of lists of as many numbers each; or several
            columns: of lists, the channels of its steps; of numbers, its steps
        group_by: null; or a column that says which sequence a row is one step of
        order_by: null; or a column that says where among them; else they are in order
        values: ``numbers``, which are scaled, or ``tokens``: integers or text that are symbols, or
            ``characters`` of a text
        scale: of numbers: ``standard``, ``robust`` or ``none``
        missing: numbers that stand for nothing, ``null`` and ``nan``: a number of each feature's
            own is shown in their place
        missing_indicator: whether, for each feature, a model is also shown where it was missing
        group: a column of what rows have in common, such as a patient or writer: all rows of one
            value fall to one part
        split: a column that says which part a row is of, or one of times and when parts begin;
            null for 70 % to train on, 10 % to select by, 20 % held out, by a hash
        split_seed: another one, another split by hash
        test: ``shared``: certificates test on the rows that the search tested on; ``fresh``: half
            of the held-out rows are shown by no search, and to a certificate alone; for
            ``certificate`` they are the held-out ones, and the other half is shown by nobody

    """

    later: ClassVar[frozenset[str]] = LATER

    path: DataPath
    sequence: str | Annotated[tuple[str, ...], Field(min_length=1)]
    group_by: str | None = None
    order_by: str | None = None
    values: ValueKind = "numbers"
    scale: Scale = "standard"
    missing: MissingValues = ()
    missing_indicator: bool = False
    group: str | None = None
    split: ColumnOrTimes = None
    split_seed: Annotated[int, Field(ge=0)] = 0
    test: Literal["shared", "fresh", "certificate"] = "shared"

    @model_validator(mode="after")
    def _split_once(self) -> Self:
        if self.split is not None and self.group is not None:
            raise ValueError(
                "group: is for a split by hash; `split` says each row's part by itself"
            )
        if self.split is not None and self.split_seed:
            raise ValueError(
                f"split_seed: {self.split_seed} is for a split by hash, not by `split`"
            )
        if self.split is not None and self.test != "shared":
            raise ValueError(f"test: {self.test} is for a split by hash, not by `split`")
        return self

    @model_validator(mode="after")
    def _of_numbers(self) -> Self:
        if self.missing_indicator and not self.missing:
            raise ValueError("missing_indicator: nothing can be missing; give `missing`")
        if self.values != "numbers" and self.missing:
            raise ValueError(
                f"missing: is of numbers, not of {self.values}: give it a symbol of its own"
            )
        if self.values != "numbers" and self.scale != "standard":
            raise ValueError(f"scale: {self.scale} is of numbers, not of {self.values}")
        return self

    @field_validator("path", mode="before")
    @classmethod
    def _one_path(cls, given: Any) -> Any:
        if not isinstance(given, list | tuple):
            return given
        if not all(isinstance(each, str | Path) and "://" not in str(each) for each in given):
            raise ValueError(f"{given} is not allowed in a list; allowed: paths of this machine")
        return together(given)

    @property
    def portable(self) -> Self:
        if not isinstance(self.path, Path):
            return self
        return self.with_files(together([each.name for each in alternatives(self.path)]))

    @property
    def identity(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude={"path"})

    @property
    def scaling(self) -> Scaling:
        """How numbers are to be shown."""
        return Scaling(self.scale, self.missing, self.missing_indicator)

    @property
    def files(self) -> DataPath:
        return self.path

    def with_files(self, files: Path | str) -> Self:
        return type(self).model_validate({**self.model_dump(), "path": files})

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns that rows are made of, by key."""
        steps = {"group_by": self.group_by, "order_by": self.order_by}
        given = {key: name for key, name in steps.items() if name is not None}
        return {**sequence_keys(self.sequence), **given}

    @property
    def sequence_name(self) -> str:
        """The column of sequences, or all of them, for errors and people."""
        return self.sequence if isinstance(self.sequence, str) else ", ".join(self.sequence)

    @property
    def layout(self) -> Layout:
        """What is made of the columns."""
        return Layout(TEXT[self.values], missing=self.missing)

    @property
    def partition(self) -> Partition:
        """How rows are split, and which are left out."""
        return Partition(
            is_grouped=self.group is not None,
            split=self.split,
            seed=self.split_seed,
            test=self.test,
        )

    @property
    def all_columns(self) -> Mapping[str, str]:
        """The columns to read, by key: `columns`, and those that split the rows."""
        found = dict(self.columns)
        if self.group is not None:
            found["group"] = self.group
        if self.split is not None:
            named = self.split
            found["split"] = named if isinstance(named, str) else named.column
        return found
