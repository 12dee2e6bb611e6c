"""``flip_flop``: the bit last written, among reads and bits to ignore.

w b_1  i b_2  r b_1  w b_4 ..  i b  i b .. i b  r  ->  the bit of the last w

Flip-flop language (Liu et al. 2023): pairs of an instruction and a bit, the first a write, the
last a read, the others at random; T = 512 there, with 0.8 to ignore.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from trainables.tasks.task import Batch, ClassAnswer, Symbols, Task, TaskConfig

WRITE, READ, IGNORE, ZERO = 0, 1, 2, 3


class FlipFlop(Task):
    """One answer a sequence, at least ``lag`` steps after the bit was last seen; T = 2 lag + 1.

    The first half is drawn as in the paper, reads showing the bit; in the second all is to be
    ignored, up to the last step, a read. Bits stand at odd steps and the last read at an even
    one, so at an even ``lag`` the shortest true one is lag + 1. Symbols: 0 write, 1 read,
    2 ignore, 3 and 4 the bits; the answer is the bit. Chance: 1 / 2.
    """

    class Config(TaskConfig):
        """``ignored``: the fraction of ignores; writes and reads share the rest."""

        kind: Literal["flip_flop"] = "flip_flop"
        ignored: float = Field(default=0.8, ge=0, le=1)

    inputs = Symbols(5)
    answer = ClassAnswer(2)

    def __init__(self, config: Config) -> None:
        self.config = config

    @property
    def symbol_names(self) -> tuple[str, ...]:
        return ("write", "read", "ignore", *self.class_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        return ("bit 0", "bit 1")

    def length(self, lag: int) -> int:
        """The paper's T."""
        return 2 * lag + 1

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        self._require(lag)
        steps, shape = self.length(lag), (batch_size, lag)
        chosen = torch.rand(shape, generator=generator)
        active = 1 - self.config.ignored
        instructions = torch.where(chosen < active, READ, IGNORE)
        instructions[chosen < active / 2] = WRITE
        instructions[:, 0] = WRITE
        instructions[:, (lag + 1) // 2 :] = IGNORE
        bits = torch.randint(2, shape, generator=generator)
        writes = torch.where(instructions == WRITE, torch.arange(lag), 0)
        stored = bits.gather(1, writes.cummax(1).values)
        bits = torch.where(instructions == READ, stored, bits)
        inputs = torch.full((batch_size, steps), READ)
        inputs[:, 0:-1:2] = instructions
        inputs[:, 1:-1:2] = ZERO + bits
        return Batch(inputs, stored[:, -1:], torch.full((batch_size, 1), steps - 1))
