"""``ntm``: the Neural Turing Machine (Graves, Wayne, Danihelka 2014)."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from trainables.models.kernels.compiled.memories.controller import Driven
from trainables.models.kernels.compiled.memories.ntm import Heads, ntm_scan
from trainables.models.layer import Surroundings
from trainables.models.memory.addressing import content_weights, interpolate, sharpen, shift
from trainables.models.memory.controllers import Carried
from trainables.models.memory.external import ExternalMemory, MemoryConfig
from trainables.models.memory.slots import read, write


class NtmState(NamedTuple):
    """What is carried; ``weights`` are those of the read heads, then of the write heads."""

    memory: Float[Tensor, "B N W"]
    weights: Float[Tensor, "B H N"]
    reads: Float[Tensor, "B R"]
    hidden: Carried
    cell: Carried


class Ntm(ExternalMemory):
    """Heads find slots by content or walk from where they were.

    At each step all heads address M_{t-1}, the write heads turn it into M_t, the read heads read
    M_t. Weights and reads before the first step are learned, and one slot that fills M_0: slots
    that start alike are told apart by place, so what is learned on few of them holds on many
    (Collier & Beel 2018 found a constant M_0 to learn best).
    """

    class Config(MemoryConfig):
        """``max_shift`` is how many slots a head can walk in a step, either way."""

        kind: Literal["ntm"] = "ntm"
        num_write_heads: int = Field(default=1, ge=1, le=64)
        max_shift: int = Field(default=1, ge=0)

        @model_validator(mode="after")
        def _shifts_fit(self) -> Ntm.Config:
            most = (self.num_slots - 1) // 2
            if self.max_shift > most:
                raise ValueError(
                    f"max_shift: {self.max_shift} is not allowed; "
                    f"with num_slots {self.num_slots} it is at most {most}"
                )
            return self

    def __init__(self, config: Config, around: Surroundings) -> None:
        N, W = config.num_slots, config.slot_width
        H = config.num_read_heads + config.num_write_heads
        sizes = [
            H * W,  # keys
            2 * H,  # strengths and exponents
            H + config.num_write_heads * W,  # gates and erase vectors
            H * (2 * config.max_shift + 1),  # shifts
            config.num_write_heads * W,  # add vectors
        ]
        super().__init__(config, around, sum(sizes))
        self.num_heads, self.interface_sizes = H, sizes
        self.initial_slot = nn.Parameter(torch.full((W,), 1e-6))
        self.initial_logits = nn.Parameter(torch.zeros(H, N))
        self.initial_reads = nn.Parameter(torch.zeros(config.num_read_heads * W))
        with torch.no_grad():  # heads start at slot 0: equal slots under level weights stay equal
            self.initial_logits[:, 0] = 5.0

    def initial_state(self, batch_size: int) -> NtmState:
        """The learned slot, N times, the learned weights and reads; the same in every row."""
        return NtmState(
            self.initial_slot.repeat(batch_size, self.config.num_slots, 1),
            self.initial_logits.softmax(-1).repeat(batch_size, 1, 1),
            self.initial_reads.repeat(batch_size, 1),
            *self.controller.initial_state(batch_size),
        )

    def advance(
        self, projected: Float[Tensor, "B G"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B R"], NtmState]:
        """Address, write, read."""
        memory, weights, reads, hidden, cell = state
        output, hidden, cell = self.controller(projected, reads, hidden, cell)
        B, H, R = len(output), self.num_heads, self.config.num_read_heads
        keys, positive, unit, shifts, add = self.interface(output).split(
            self.interface_sizes, dim=1
        )
        strengths, exponents = nn.functional.softplus(positive).chunk(2, dim=1)
        gates, erase = unit.sigmoid().split([H, unit.shape[1] - H], dim=1)

        content = content_weights(keys.view(B, H, -1), strengths, memory)
        walked = shift(interpolate(content, weights, gates), shifts.reshape(B, H, -1).softmax(-1))
        weights = sharpen(walked, 1 + exponents)
        to_read, to_write = weights.split([R, H - R], dim=1)
        memory = write(memory, to_write, erase.view(B, H - R, -1), add.view(B, H - R, -1))
        reads = read(memory, to_read).flatten(1)
        return output, reads, NtmState(memory, weights, reads, hidden, cell)

    def scan_compiled(
        self, driven: Driven, state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "T B D"], Float[Tensor, "T B R"], NtmState]:
        """The same over all steps, compiled."""
        config = self.config
        heads = Heads(config.num_read_heads, config.num_write_heads, 2 * config.max_shift + 1)
        h, r, last = ntm_scan(driven, self.interface.weight, self.interface.bias, state, heads)
        return h, r, NtmState(*last)

    def memory_flops_per_step(self) -> float:
        """Every head's cosines, the write heads' erasing and adding, the read heads' reading."""
        config = self.config
        products = self.num_heads + 2 * config.num_write_heads + config.num_read_heads
        return 2.0 * products * config.num_slots * config.slot_width
