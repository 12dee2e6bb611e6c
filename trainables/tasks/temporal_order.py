"""``temporal_order``: the order in which two or three marks appeared long ago.

E d .. d m_1 d .. d m_2 d .. d B  ->  the word m_1 m_2, with m = X or Y

Hochreiter & Schmidhuber (1997, experiments 6a and 6b).
"""

from __future__ import annotations

from itertools import product
from typing import Literal

import torch
from torch import Tensor

from trainables.tasks.task import SYMBOL, Batch, ClassAnswer, ProtocolConfig, Symbols, Task

START, END, FIRST_MARK, FIRST_DISTRACTOR = 0, 1, 2, 4
DISTRACTORS = 4
WINDOWS = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
"""Where the paper puts each mark, in steps of a sequence of 100."""


class TemporalOrder(Task):
    """One answer a sequence, every mark at least ``lag`` steps back.

    All times are the paper's, scaled: with two marks T = 100 is lag 40, with three lag 24, the
    minimal lags that the paper states. Lengths are random, T to 1.1 T; what follows the end is
    the end symbol again. Symbols: 0 start, 1 end, 2 X, 3 Y, 4 .. 7 distractors; the answer is the
    word of marks as a binary number, the first mark leading, X = 0, Y = 1.
    Chance: 1 / 4 with two marks, 1 / 8 with three.

    ``protocol: paper``: the last mark's window ends where the paper's does, and a mark on its last
    step is a step nearer than ``lag`` in the shortest sequences.
    """

    class Config(ProtocolConfig):
        """``marks`` in a sequence: experiment 6a has two, 6b three."""

        kind: Literal["temporal_order"] = "temporal_order"
        marks: Literal[2, 3] = 2

    inputs = Symbols(FIRST_DISTRACTOR + DISTRACTORS)

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.windows = WINDOWS[config.marks]
        self.answer = ClassAnswer(2**config.marks)

    @property
    def symbol_names(self) -> tuple[str, ...]:
        return ("start", "end", "X", "Y", "a", "b", "c", "d")

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple("".join(marks) for marks in product("XY", repeat=self.config.marks))

    @property
    def shortest_lag(self) -> int:
        """The shortest at which the start and every mark have a step of their own."""
        return 4 if self.config.marks == 2 else 3

    def source_length(self, lag: int) -> int:
        """The shortest sequence: what the paper calls T."""
        after_last_mark = 100 - self.windows[-1][1]
        return -(-lag * 100 // after_last_mark)

    def length(self, lag: int) -> int:
        return self.source_length(lag) + self.source_length(lag) // 10

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        self._require(lag)
        column = (batch_size, 1)
        shortest, longest = self.source_length(lag), self.length(lag)
        first, last = FIRST_DISTRACTOR, FIRST_DISTRACTOR + DISTRACTORS
        shape = (batch_size, longest)
        inputs = torch.randint(first, last, shape, generator=generator, dtype=SYMBOL)
        scored = torch.randint(shortest - 1, longest, column, generator=generator)
        marks = torch.randint(2, (batch_size, self.config.marks), generator=generator)
        inputs.scatter_(
            1, self._places(lag, batch_size, generator), (FIRST_MARK + marks).to(SYMBOL)
        )
        inputs[:, 0] = START
        inputs[torch.arange(longest) >= scored] = END
        leading_first = 2 ** torch.arange(self.config.marks - 1, -1, -1)
        return Batch(inputs, (marks * leading_first).sum(1, keepdim=True), scored)

    def _places(self, lag: int, batch_size: int, generator: torch.Generator) -> Tensor:
        """A step for each mark, within its scaled window (B, marks)."""
        steps = self.source_length(lag)
        latest = steps - 1 - (lag if self.promises_lag else 0)
        places = []
        for first, last in self.windows:
            low, high = steps * first // 100, min(steps * last // 100, latest)
            places.append(torch.randint(low, high + 1, (batch_size, 1), generator=generator))
        return torch.cat(places, dim=1)
