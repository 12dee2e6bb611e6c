"""``flip_flop``: the bit last written, among reads and bits to ignore.

w b_1  i b_2  r b_1  w b_4 ..  i b  i b .. i b  r  ->  the bit of the last w

Flip-flop language (Liu et al. 2023): pairs of an instruction and a bit, the first a write, the
last a read, the others at random; T = 512 there, with 0.8 to ignore.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from trainables.tasks.answer import NO_CLASS
from trainables.tasks.task import SYMBOL, Batch, ClassAnswer, ProtocolConfig, Symbols, Task

WRITE, READ, IGNORE, ZERO = 0, 1, 2, 3


class FlipFlop(Task):
    """One answer a sequence, at least ``lag`` steps after the bit was last seen; T = 2 lag + 1.

    The first half is drawn as in the paper, reads showing the bit; in the second all is to be
    ignored, up to the last step, a read. Bits stand at odd steps and the last read at an even
    one, so at an even ``lag`` the shortest true one is lag + 1. Symbols: 0 write, 1 read,
    2 ignore, 3 and 4 the bits; the answer is the bit. Chance: 1 / 2.

    ``protocol: paper``: all is drawn as in the paper, over its whole T = 2 lag, of which the last
    bit is the answer and not shown; every read is asked, and its bit shown at the step after. The
    glitch rate is the share of all these answers that are wrong.
    """

    class Config(ProtocolConfig):
        """``ignored``: the fraction of ignores; writes and reads share the rest.

        The paper trains at 0.8 and tests at 0.8, 0.98 and 0.1.
        """

        kind: Literal["flip_flop"] = "flip_flop"
        ignored: float = Field(default=0.8, ge=0, le=1)

    inputs = Symbols(5)
    answer = ClassAnswer(2)

    def __init__(self, config: Config) -> None:
        super().__init__(config)

    @property
    def symbol_names(self) -> tuple[str, ...]:
        return ("write", "read", "ignore", *self.class_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        return ("bit 0", "bit 1")

    def length(self, lag: int) -> int:
        """The paper's T, less the bit that is asked for where all is the paper's."""
        return 2 * lag + (1 if self.promises_lag else -1)

    @property
    def shortest_lag(self) -> int:
        """The paper's first write and last read."""
        return 1 if self.promises_lag else 2

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        self._require(lag)
        if not self.promises_lag:
            return self._paper(lag, batch_size, generator)
        steps = self.length(lag)
        instructions = self._instructions(batch_size, lag, generator)
        instructions[:, (lag + 1) // 2 :] = IGNORE
        bits, stored = _bits(instructions, generator)
        inputs = torch.full((batch_size, steps), READ, dtype=SYMBOL)
        inputs[:, 0:-1:2] = instructions
        inputs[:, 1:-1:2] = ZERO + bits
        return Batch(inputs, stored[:, -1:], torch.full((batch_size, 1), steps - 1))

    def _paper(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        instructions = self._instructions(batch_size, lag, generator)
        instructions[:, -1] = READ
        bits, stored = _bits(instructions, generator)
        inputs = torch.stack((instructions, ZERO + bits), dim=-1).flatten(1)[:, :-1]
        reads = instructions == READ
        columns = torch.where(reads, torch.arange(lag), -1).sort().values
        there = columns >= 0
        targets = torch.where(there, stored.gather(1, columns.clamp(min=0)), NO_CLASS)
        return Batch(inputs.to(SYMBOL), targets, torch.where(there, 2 * columns, 0))

    def _instructions(self, batch_size: int, pairs: int, generator: torch.Generator) -> Tensor:
        """The first a write, the others at random (B, pairs)."""
        shape = (batch_size, pairs)
        chosen = torch.rand(shape, generator=generator)
        active = 1 - self.config.ignored
        instructions = torch.where(chosen < active, READ, IGNORE)
        instructions[chosen < active / 2] = WRITE
        instructions[:, 0] = WRITE
        return instructions


def _bits(instructions: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The bit after each instruction, and the one last written (B, pairs) both."""
    bits = torch.randint(2, instructions.shape, generator=generator)
    writes = torch.where(instructions == WRITE, torch.arange(instructions.shape[1]), 0)
    stored = bits.gather(1, writes.cummax(1).values)
    return torch.where(instructions == READ, stored, bits), stored
