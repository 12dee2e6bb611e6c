"""What was read: the rows, steps, classes and numbers that a task was made of, in a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trainables.encoding.answers import Label

CLASSES_SHOWN = 8


@dataclass(frozen=True)
class OfClass:
    """A class's rows, or answers where a row has several, and those that are trained on."""

    name: Label
    rows: int
    trained_on: int


@dataclass(frozen=True)
class OfNumbers:
    """Numbers in the file's units: least, quartiles, greatest."""

    least: float
    quartiles: tuple[float, float, float]
    greatest: float

    def __str__(self) -> str:
        quartiles = " / ".join(f"{q:.6g}" for q in self.quartiles)
        return f"{self.least:.6g} to {self.greatest:.6g}, quartiles {quartiles}"


@dataclass(frozen=True)
class AnswersRead:
    """The answers of the used rows; nothing where they are the rows' own next steps.

    Attributes:
        classes: where they are classes
        target: where they are numbers
        nearest: share of held-out rows for which the nearest training row's answer is right
        warnings: what is hardly meant, a line each
        a_row: how many a row: least, median, most
        columns: where several columns are asked, the classes of each
    """

    classes: tuple[OfClass, ...] = ()
    target: OfNumbers | None = None
    nearest: float | None = None
    warnings: tuple[str, ...] = ()
    a_row: tuple[int, int, int] = (1, 1, 1)
    columns: tuple[tuple[str, tuple[OfClass, ...]], ...] = ()


@dataclass(frozen=True)
class Account:
    """What a task read, once it is fitted.

    Attributes:
        source: the files' or folder's name
        files: read
        files_left_out: how many lie beside them
        named_left_out: the first of those, and why; empty for none
        rows: in the files
        left_out: why rows are not used, and how many each
        parts: used rows to train on, to select by, and held out
        steps: of the used rows: least, median, largest
        features: values a step
        values: ``numbers`` or ``tokens``
        symbols: how many there are; 0 of numbers
        sequence: the numbers of all used rows together, without missing ones; None of symbols
        missing: values that are missing
        missing_share: of all values of the used rows
        answers: of the used rows
        different: sequences among them; 0 where that is not known
        warnings: what is allowed and hardly meant, a line each
    """

    source: str
    files: int
    files_left_out: int
    named_left_out: str
    rows: int
    left_out: tuple[tuple[str, int], ...]
    parts: tuple[int, int, int]
    steps: tuple[int, int, int]
    features: int
    values: str
    symbols: int = 0
    sequence: OfNumbers | None = None
    missing: int = 0
    missing_share: float = 0.0
    answers: AnswersRead = AnswersRead()
    different: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def used(self) -> int:
        """Rows that any part shows."""
        return sum(self.parts)

    def lines(self) -> Sequence[str]:
        """The block that is shown, without its warnings."""
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        files = "1 file" if self.files == 1 else f"{self.files:,} files"
        yield f"{files}, {self.rows:,} rows, {self.used:,} used: {self._said_parts()}"
        if self.files_left_out:
            files = "1 file" if self.files_left_out == 1 else f"{self.files_left_out:,} files"
            yield f"{files} left out: {self.named_left_out}"
        for why, rows in self.left_out:
            yield f"{rows:,} rows left out: {why}"
        if 0 < self.different < self.used:
            yield f"{self.different:,} different sequences; the other rows repeat one"
        least, median, largest = self.steps
        yield f"steps a row: {least:,} to {largest:,}, median {median:,}"
        if self.sequence is None:
            yield f"{self.symbols:,} symbols"
        else:
            values = self.values if self.features > 1 else self.values.removesuffix("s")
            yield f"{self.features:,} {values} a step: {self.sequence}"
        if self.missing:
            yield f"{self.missing:,} values missing, {self.missing_share:.2%}"
        fewest, median, most = self.answers.a_row
        if most > 1:
            yield f"answers a row: {fewest:,} to {most:,}, median {median:,}"
        if self.answers.target is not None:
            yield f"answers: numbers from {self.answers.target}"
        if self.answers.classes:
            yield _said_classes(self.answers.classes)
        for name, classes in self.answers.columns:
            yield f"{name!r}: {_said_classes(classes)}"
        if self.answers.nearest is not None:
            yield f"nearest training row's answer: right for {self.answers.nearest:.1%} held out"

    def _said_parts(self) -> str:
        train, selection, test = self.parts
        return f"{train:,} to train on, {selection:,} to select by, {test:,} held out"


def _said_classes(classes: Sequence[OfClass]) -> str:
    ordered = sorted(classes, key=lambda each: -each.rows)
    answers = max(1, sum(each.rows for each in ordered))
    said = [f"{each.name!r} {each.rows / answers:.1%}" for each in ordered[:CLASSES_SHOWN]]
    if len(ordered) > CLASSES_SHOWN:
        said.append(f"{len(ordered) - CLASSES_SHOWN} more, the rarest {ordered[-1].rows:,} rows")
    return f"{len(classes):,} classes: {', '.join(said)}"
