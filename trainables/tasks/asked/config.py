"""The keys of what is asked of the user's own rows: which labels, where, and how far back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StrictInt, StrictStr, model_validator

from trainables.tasks.asked.columns import target_keys
from trainables.tasks.layouts.layout import Layout
from trainables.tasks.rows.config import LATER, RowsConfig
from trainables.tasks.rows.labels import AnswerKind

NEARNESS = 2.0


class AnswersConfig(RowsConfig):
    """Which columns say what is right, and what of it is asked.

    Attributes:
        target: a column of integers, text or booleans (classes), or of numbers; or of lists of
            either; or several columns of classes, which are answered one after the other, a step
            each, after the gap
        asked: of lists, ``within``: a label a step of the row, answered there; ``after``: the
            labels are answered one after the other, a step each, after the gap; null for
            ``within``, if they are lists
        mask: of lists, a column of as long lists of booleans: which labels are asked for
        ignore: of lists, a label that stands for none, such as -100
        lag: a column of integers: how many steps before its answer the evidence lies at least;
            within rows also of lists, one integer a label; null for a gap of filler after the row,
            or for the row's own steps if answers lie within
        nearness: rows are tested at a lag if their own is less than this many times as long
        answer: null for a number if the target is a float, else a class
        tolerance: of a number, in its own units: right if off by less

    """

    later: ClassVar[frozenset[str]] = LATER | {"asked", "mask", "ignore"}

    target: str | Annotated[tuple[str, ...], Field(min_length=1)]
    asked: Literal["within", "after"] | None = None
    mask: str | None = None
    ignore: StrictInt | StrictStr | None = None
    lag: str | None = None
    nearness: float = Field(default=NEARNESS, gt=1)
    answer: AnswerKind | None = None
    tolerance: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _of_columns(self) -> Self:
        if isinstance(self.target, str):
            return self
        if len(set(self.target)) < len(self.target):
            raise ValueError(f"target: {list(self.target)} names a column twice")
        given = {"lag": self.lag, "mask": self.mask, "ignore": self.ignore}
        given |= {"asked": self.asked} if self.asked == "within" else {}
        for key, value in given.items():
            if value is not None:
                raise ValueError(
                    f"{key}: {value!r} is not for several columns, which are asked after a gap,"
                    " every one"
                )
        return self

    @model_validator(mode="after")
    def _near_a_lag(self) -> Self:
        if self.lag is None and self.asked != "within" and self.nearness != NEARNESS:
            raise ValueError(f"nearness: {self.nearness} is of a column of lags; give `lag`")
        if self.lag is not None and self.asked == "after":
            raise ValueError(
                f"lag: {self.lag!r} is of answers within their rows; `asked: after` asks for them"
                " after a gap, which makes the lag"
            )
        return self

    @property
    def columns(self) -> Mapping[str, str]:
        optional = {"mask": self.mask, "lag": self.lag}
        given = {key: name for key, name in optional.items() if name is not None}
        return {**super().columns, **target_keys(self.target), **given}

    @property
    def target_name(self) -> str:
        """The column of labels, or all of them, for errors and people."""
        return ", ".join(map(repr, target_keys(self.target).values()))

    @property
    def layout(self) -> Layout:
        of_steps = frozenset(("target", "mask", "lag")) if self.asked == "within" else frozenset()
        return Layout(super().layout.text, missing=self.missing, of_steps=of_steps)
