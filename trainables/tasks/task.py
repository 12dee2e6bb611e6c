"""What a task is: it draws sequences whose answers need inputs at least ``lag`` steps back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self

import torch
from jaxtyping import Bool
from torch import Tensor

from trainables.encoding.answers import ClassAnswers, Label, NumberAnswers
from trainables.encoding.encoding import Encoding
from trainables.encoding.identity import DataIdentity
from trainables.encoding.steps import PlainSteps, SymbolSteps
from trainables.parts import Config
from trainables.shapes import Inputs, Predictions, Scored, Targets
from trainables.tasks.accounts.account import Account
from trainables.tasks.answer import ClassAnswer, NumberAnswer
from trainables.tasks.transfer import onto

__all__ = [
    "SYMBOL",
    "Batch",
    "ClassAnswer",
    "Interface",
    "NumberAnswer",
    "ProtocolConfig",
    "Reals",
    "Split",
    "Symbols",
    "Task",
    "TaskConfig",
]

Split = Literal["train", "selection", "test"]

SYMBOL = torch.int32
"""How symbols are drawn and travel: at a long lag they are most of what a batch takes."""


@dataclass(frozen=True)
class Batch:
    """B sequences with their scored answers.

    Attributes:
        inputs: symbols (B, T), int32, or F numbers a step (B, T, F), float32
        targets: the right answers (B, S): classes, int64, or numbers, float32; where a sequence
            has fewer than S, its first are none (`trainables.tasks.answer.asked`)
        scored: the steps (B, S), int64, at which the answers are given

    """

    inputs: Inputs
    targets: Targets
    scored: Scored

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device; symbols travel to it as int32, whoever drew them."""
        inputs = self.inputs if device.type == "cpu" else shown(self.inputs)
        return Batch(onto(inputs, device), onto(self.targets, device), onto(self.scored, device))


def shown(inputs: Inputs) -> Inputs:
    """Inputs as batches have them: symbols as `SYMBOL`, numbers as they are."""
    return inputs if inputs.is_floating_point() else inputs.to(SYMBOL)


@dataclass(frozen=True)
class Symbols:
    """Inputs that are symbols 0 .. vocabulary - 1."""

    vocabulary: int


@dataclass(frozen=True)
class Reals:
    """Inputs that are ``features`` numbers a step."""

    features: int


class Interface(Protocol):
    """What a model must know of its task: what goes in and what comes out."""

    @property
    def inputs(self) -> Symbols | Reals:
        """What one step of a sequence is."""

    @property
    def answer(self) -> ClassAnswer | NumberAnswer:
        """What is asked at a scored step."""

    @property
    def class_symbols(self) -> tuple[int, ...]:
        """The symbol of the inputs that each class is; empty unless every class is one."""


class TaskConfig(Config):
    """A task's configuration; its ``kind`` is the task's key in `TASKS`."""

    kind: str

    @property
    def is_shipped(self) -> bool:
        """Whether Longspan brought the task, and no plugin."""
        return type(self).__module__.partition(".")[0] == "trainables"

    @property
    def identity(self) -> dict[str, Any]:
        """What random streams depend on: everything but where on this machine the data lies."""
        return self.model_dump(mode="json")

    @property
    def files(self) -> Path | str | None:
        """The file or folder that the task reads, or a bucket's address; None if it reads none."""
        return None

    @property
    def portable(self) -> Self:
        """The same task, naming no place on this machine: of its file only the name."""
        return self.with_files(Path(self.files.name)) if isinstance(self.files, Path) else self

    def with_files(self, files: Path | str) -> Self:
        """The same task, its files lying elsewhere.

        Raises:
            ValueError: if the task reads none.
        """
        raise ValueError(f"data: {files} is not allowed; {self.kind} reads no file")


class ProtocolConfig(TaskConfig):
    """Of a task that a paper defines.

    Attributes:
        protocol: ``lag``, every answer needs inputs ``lag`` steps back; or ``paper``, sequences and
            answers are the paper's

    """

    later: ClassVar[frozenset[str]] = frozenset({"protocol"})

    protocol: Literal["lag", "paper"] = "lag"


class Task(ABC):
    """Draws sequences whose scored answers need inputs at least ``lag`` steps back.

    A task is a value: drawing changes nothing in it, and the same generator state gives the same
    batch. Tasks that generate draw their train, selection and test sequences from different
    random streams; tasks over a finite set of rows return from `split` a task over that part.
    """

    Config: ClassVar[type[TaskConfig]]
    paired: ClassVar[bool] = False
    """Whether a success is a comparison of a sequence with itself, so that chance is one half."""

    promises_lag: bool = True
    """Whether every answer needs inputs ``lag`` steps back; else ``lag`` names a length."""

    has_gap: bool = False
    """Whether something without meaning lies between the evidence and the question alone."""

    inputs: Symbols | Reals
    answer: ClassAnswer | NumberAnswer

    def __init__(self, config: Any) -> None:
        self.config = config
        if isinstance(config, ProtocolConfig):
            self.promises_lag = config.protocol == "lag"

    @property
    def shortest_lag(self) -> int:
        """The shortest lag that can be drawn."""
        return 1

    @property
    def no_gap(self) -> int | None:
        """The lag at which the question follows the evidence at once; None without a gap."""
        return self.shortest_lag if self.has_gap and self.promises_lag else None

    @property
    def encoding(self) -> Encoding:
        """What goes along with a model: how a row becomes its input, and its output an answer."""
        answer = self.answer
        steps = (
            SymbolSteps(names=self.symbol_names)
            if isinstance(self.inputs, Symbols)
            else PlainSteps(names=self.feature_names)
        )
        shortest = self.sample(self.shortest_lag, 1, torch.Generator().manual_seed(0))
        return Encoding(
            task=self.config.kind,
            columns={"sequence": "sequence"},
            steps=steps,
            answer=ClassAnswers(names=self.class_names)
            if isinstance(answer, ClassAnswer)
            else NumberAnswers(
                scale=answer.scale, offset=answer.offset, tolerance=answer.tolerance
            ),
            answers=_at_the_end(shortest),
        )

    @property
    def class_symbols(self) -> tuple[int, ...]:
        """The symbol that each class is, by their names; empty unless every class is one."""
        return self.encoding.class_symbols

    @property
    def data(self) -> DataIdentity | None:
        """Which data it draws from; None where it generates."""
        return None

    @property
    def data_fingerprint(self) -> str | None:
        """Its `DataIdentity.fingerprint`; None where it generates."""
        return None

    @property
    def account(self) -> Account | None:
        """What was read; None where it generates."""
        return None

    def under(self, encoding: Encoding) -> Self:
        """The task with rows as inputs and answers as ``encoding`` has them; nothing is fitted.

        Raises:
            ValueError: in one line, if the task's rows do not go with it.
        """
        if self.encoding != encoding:
            raise ValueError(f"encoding: it is of {encoding.task} with other symbols or answers")
        return self

    @property
    def symbol_names(self) -> tuple[str, ...]:
        """The names of the symbols that are shown, if they are symbols."""
        assert isinstance(self.inputs, Symbols)
        return tuple(f"symbol {number}" for number in range(self.inputs.vocabulary))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the numbers of a step, if they are numbers."""
        assert isinstance(self.inputs, Reals)
        return tuple(f"number {number}" for number in range(self.inputs.features))

    @property
    def class_names(self) -> tuple[Label, ...]:
        """The names of the classes answered, if they are classes."""
        return tuple(range(self.answer.outputs))

    def distinct_sequences(self, lag: int) -> int | None:
        """How many different sequences this split can show at ``lag``; None if generated."""
        return None

    @abstractmethod
    def length(self, lag: int) -> int:
        """Steps T of the longest sequence drawn at ``lag``."""

    @abstractmethod
    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        """``batch_size`` independent sequences, each scored answer needing at least ``lag`` steps.

        Raises:
            ValueError: if ``lag`` is below `shortest_lag`.

        """

    def judge_answers(self, predictions: Predictions, batch: Batch) -> Bool[Tensor, "N S"]:
        """Which scored answers are right, each by itself; where there are pairs, of a pair."""
        if self.paired:
            return self.judge(predictions, batch)[:, None]
        return self.answer.right(predictions, batch.targets)

    def judge(self, predictions: Predictions, batch: Batch) -> Bool[Tensor, " N"]:
        """Which of the batch's sequences are a success: those with every scored answer right."""
        return self.answer.right(predictions, batch.targets).all(dim=1)

    def old(self, batch: Batch, lag: int) -> Bool[Tensor, "B T"]:
        """Which inputs lie ``lag`` or more steps before the first scored answer of a sequence."""
        return torch.arange(batch.inputs.shape[1]) <= batch.scored[:, :1] - lag

    def split(self, name: Split) -> Self:
        """The task restricted to one part of its sequences; itself where they are generated."""
        return self

    def draw(
        self, lag: int, sequences: int, batch_size: int, generator: torch.Generator
    ) -> Iterator[Batch]:
        """``sequences`` sequences in batches of at most ``batch_size``, for an evaluation.

        A finite split shows each of its rows at most once, so may give fewer.
        """
        for first in range(0, sequences, batch_size):
            yield self.sample(lag, min(batch_size, sequences - first), generator)

    def _require(self, lag: int) -> None:
        if lag < self.shortest_lag:
            kind = self.Config.model_fields["kind"].default
            raise ValueError(
                f"lag: {lag} is not allowed; the shortest of {kind} is {self.shortest_lag}"
            )


def _at_the_end(batch: Batch) -> int:
    """How many answers a row of a user's own is asked for at its last steps.

    Where answers lie inside the row, as in some papers' protocols, it is the one at its last step.
    """
    answers, steps = batch.scored.shape[1], batch.inputs.shape[1]
    last = torch.arange(steps - answers, steps)
    return answers if torch.equal(batch.scored[0], last) else 1
