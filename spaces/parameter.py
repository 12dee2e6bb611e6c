"""What one parameter of a declared space may be, and when it is asked for."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Self

from optuna import Trial
from optuna.distributions import FloatDistribution, IntDistribution
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Scalar = str | int | float | bool | None


class Parameter(BaseModel):
    """One of some choices, a number from a range, or one value.

    Attributes:
        choices: the values it may have
        value: the one value it has
        low: the range's lower end; with ``high``, integers if both are
        high: the range's upper end, itself included
        log: whether the range is drawn from on a logarithmic scale
        step: the distance between the range's values; null for 1 or, of floats, for any value
        when: earlier parameters, and for each the value or values it must have; else this one is
            left out
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    choices: list[Scalar] | None = Field(default=None, min_length=1)
    value: Scalar = None
    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: int | float | None = Field(default=None, gt=0)
    when: dict[str, Scalar | list[Scalar]] = {}

    @model_validator(mode="before")
    @classmethod
    def _written_short(cls, given: Any) -> Any:
        if isinstance(given, list):
            return {"choices": given}
        return given if isinstance(given, Mapping) else {"value": given}

    @field_validator("choices")
    @classmethod
    def _choices_differ(cls, choices: list[Scalar]) -> list[Scalar]:
        for place, choice in enumerate(choices):
            if choice in choices[:place]:
                raise ValueError(f"{choice!r} stands there twice")
        return choices

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        given = self.model_fields_set - {"when"}
        ranged = self.low is not None and self.high is not None
        if not (ranged and given <= {"low", "high", "log", "step"}) and (
            given != {"value"} and (given != {"choices"} or not self.choices)
        ):
            found = ", ".join(sorted(given)) or "none of them"
            raise ValueError(f"give choices, value, or low and high (log, step); found {found}")
        if ranged:
            self._require_range()
        return self

    @property
    def is_chosen(self) -> bool:
        """Whether it may have more than one value."""
        return "value" not in self.model_fields_set

    @property
    def is_integer(self) -> bool:
        """Whether it is a range of integers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def allows(self, value: Scalar) -> bool:
        """Whether ``value`` is one that a condition can wait for."""
        is_flag = isinstance(value, bool)
        return any(value == one and is_flag == isinstance(one, bool) for one in self._values)

    @property
    def allowed(self) -> str:
        """What a condition can wait for, in words."""
        if isinstance(self._values, range):
            return f"{self.low} to {self.high} by {self._values.step}"
        values = ", ".join(repr(value) for value in self._values)
        return values or "nothing, since a range of floats has no single values to wait for"

    def suggest(self, trial: Trial, path: str) -> Scalar:
        """One value, from the trial where there is a choice."""
        low, high, step = self.low, self.high, self.step
        if self.choices is not None:
            chosen: Scalar = trial.suggest_categorical(path, self.choices)
            return chosen
        if low is None or high is None:
            return self.value
        if self.is_integer:
            return trial.suggest_int(path, int(low), int(high), step=int(step or 1), log=self.log)
        return trial.suggest_float(path, low, high, step=step, log=self.log)

    @property
    def _values(self) -> list[Scalar] | range:
        if self.choices is not None:
            return self.choices
        if not self.is_integer:
            return []
        return range(int(self.low or 0), int(self.high or 0) + 1, int(self.step or 1))

    def _require_range(self) -> None:
        low, high, step = self.low or 0, self.high or 0, self.step
        if low > high:
            raise ValueError(f"high: {high} is not allowed; low is {low}")
        if self.log and (low <= 0 or step is not None):
            raise ValueError("log: true is not allowed with a step, or a low that is not above 0")
        if self.is_integer and isinstance(step, float):
            raise ValueError(f"step: {step} is not allowed between integers")
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Optuna would move an end that no step meets
            try:
                if self.is_integer:
                    IntDistribution(int(low), int(high), self.log, int(step or 1))
                else:
                    FloatDistribution(low, high, self.log, step)
            except UserWarning:
                raise ValueError(f"step: {step} does not lead from {low} to {high}") from None
