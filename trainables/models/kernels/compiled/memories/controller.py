"""Controllers of an external memory as one product, as the compiled memories run them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.models.kernels.compiled.maps import mapped
from trainables.models.memory.controllers import Controller, FeedForward, Gru, Lstm, Rnn

CODES: dict[type[Controller], int] = {FeedForward: 0, Rnn: 1, Gru: 2, Lstm: 3}
"""As `source/controller.h` numbers them."""


class Driven(NamedTuple):
    """A controller with its inputs.

    Attributes:
        code: its kind
        projected: what the inputs say to its gates
        weight: the map of [reads, hidden] to the gates; of the reads alone without a hidden state

    """

    code: int
    projected: Float[Tensor, "T B G"]
    weight: Float[Tensor, "G K"]


def drive(controller: Controller, x: Float[Tensor, "T B D"]) -> Driven:
    """The controller on inputs, with the gate `new` of a GRU in two halves: inputs and state."""
    projected, code = mapped(controller.project, x), CODES[type(controller)]
    if isinstance(controller, FeedForward | Rnn | Lstm):
        return Driven(code, projected, controller.recur.weight)
    assert isinstance(controller, Gru)
    D, recur = controller.width, controller.recur
    from_reads, from_hidden = controller.observe.weight, recur.weight
    ours, theirs = recur.bias.split([2 * D, D])
    sided = torch.cat(
        (projected + torch.cat((ours, torch.zeros_like(theirs))),
         theirs.expand(*projected.shape[:2], D)), dim=-1
    )  # fmt: skip
    apart = torch.block_diag(from_reads[2 * D :], from_hidden[2 * D :])
    weight = torch.cat((torch.cat((from_reads[: 2 * D], from_hidden[: 2 * D]), dim=1), apart))
    return Driven(code, sided, weight)
