"""What one step of a row is, and how it becomes what a model is shown; and filler that looks alike.

Plain values: numbers and text alone, so that they travel as JSON. Training and answering use the
same arithmetic, which is here.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Num
from pydantic import Field, StrictInt, StrictStr, model_validator
from torch import Tensor

from trainables.encoding.missing import Missing, filled, is_missing
from trainables.parts import Config
from trainables.shapes import Inputs, Numbers, Tokens

FillerKind = Literal["noise", "blank", "resample"]
"""``noise``: uniform over the range; ``blank``: a constant; ``resample``: training values."""

Scale = Literal["standard", "robust", "none"]
"""By mean and standard deviation, by median and quartiles, or not at all."""


class FileSteps(Config):
    """Steps of a file's rows, of F values each, and filler that looks like them."""

    @property
    @abstractmethod
    def features(self) -> int:
        """F."""

    @abstractmethod
    def encode(self, values: Num[np.ndarray, "*shape F"]) -> Tensor:
        """The file's values as a model is shown them."""

    def fill(
        self,
        filler: FillerKind,
        pool: Tensor,
        batch_size: int,
        length: int,
        generator: torch.Generator,
    ) -> Inputs:
        """``length`` steps of filler (B, T) or (B, T, F), every value drawn independently.

        ``pool`` is of training steps, encoded (K, F) or (K,), for ``resample``.
        """
        if filler == "noise":
            return self.noise(batch_size, length, generator)
        if filler == "blank":
            return self.blank(batch_size, length)
        return self.resample(pool, batch_size, length, generator)

    @abstractmethod
    def noise(self, batch_size: int, length: int, generator: torch.Generator) -> Inputs:
        """Uniform over the range of the training rows."""

    @abstractmethod
    def blank(self, batch_size: int, length: int) -> Inputs:
        """A constant."""

    @abstractmethod
    def resample(
        self, pool: Tensor, batch_size: int, length: int, generator: torch.Generator
    ) -> Inputs:
        """Values of ``pool``, each feature's on its own."""

    @abstractmethod
    def noise_at(self, unit: Float[np.ndarray, "T F"]) -> Inputs:
        """`noise` where the draws are the given numbers of [0, 1): (T,) or (T, F)."""


class NumberSteps(FileSteps):
    """F numbers a step: each feature less its mean, over its deviation; blank is the mean.

    A feature that is constant in training has deviation 1. Everything is in the file's units.
    Filler has no missing values.

    Attributes:
        whole: whether the column is of integers, or of booleans: then so is noise
        mean: of each feature over the training steps; the median, or 0, as the scale says
        deviation: of each, the standard deviation; what the quartiles of a normal distribution
            tell of it, or 1, as the scale says
        low: of each, the least
        high: of each, the greatest
        missing: which values are none, and what is shown instead; None where none is allowed
    """

    later: ClassVar[frozenset[str]] = frozenset({"scale", "missing"})

    kind: Literal["numbers"] = "numbers"
    whole: bool
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    scale: Scale = "standard"
    missing: Missing | None = None

    @model_validator(mode="after")
    def _of_as_many(self) -> Self:
        fill = self.mean if self.missing is None else self.missing.fill
        lengths = {len(part) for part in (self.mean, self.deviation, self.low, self.high, fill)}
        if len(lengths) > 1 or not self.mean:
            raise ValueError("mean, deviation, low, high and fill must be of as many features")
        if not all(deviation > 0 for deviation in self.deviation):
            raise ValueError(f"deviation: {list(self.deviation)} is not allowed; all are above 0")
        return self

    @property
    def features(self) -> int:
        return len(self.mean)

    @property
    def shown(self) -> int:
        """Numbers a step that a model is shown: F, or 2 F with indicators."""
        return self.features * (2 if self._has_indicator else 1)

    def encode(
        self, values: Num[np.ndarray, "*shape F"]
    ) -> Float[Tensor, "*shape F"] | Float[Tensor, "*shape 2*F"]:
        encoded = self._scaled(self.filled(values))
        if not self._has_indicator:
            return encoded
        assert self.missing is not None
        gone = torch.from_numpy(is_missing(values, self.missing.values))
        return torch.cat((encoded, gone.float()), dim=-1)

    def filled(self, values: Num[np.ndarray, "*shape F"]) -> Num[np.ndarray, "*shape F"]:
        """The file's values, with what stands for those that are missing."""
        return values if self.missing is None else filled(values, self.missing)

    def noise(self, batch_size: int, length: int, generator: torch.Generator) -> Numbers:
        shape = (batch_size, length, self.features)
        if self.whole:
            unit = torch.rand(shape, generator=generator, dtype=torch.float64)
            values = (unit * torch.from_numpy(self._high - self._low + 1)).floor_()
            values = values.add_(torch.from_numpy(self._low - self._mean))
            return self._none_missing(values.div_(torch.from_numpy(self._deviation)).float())
        low, high = self._scaled(self._low), self._scaled(self._high)
        return self._none_missing(torch.rand(shape, generator=generator) * (high - low) + low)

    def blank(self, batch_size: int, length: int) -> Numbers:
        return torch.zeros(batch_size, length, self.shown)

    def resample(
        self, pool: Tensor, batch_size: int, length: int, generator: torch.Generator
    ) -> Numbers:
        shape = (batch_size, length, self.features)
        picks = torch.randint(len(pool), shape, generator=generator)
        return self._none_missing(pool[picks, torch.arange(self.features)])

    def noise_at(self, unit: Float[np.ndarray, "T F"]) -> Float[Tensor, "T F"]:
        if self.whole:
            drawn = self._low + np.floor(unit * (self._high - self._low + 1))
        else:
            drawn = self._low + unit * (self._high - self._low)
        return self._none_missing(self._scaled(drawn))

    @property
    def _has_indicator(self) -> bool:
        return self.missing is not None and self.missing.indicator

    def _scaled(self, values: Num[np.ndarray, "*shape F"]) -> Float[Tensor, "*shape F"]:
        standardised = (values.astype(np.float64) - self._mean) / self._deviation
        return torch.from_numpy(standardised.astype(np.float32))

    def _none_missing(self, values: Tensor) -> Tensor:
        """With indicators that say so, if there are any."""
        if not self._has_indicator:
            return values
        return torch.cat((values, torch.zeros_like(values)), dim=-1)

    @cached_property
    def _mean(self) -> Float[np.ndarray, " F"]:
        return np.array(self.mean)

    @cached_property
    def _deviation(self) -> Float[np.ndarray, " F"]:
        return np.array(self.deviation)

    @cached_property
    def _low(self) -> Float[np.ndarray, " F"]:
        return np.array(self.low)

    @cached_property
    def _high(self) -> Float[np.ndarray, " F"]:
        return np.array(self.high)


class TokenSteps(FileSteps):
    """One symbol a step: its rank in the vocabulary; an unknown one is refused.

    Attributes:
        vocabulary: every value in the file, ascending, as the file has it
        has_blank: whether blank filler is one more symbol
    """

    kind: Literal["tokens"] = "tokens"
    vocabulary: tuple[StrictInt | StrictStr, ...] = Field(min_length=1)
    has_blank: bool

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        kinds = {type(value) for value in self.vocabulary}
        if len(kinds) > 1 or any(a >= b for a, b in pairwise(self.vocabulary)):  # type: ignore[operator]  # of one type
            raise ValueError("vocabulary: must be ascending, of integers or of text")
        whole = [value for value in self.vocabulary if isinstance(value, int)]
        if whole and not (whole[0] >= -(2**63) and whole[-1] < 2**63 + 2**63 * (whole[0] >= 0)):
            raise ValueError("vocabulary: its integers must fit into 64 bits")
        return self

    @property
    def features(self) -> int:
        return 1

    def encode(self, values: Num[np.ndarray, "*shape 1"]) -> Int[Tensor, "*shape"]:
        """Ranks; the values are in the vocabulary (`unknown`)."""
        found = values[..., 0].astype(self._values.dtype, copy=False)
        return torch.from_numpy(np.searchsorted(self._values, found))

    def noise(self, batch_size: int, length: int, generator: torch.Generator) -> Tokens:
        return torch.randint(len(self.vocabulary), (batch_size, length), generator=generator)

    def blank(self, batch_size: int, length: int) -> Tokens:
        return torch.full((batch_size, length), len(self.vocabulary))

    def resample(
        self, pool: Tensor, batch_size: int, length: int, generator: torch.Generator
    ) -> Tokens:
        return pool[torch.randint(len(pool), (batch_size, length), generator=generator)]

    def noise_at(self, unit: Float[np.ndarray, "T 1"]) -> Int[Tensor, " T"]:
        return torch.from_numpy((unit[:, 0] * len(self.vocabulary)).astype(np.int64))

    def unknown(self, values: np.ndarray) -> Bool[np.ndarray, " n"]:
        """Which of the values (n,) are not in the vocabulary."""
        known = self._values
        if values.dtype == known.dtype or known.dtype.kind == "U":
            return ~np.isin(values, known)
        values = values.astype(np.float64) if values.dtype.kind == "f" else values
        least, most = int(np.iinfo(known.dtype).min), int(np.iinfo(known.dtype).max)
        fits = (values < float(most)) if values.dtype.kind == "f" else (values <= most)
        fits &= values >= least
        same = np.where(fits, values, values.dtype.type(0)).astype(known.dtype)
        fits &= same.astype(values.dtype) == values  # else a fraction was cut off
        return ~(fits & np.isin(same, known))

    @cached_property
    def _values(self) -> np.ndarray:
        """Of 64 bits: NumPy would hold integers on both sides of 2^63 as doubles, some as one."""
        if isinstance(self.vocabulary[-1], str):
            return np.array(self.vocabulary)
        return np.array(self.vocabulary, np.uint64 if self.vocabulary[-1] >= 2**63 else np.int64)


class SymbolSteps(Config):
    """One symbol of a generated task a step, given by its name or by its number.

    Attributes:
        names: of symbols 0, 1, ..
    """

    kind: Literal["symbols"] = "symbols"
    names: tuple[str, ...] = Field(min_length=1)

    @property
    def features(self) -> int:
        """One symbol a step."""
        return 1

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Of each name."""
        return {name: number for number, name in enumerate(self.names)}


class PlainSteps(Config):
    """F numbers of a generated task a step, shown as they are.

    Attributes:
        names: of the features
    """

    kind: Literal["plain"] = "plain"
    names: tuple[str, ...] = Field(min_length=1)

    @property
    def features(self) -> int:
        """F."""
        return len(self.names)


AnyFileSteps = Annotated[NumberSteps | TokenSteps, Field(discriminator="kind")]
AnySteps = Annotated[
    NumberSteps | TokenSteps | SymbolSteps | PlainSteps, Field(discriminator="kind")
]
