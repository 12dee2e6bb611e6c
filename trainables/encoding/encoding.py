"""The encoding: what turns a row of the user's into what a model is shown, and back.

Fitted once, on the training rows, and kept with the search and with every export. Filler that a
row is shown with when a model answers is always the same, whatever stands beside the row: the
number k of [0, 1) counted from the sequence's end is the raw output k of PCG64 with seed 0, its
upper 53 bits over 2^53 (feature by feature within a step).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator
from torch import Tensor

from trainables.encoding.answers import AnyAnswers, ClassAnswers, ColumnsAnswers, named_alike
from trainables.encoding.steps import (
    AnySteps,
    FileSteps,
    FillerKind,
    NumberSteps,
    SymbolSteps,
    TokenSteps,
)
from trainables.measure.plain import digest
from trainables.parts import Config
from trainables.shapes import Inputs

FILLER_SEED = 0

LONGEST_GAP = 2**20
"""Steps of filler that may be asked for after a row; more where success is claimed at a lag beyond.

All steps of a row go through the model at once: what a million take is gigabytes already.
"""

LONGEST_ROW = 2**24
"""Steps of a row, or of a claimed lag, past which no export is believed."""

Value = StrictBool | StrictInt | StrictFloat | StrictStr


class Filler(Config):
    """What stands before shorter rows and, after a gap's worth of it, at the answer.

    Attributes:
        pool: some training steps (K, F), in the file's units, that ``resample`` draws from
    """

    kind: FillerKind
    pool: tuple[tuple[Value, ...], ...] = ()


class Padding(Config):
    """Shorter rows begin with filler, so that all end at the same step.

    Attributes:
        steps: to which length; with a column of lags, of the longest of all rows
        by_lag: with a column of lags, pairs of a lag and the steps of the longest row whose own
            lag is no more; ascending in both
        nearness: rows are shown at a lag whose own is less than this many times as long
    """

    side: Literal["left"] = "left"
    steps: int = Field(ge=0, le=LONGEST_ROW)
    by_lag: tuple[tuple[int, Annotated[int, Field(ge=0, le=LONGEST_ROW)]], ...] = ()
    nearness: float = 1.0

    def steps_at(self, lag: int) -> int:
        """To which length rows are padded for a model trained up to ``lag``."""
        if not self.by_lag:
            return self.steps
        return max((n for own, n in self.by_lag if own < self.nearness * lag), default=1)


class Encoding(Config):
    """How rows become inputs and outputs answers.

    Attributes:
        task: the task's kind
        columns: the file's columns by key; ``sequence`` is always one
        steps: what one step of a row is
        missing: what becomes of nulls, NaN, infinity and empty rows; where those that the steps
            name are filled, the others are refused all the same
        filler: None where nothing is ever put to a row
        padding: None where rows are shown as they are
        after_gap: whether the answer is asked for after a gap of filler
        answer: what is answered
        answers: answers a row, at its last steps
        each_step: whether a row is answered at each of its steps instead
        fields: of steps that are records, the names of their values, in order
        example: a row that nothing was trained on, as the user has it; None if generated
    """

    later: ClassVar[frozenset[str]] = frozenset({"each_step", "fields"})

    version: Literal[1] = 1
    task: str
    columns: dict[str, str]
    steps: AnySteps
    missing: Literal["refused", "filled"] = "refused"
    filler: Filler | None = None
    padding: Padding | None = None
    after_gap: bool = False
    answer: AnyAnswers
    answers: int = Field(default=1, ge=1, le=LONGEST_ROW)
    each_step: bool = False
    fields: tuple[str, ...] = ()
    example: tuple[Value, ...] | tuple[tuple[Value, ...], ...] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if "sequence" not in self.columns:
            raise ValueError("columns: sequence is required")
        answer = self.answer
        if isinstance(answer, ColumnsAnswers) and len(answer.columns) != self.answers:
            raise ValueError("answers: one of each column")
        is_columns = isinstance(answer, ColumnsAnswers)
        if self.each_step and (self.answers > 1 or self.after_gap or is_columns):
            raise ValueError("each_step: it is of rows that are answered at their own steps")
        if self.fields and len(self.fields) != self.steps.features:
            raise ValueError(f"fields: {len(self.fields)} names for {self.steps.features} values")
        pool = self.filler.pool if self.filler is not None else ()
        if self.filler is not None and self.filler.kind == "resample" and not pool:
            raise ValueError("filler: resample needs a pool of steps")
        if any(len(step) != self.steps.features for step in pool):
            raise ValueError(f"filler: its pool is not of {self.steps.features} values a step")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the value: equal encodings, equal digests."""
        return digest(self.model_dump(mode="json"))

    @property
    def column(self) -> str:
        """The column that sequences stand in."""
        return self.columns["sequence"]

    @property
    def class_symbols(self) -> tuple[int, ...]:
        """The symbol of the inputs that each class is, by name; empty unless every class is one."""
        steps, answer = self.steps, self.answer
        if not isinstance(steps, TokenSteps | SymbolSteps) or not isinstance(answer, ClassAnswers):
            return ()
        symbols = steps.vocabulary if isinstance(steps, TokenSteps) else steps.names
        return named_alike(symbols, answer.names)

    @property
    def chance(self) -> float | None:
        """The success of a blind guess; None where it is not known.

        So it is of numbers, and where rows have answers at steps of their own.
        """
        if self.task == "stream":
            return 0.5
        if isinstance(self.answer, ColumnsAnswers):
            return 1 / math.prod(self.answer.counts)
        if not isinstance(self.answer, ClassAnswers) or self.each_step:
            return None
        return float(len(self.answer.names)) ** -self.answers

    @property
    def takes_nan(self) -> bool:
        """Whether a null or NaN among a row's values is known to the model as missing."""
        steps = self.steps
        if not isinstance(steps, NumberSteps) or steps.missing is None:
            return False
        return steps.missing.takes_nan

    @property
    def is_several(self) -> bool:
        """Whether a row has a list of answers, and not one."""
        return self.each_step or self.answers > 1

    @property
    def asks_for(self) -> str:
        """How many answers a row has, in words."""
        if self.each_step:
            return "an answer at each step"
        return "one answer a row" if self.answers == 1 else f"{self.answers} answers a row"

    @property
    def channels(self) -> tuple[str, ...]:
        """The columns that sequences stand in, where they are several."""
        return tuple(name for key, name in self.columns.items() if key.split(" ")[0] == "sequence")

    @property
    def together(self) -> str:
        """How pandas makes rows of a table with one step a row; empty where it has whole rows."""
        group, order = self.columns.get("group_by"), self.columns.get("order_by")
        if group is None:
            return ""
        sort = "" if order is None else f".sort_values({order!r})"
        return f"{sort}.groupby({group!r}, sort=False).agg(list)"

    def in_columns(self, row: Sequence[Any]) -> dict[str, Any]:
        """What a table has of one row: its list of steps, or of several columns each one's part."""
        plain = [list(step) if isinstance(step, tuple) else step for step in row]
        if len(self.channels) < 2:
            return {self.column: plain}
        if self.steps.features == 1:  # the columns are the steps
            return dict(zip(self.channels, plain, strict=True))
        parts = zip(*plain, strict=True)
        return {name: [*part] for name, part in zip(self.channels, parts, strict=True)}

    def require_gap(self, gap: int | None, lag: int) -> int:
        """The steps of filler after a row up to its last answer.

        Those given, or the ``lag``, before it is asked; and one more for each further answer.

        Raises:
            ValueError: if there is no filler, or it is no number of steps.
        """
        if not self.after_gap:
            if gap not in (None, 0):
                where = "steps" if self.each_step else "last step"
                raise ValueError(
                    f"gap: {gap} is not allowed; this {self.task} model answers at a row's own"
                    f" {where}, without filler after it"
                )
            return 0
        gap = lag if gap is None else gap
        if isinstance(gap, bool) or not isinstance(gap, int | np.integer) or gap < 0:
            raise ValueError(f"gap: {gap!r} is not allowed; a number of steps, at least 0")
        if gap > max(LONGEST_GAP, lag):
            raise ValueError(
                f"gap: {gap} is not allowed; at most {max(LONGEST_GAP, lag)} steps of filler"
            )
        return int(gap) + self.answers - 1

    def length(self, row_steps: int, gap: int, lag: int) -> int:
        """Steps that a row of ``row_steps`` is shown as."""
        padded = 0 if self.padding is None else self.padding.steps_at(lag)
        return max(row_steps, padded) + gap

    def show(self, row: np.ndarray, length: int, gap: int) -> Inputs:
        """One row's values (n, F) as it is shown: (T,) symbols or (T, F) numbers."""
        if not isinstance(self.steps, FileSteps):
            steps = torch.from_numpy(row)
            return steps.float() if self.steps.kind == "plain" else steps[:, 0]
        encoded = self.steps.encode(row)
        if len(encoded) == length:
            return encoded
        shown = self.fixed_filler(length)
        shown[length - gap - len(encoded) : length - gap] = encoded
        return shown

    def fixed_filler(self, length: int) -> Inputs:
        """The last ``length`` steps of the filler that every row is shown with."""
        steps, filler = self.steps, self.filler
        if not isinstance(steps, FileSteps) or filler is None:
            raise ValueError(f"gap: this {self.task} model knows no filler")
        if filler.kind == "blank":
            return steps.blank(1, length)[0].clone()
        unit = units(length, steps.features)
        if filler.kind == "noise":
            return steps.noise_at(unit)
        picks = (unit * len(filler.pool)).astype(np.int64)
        return self._pool(picks)

    def _pool(self, picks: np.ndarray) -> Tensor:
        pool = self._encoded_pool
        chosen = torch.from_numpy(picks)
        if pool.ndim == 1:
            return pool[chosen[:, 0]]
        spare = pool.shape[1] - chosen.shape[1]  # indicators: of filler, none is set
        return pool.gather(0, torch.nn.functional.pad(chosen, (0, spare)))

    @cached_property
    def _encoded_pool(self) -> Tensor:
        assert isinstance(self.steps, FileSteps)
        assert self.filler is not None
        return self.steps.encode(np.array(self.filler.pool))

    @classmethod
    def of(cls, plain: Any) -> Self:
        """The value that `model_dump` wrote, also by way of JSON."""
        return cls.model_validate(plain)


def units(length: int, features: int) -> Float[np.ndarray, "T F"]:
    """The last ``length`` steps of the numbers of [0, 1) that filler is made of."""
    raw = np.random.PCG64(FILLER_SEED).random_raw(length * features)
    unit = (raw >> np.uint64(11)).astype(np.float64) / 2.0**53
    return unit.reshape(length, features)[::-1].copy()
