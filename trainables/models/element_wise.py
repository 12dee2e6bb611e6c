"""Recurrences whose units hear the input and themselves: h_t[n] = f(h_{t-1}[n], p_t[n], q[n]).

What each unit's state owes to the numbers p that drive it, and to its own factors q, is then one
number for each of them, which can be carried along with the state (`trainables.models.traces`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float, Num
from torch import Tensor

from trainables.models.kernels.compiled.linear import complex_scan
from trainables.models.kernels.door import suits
from trainables.models.kernels.scan import linear_scan
from trainables.models.layer import Recurrence, State


class ElementWise(Recurrence):
    """Says its parts: what drives the units, their states, and what is answered from those.

    U are the axes of the units, and real or complex numbers stand in them, in float32 at least.
    """

    @abstractmethod
    def driven(self, x: Float[Tensor, "*N D"]) -> Num[Tensor, "*N M *U"]:
        """The M numbers p that drive each unit, step by step; affine in x."""

    @abstractmethod
    def held(self) -> Sequence[Num[Tensor, "*U"]]:
        """Each unit's own factors q, the same at every step."""

    @abstractmethod
    def states(
        self, p: Num[Tensor, "T B M *U"], q: Sequence[Num[Tensor, " B *U"]], h: Num[Tensor, " B *U"]
    ) -> Num[Tensor, "T B *U"]:
        """The states after each step from the one before the first, a sequence's factors its own.

        Where numbers are complex, it is holomorphic in each of them.
        """

    @abstractmethod
    def answered(self, h: Num[Tensor, "*N *U"], x: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        """The layer's answers at steps whose states and inputs are these."""

    def units(self, state: State) -> Num[Tensor, " B *U"]:
        """The units' states in what is carried."""
        return state[0]


def complex_states(
    factors: Complex[Tensor, " B *U"],
    p: Complex[Tensor, "T B *U"],
    initial: Complex[Tensor, " B *U"],
) -> Complex[Tensor, "T B *U"]:
    """h_t = a h_{t-1} + p_t with a sequence's factors its own, compiled where kernels run."""
    if not suits(factors.real, p.real, initial.real):
        return linear_scan(factors[None], p, initial)
    a, h = (torch.view_as_real(z.flatten()).t() for z in (factors, initial))
    driven = torch.view_as_real(p.flatten(1)).mT[:, None]  # as if of one sequence
    states, _ = complex_scan(a, driven, h[None])
    return torch.view_as_complex(states[:, 0].mT.contiguous()).view(p.shape)
