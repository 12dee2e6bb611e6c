"""``dnc``: the differentiable neural computer (Graves et al. 2016)."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.models.kernels.compiled.memories.controller import Driven
from trainables.models.kernels.compiled.memories.dnc import Fixes, Start, dnc_scan
from trainables.models.layer import Surroundings
from trainables.models.memory.addressing import content_weights, interpolate, masked_content_weights
from trainables.models.memory.allocation import allocation, retention, usage_after
from trainables.models.memory.controllers import Carried
from trainables.models.memory.external import ExternalMemory, MemoryConfig
from trainables.models.memory.links import directions, links_after, precedence_after, sharpened
from trainables.models.memory.slots import read, write


class DncState(NamedTuple):
    """What is carried; L is N with links and zero without."""

    memory: Float[Tensor, "B N W"]
    usage: Float[Tensor, "B N"]
    write_weights: Float[Tensor, "B N"]
    read_weights: Float[Tensor, "B R N"]
    precedence: Float[Tensor, "B L"]
    links: Float[Tensor, "B L L"]
    reads: Float[Tensor, "B R"]
    hidden: Carried
    cell: Carried


class Interface(NamedTuple):
    """What the controller tells the memory at a step; R read heads, one write head."""

    keys: Float[Tensor, "B R+1 W"]
    strengths: Float[Tensor, "B R+1"]
    erase: Float[Tensor, "B 1 W"]
    write: Float[Tensor, "B 1 W"]
    free_gates: Float[Tensor, "B R"]
    allocation_gate: Float[Tensor, "B 1"]
    write_gate: Float[Tensor, "B 1"]
    read_modes: Float[Tensor, "B R 3"]
    """Shares of backward, content, forward."""
    masks: Float[Tensor, "B R+1 W"]
    exponents: Float[Tensor, "B 2 R"]
    """Of backward and forward. Masks and exponents are empty where they are not asked for."""


class Dnc(ExternalMemory):
    """A memory that knows which slots are free and in which order they were written.

    One write head; M_0 = 0 and all weights start at zero, as in the paper. Without links reading
    is by content alone, and a step costs N instead of N squared.
    """

    class Config(MemoryConfig):
        """What the memory does beyond reading and writing by content.

        Attributes:
            links: whether the order of writing is kept: N x N numbers a sequence
            masked: whether a key says which of its numbers it knows
            erases_freed: whether what is let go is wiped too, not only given out anew
            sharpened: whether what links lead to is sharpened; without links nothing

        The last three are those of Csordas & Schmidhuber 2019.
        """

        kind: Literal["dnc"] = "dnc"
        links: bool = True
        masked: bool = False
        erases_freed: bool = False
        sharpened: bool = False

        later: ClassVar[frozenset[str]] = frozenset({"masked", "erases_freed", "sharpened"})

    def __init__(self, config: Config, around: Surroundings) -> None:
        R, W = config.num_read_heads, config.slot_width
        sizes = [
            (R + 1) * W,  # keys, the writing head's last
            R + 1,  # strengths
            W + R + 2,  # erase vector; free, allocation and write gates
            W,  # write vector
            3 * R * config.links,
        ]
        self.further_sizes = [(R + 1) * W * config.masked, 2 * R * self._sharpens(config)]
        super().__init__(config, around, sum(sizes) + sum(self.further_sizes))
        self.interface_sizes = sizes

    @staticmethod
    def _sharpens(config: Config) -> bool:
        return config.sharpened and config.links

    def initial_state(self, batch_size: int) -> DncState:
        """Nothing written, nothing read."""
        config = self.config
        B, N, R, W = batch_size, config.num_slots, config.num_read_heads, config.slot_width
        linked = N * config.links
        zeros = self.interface.weight.new_zeros
        return DncState(
            zeros(B, N, W),
            zeros(B, N),
            zeros(B, N),
            zeros(B, R, N),
            zeros(B, linked),
            zeros(B, linked, linked),
            zeros(B, R * W),
            *self.controller.initial_state(B),
        )

    def advance(
        self, projected: Float[Tensor, "B G"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B R"], DncState]:
        """The controller's step, then the memory's."""
        last = DncState(*state)
        output, hidden, cell = self.controller(projected, last.reads, last.hidden, last.cell)
        heads = self.heads(output)
        usage = usage_after(last.usage, last.write_weights, heads.free_gates, last.read_weights)
        write_weights = self.write_weights(heads, last.memory, usage)
        held = last.memory
        if self.config.erases_freed:
            held = held * retention(heads.free_gates, last.read_weights).unsqueeze(-1)
        memory = write(held, write_weights.unsqueeze(1), heads.erase, heads.write)
        precedence, links = last.precedence, last.links
        if self.config.links:
            links = links_after(links, write_weights, precedence)
            precedence = precedence_after(precedence, write_weights)
        read_weights = self.read_weights(heads, memory, links, last.read_weights)
        reads = read(memory, read_weights).flatten(1)
        return output, reads, DncState(
            memory, usage, write_weights, read_weights, precedence, links, reads, hidden, cell
        )  # fmt: skip

    def scan_compiled(
        self, driven: Driven, state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "T B D"], Float[Tensor, "T B R"], DncState]:
        """The same over all steps, compiled."""
        memory, usage, write_weights, read_weights, precedence, links, *carried = state
        start = Start(memory.mT, links, usage, write_weights, read_weights, precedence, *carried)
        config, interface = self.config, self.interface
        fixes = Fixes(config.masked, config.erases_freed, self._sharpens(config))
        h, r, last = dnc_scan(driven, interface.weight, interface.bias, start, fixes)
        return h, r, DncState(
            last.memory.mT, last.usage, last.write_weights, last.read_weights, last.precedence,
            last.links, last.reads, last.hidden, last.cell,
        )  # fmt: skip

    def heads(self, output: Float[Tensor, "B D"]) -> Interface:
        """The interface vector, in its parts and ranges."""
        R, W, B = self.config.num_read_heads, self.config.slot_width, len(output)
        keys, strengths, unit, add, modes, masks, exponents = self.interface(output).split(
            self.interface_sizes + self.further_sizes, dim=1
        )
        erase, free, allocate, gate = unit.sigmoid().split([W, R, 1, 1], dim=1)
        return Interface(
            keys.view(B, R + 1, W),
            1 + nn.functional.softplus(strengths),
            erase.unsqueeze(1),
            add.unsqueeze(1),
            free,
            allocate,
            gate,
            modes.reshape(B, R, -1).softmax(-1),
            masks.sigmoid().unflatten(1, (-1, W)),
            1 + nn.functional.softplus(exponents).unflatten(1, (2, -1)),
        )

    def write_weights(
        self, heads: Interface, memory: Float[Tensor, "B N W"], usage: Float[Tensor, "B N"]
    ) -> Float[Tensor, "B N"]:
        """g_w (g_a a + (1 - g_a) c): into a free slot or into the slot most like the key."""
        content = self._content(heads, slice(-1, None), memory)
        free = allocation(usage).unsqueeze(1)
        return heads.write_gate * interpolate(free, content, heads.allocation_gate).squeeze(1)

    def read_weights(
        self,
        heads: Interface,
        memory: Float[Tensor, "B N W"],
        links: Float[Tensor, "B L L"],
        last: Float[Tensor, "B R N"],
    ) -> Float[Tensor, "B R N"]:
        """pi_1 backward + pi_2 content + pi_3 forward; content alone without links."""
        content = self._content(heads, slice(0, -1), memory)
        if not self.config.links:
            return content
        before, after = directions(links, last)
        if self.config.sharpened:
            before, after = (
                sharpened(way, s)
                for way, s in zip((before, after), heads.exponents.unbind(1), strict=True)
            )
        back, here, ahead = heads.read_modes.unsqueeze(-1).unbind(2)
        return torch.addcmul(torch.addcmul(back * before, here, content), ahead, after)

    def _content(
        self, heads: Interface, which: slice, memory: Float[Tensor, "B N W"]
    ) -> Float[Tensor, "B H N"]:
        """By content, for some of the heads."""
        keys, strengths = heads.keys[:, which], heads.strengths[:, which]
        if self.config.masked:
            return masked_content_weights(keys, strengths, heads.masks[:, which], memory)
        return content_weights(keys, strengths, memory)

    def memory_flops_per_step(self) -> float:
        """Cosines, erasing and adding, reading; links and both directions for each read head."""
        N, R = self.config.num_slots, self.config.num_read_heads
        slots = (2 * R + 3 + (R + 1) * self.config.masked) * N * self.config.slot_width
        return 2.0 * (slots + (2 * R + 1) * N**2 * self.config.links)
