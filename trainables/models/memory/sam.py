"""``sam``: sparse access memory (Rae et al. 2016, arXiv 1610.09027).

A head reads the K slots that are most like its key, and writes to those it read last and to the
slot that is longest unused, which is wiped first:

w^R_t = softmax over the K best of strength x cosine(key, slot), 0 elsewhere
w^W_t = a (g w^R_{t-1} + (1 - g) u_t), u_t the slot that is longest unused
M_t = (1 - u_t 1^T) M_{t-1} + w^W_t v^T, r_t = M_t^T w^R_t

What is neither read nor unused is left alone, exactly, and no gradient reaches it. Which slots are
the K best is found by looking at all of them, where the paper looks up an index that is nearly
right; so a step costs as much as any memory's, while what it changes is sparse.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from trainables.models.kernels.compiled.memories.controller import Driven
from trainables.models.layer import Surroundings
from trainables.models.memory.addressing import inverse_lengths
from trainables.models.memory.controllers import Carried
from trainables.models.memory.external import ExternalMemory, MemoryConfig
from trainables.models.memory.recency import Ranks, first_ranks, longest_unused, ranks_after

ACCESSED = 0.005
"""The weight above which a slot counts as read or written (the paper's delta)."""


class SamState(NamedTuple):
    """What is carried; ``weights`` are those of the last reads."""

    memory: Float[Tensor, "B N W"]
    weights: Float[Tensor, "B H N"]
    ranks: Ranks
    reads: Float[Tensor, "B R"]
    hidden: Carried
    cell: Carried


class Sam(ExternalMemory):
    """Each of ``num_read_heads`` heads reads and writes; M, weights and reads start as zeros.

    At each step the heads wipe and write, each a slot of its own that is unused, then read.
    """

    class Config(MemoryConfig):
        """``slots_a_read``: K, how many slots a head reads at a step; the paper takes 4 to 8."""

        kind: Literal["sam"] = "sam"
        slots_a_read: int = Field(default=4, ge=1)

        @model_validator(mode="after")
        def _slots_suffice(self) -> Sam.Config:
            for name in ("slots_a_read", "num_read_heads"):
                if getattr(self, name) > self.num_slots:
                    raise ValueError(
                        f"{name}: {getattr(self, name)} is not allowed; "
                        f"with num_slots {self.num_slots} it is at most {self.num_slots}"
                    )
            return self

    def __init__(self, config: Config, around: Surroundings) -> None:
        H, W = config.num_read_heads, config.slot_width
        self.interface_sizes = [H * W, H, 2 * H, H * W]  # keys, strengths, gates, what is written
        super().__init__(config, around, sum(self.interface_sizes))

    def initial_state(self, batch_size: int) -> SamState:
        """Nothing written and nothing read; the first slot is the first to be taken."""
        N, W, H = self.config.num_slots, self.config.slot_width, self.config.num_read_heads
        weight = self.interface.weight
        return SamState(
            weight.new_zeros(batch_size, N, W),
            weight.new_zeros(batch_size, H, N),
            first_ranks(batch_size, N, weight.device),
            weight.new_zeros(batch_size, H * W),
            *self.controller.initial_state(batch_size),
        )

    def advance(
        self, projected: Float[Tensor, "B G"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B R"], SamState]:
        """Wipe, write, read."""
        memory, weights, ranks, reads, hidden, cell = state
        output, hidden, cell = self.controller(projected, reads, hidden, cell)
        B, H = len(output), self.config.num_read_heads
        keys, strengths, gates, written = self.interface(output).split(self.interface_sizes, dim=1)
        writes, again = gates.sigmoid().unsqueeze(-1).chunk(2, dim=1)

        unused = torch.zeros_like(weights).scatter(2, longest_unused(ranks, H).unsqueeze(-1), 1.0)
        to_write = writes * (again * weights + (1 - again) * unused)
        wiped = memory * (1 - unused.sum(1)).unsqueeze(-1)
        memory = torch.baddbmm(wiped, to_write.mT, written.view(B, H, -1))

        keys, strengths = keys.view(B, H, -1), nn.functional.softplus(strengths)
        weights = sparse_weights(keys, strengths, memory, self.config.slots_a_read)
        reads = torch.bmm(weights, memory).flatten(1)
        accessed = ((weights > ACCESSED) | (to_write > ACCESSED)).any(1)
        ranks = ranks_after(ranks, accessed)
        return output, reads, SamState(memory, weights, ranks, reads, hidden, cell)

    @property
    def is_compiled(self) -> bool:
        """No kernel knows it."""
        return False

    def scan_compiled(
        self, driven: Driven, state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "T B D"], Float[Tensor, "T B R"], SamState]:
        """There is none."""
        raise NotImplementedError

    def memory_flops_per_step(self) -> float:
        """Every head's cosines, wiping and writing, and the reads."""
        config = self.config
        return 2.0 * 3 * config.num_read_heads * config.num_slots * config.slot_width


def sparse_weights(
    keys: Float[Tensor, "B H W"],
    strengths: Float[Tensor, "B H"],
    memory: Float[Tensor, "B N W"],
    count: int,
) -> Float[Tensor, "B H N"]:
    """Softmax of strength x cosine over the ``count`` slots of the highest, 0 elsewhere.

    Of slots that are as like a key, the first by number count; gradients take which slots they are
    as given. Cosines are those of `trainables.models.memory.addressing.content_weights`.
    """
    scores = torch.bmm(keys * (strengths * inverse_lengths(keys)).unsqueeze(-1), memory.mT)
    scores = scores * inverse_lengths(memory).unsqueeze(1)
    best, slots = scores.sort(dim=-1, descending=True, stable=True)
    return torch.zeros_like(scores).scatter(2, slots[..., :count], best[..., :count].softmax(-1))
