"""What all nets with an external memory share: a controller, an interface, and an answer."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.kernels.compiled.maps import mapped
from trainables.models.kernels.compiled.memories.controller import CODES, Driven, drive
from trainables.models.kernels.door import suits
from trainables.models.layer import PartConfig, Recurrence, Surroundings
from trainables.models.memory.controllers import CONTROLLERS, Lstm
from trainables.parts import OneOf
from trainables.shapes import Stream


class MemoryConfig(PartConfig):
    """The size of a memory and who drives it.

    Attributes:
        controller: the net that is fed with the input and the last reads
        num_slots: N, the memory's slots
        slot_width: W, numbers in a slot
        num_read_heads: how many vectors are read at a step

    """

    controller: Annotated[PartConfig, OneOf(CONTROLLERS)] = Lstm.Config()
    num_slots: int = Field(default=64, ge=1, le=65_536)
    slot_width: int = Field(default=16, ge=1, le=4096)
    num_read_heads: int = Field(default=1, ge=1, le=64)


class ExternalMemory(Recurrence):
    """h_t = controller(x_t, r_{t-1}), r_t = memory(h_t), y_t = V [h_t; r_t] + c.

    One linear map of h_t, the interface, holds all that the heads are told.
    """

    def __init__(self, config: MemoryConfig, around: Surroundings, interface_size: int) -> None:
        super().__init__(config, around)
        read_size = config.num_read_heads * config.slot_width
        controller = CONTROLLERS[config.controller.kind]
        self.controller = controller(config.controller, around.width, read_size)
        self.interface = nn.Linear(around.width, interface_size)
        self.answer = nn.Linear(around.width + read_size, around.width)

    @abstractmethod
    def advance(
        self, projected: Float[Tensor, "B G"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B R"], tuple[Tensor, ...]]:
        """One step from the controller's projected input: h_t, r_t (all heads) and the state."""

    @abstractmethod
    def scan_compiled(
        self, driven: Driven, state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "T B D"], Float[Tensor, "T B R"], tuple[Tensor, ...]]:
        """`advance` over all steps by a compiled kernel, time first."""

    @property
    def is_compiled(self) -> bool:
        """Whether a compiled kernel knows this memory and its controller."""
        return type(self.controller) in CODES

    @abstractmethod
    def memory_flops_per_step(self) -> float:
        """Floating-point operations that grow with the memory's size."""

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """`advance` over time; the maps into the controller and to the answer take all steps."""
        if self.is_compiled and suits(x, *state, *self.parameters()):
            driven = drive(self.controller, x.transpose(0, 1))
            h_TBD, r_TBR, state = self.scan_compiled(driven, state)
            y_TBD = mapped(self.answer, torch.cat((h_TBD, r_TBR), dim=-1))
            return y_TBD.transpose(0, 1), state
        outputs, reads = [], []
        for projected in self.controller.project(x).unbind(1):
            h, r, state = self.advance(projected, state)
            outputs.append(h)
            reads.append(r)
        y = self.answer(torch.cat((torch.stack(outputs, 1), torch.stack(reads, 1)), dim=-1))
        return y, state

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        h, r, state = self.advance(self.controller.project(x), state)
        return self.answer(torch.cat((h, r), dim=-1)), state

    def flops_per_step(self, length: int) -> float:
        """Controller, interface, memory and answer."""
        maps = 2.0 * (self.interface.weight.numel() + self.answer.weight.numel())
        return self.controller.flops_per_step() + maps + self.memory_flops_per_step()
