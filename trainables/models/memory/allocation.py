"""Which slots are free: usage and allocation (Graves et al. 2016, Methods, dynamic allocation)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

Slots = Float[Tensor, "B N"]


def usage_after(
    usage: Slots,
    write_weights: Slots,
    free_gates: Float[Tensor, "B R"],
    read_weights: Float[Tensor, "B R N"],
) -> Slots:
    """u_t = (u + w - u w) prod_r (1 - f_r w_r): what was written is used, what was freed is not.

    All of it is of the step before but the gates. Clamped to [0, 1], which rounding leaves by a
    hair.
    """
    written = torch.addcmul(usage + write_weights, usage, write_weights, value=-1)
    for freed in (free_gates.unsqueeze(-1) * read_weights).unbind(1):
        written = torch.addcmul(written, written, freed, value=-1)
    return written.clamp(0, 1)


def retention(
    free_gates: Float[Tensor, "B R"], read_weights: Float[Tensor, "B R N"]
) -> Float[Tensor, "B N"]:
    """psi = prod_r (1 - f_r w_r): how much of each slot no head let go."""
    return (1 - free_gates.unsqueeze(-1) * read_weights).prod(1)


def allocation(usage: Slots) -> Slots:
    """The freest slot first: a[phi_j] = (1 - u[phi_j]) prod_{i < j} u[phi_i], u[phi] ascending.

    The order is taken as given: gradients flow through the sorted values, not through which slot
    comes first. Slots equally used come in the order of their number.
    """
    ascending, order = usage.sort(dim=-1, stable=True)
    before = torch.nn.functional.pad(ascending[:, :-1].cumprod(-1), (1, 0), value=1.0)
    sorted_allocation = (1 - ascending) * before
    return torch.zeros_like(usage).scatter(-1, order, sorted_allocation)
