"""Recurrences whose own step is not for a graph: of complex numbers, or with a matrix to be made.

What hangs on weights alone is computed once, so that a graph holds it as numbers; complex numbers
are pairs of real ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from trainables.models.cells.lmu import Lmu, sampled_memory
from trainables.models.cells.lru import Lru
from trainables.models.cells.orthogonal_rnn import OrthogonalRnn
from trainables.models.cells.s4d import S4d
from trainables.models.layer import Recurrence

Carried = tuple[Tensor, ...]


class StandIn(nn.Module, ABC):
    """Steps as its layer does, up to rounding, at the weights that the layer has now."""

    def __init__(self, layer: Recurrence) -> None:
        super().__init__()
        self.initial_state = layer.initial_state

    @abstractmethod
    def step(self, x: Float[Tensor, "B D"], state: Carried) -> tuple[Float[Tensor, "B D"], Carried]:
        """One step: its answer and the next state."""


class LruInReals(StandIn):
    """`Lru`, one step at a time: h_t = lambda h_{t-1} + gamma (B x_t)."""

    factor: Float[Tensor, "N 2"]
    gain: Float[Tensor, "N 1"]

    def __init__(self, layer: Lru) -> None:
        super().__init__(layer)
        self.layer = layer
        factors = torch.polar(torch.exp(-layer.nu.exp()), layer.theta.exp())
        self.register_buffer("factor", torch.view_as_real(factors.detach()))
        self.register_buffer("gain", layer.gamma.detach().exp()[:, None])

    def step(self, x: Float[Tensor, "B D"], state: Carried) -> tuple[Float[Tensor, "B D"], Carried]:
        """One step of the equation above, and the layer's read-out."""
        driven = self.layer.drive(x).unflatten(-1, (-1, 2)) * self.gain
        h = _product(self.factor, state[0]) + driven
        return self.layer.mix(self.layer.read(h.flatten(-2)) + self.layer.skip * x), (h,)


class S4dInReals(StandIn):
    """`S4d`, one step at a time: s_t = exp(dt A) s_{t-1} + (exp(dt A) - 1) / A u_t."""

    factor: Float[Tensor, "D n 2"]
    gain: Float[Tensor, "D n 2"]
    read: Float[Tensor, "D n 2"]

    def __init__(self, layer: S4d) -> None:
        super().__init__(layer)
        self.layer = layer
        rates = torch.complex(-layer.log_damping.exp(), layer.frequency)
        exponents = layer.log_dt.exp()[:, None] * rates
        conjugate = torch.tensor([2.0, -2.0])  # so that a sum of products is 2 Re(c . s)
        self.register_buffer("factor", _parts(exponents.exp()))
        self.register_buffer("gain", _parts(torch.expm1(exponents) / rates))
        self.register_buffer("read", layer.read.detach() * conjugate)

    def step(self, x: Float[Tensor, "B D"], state: Carried) -> tuple[Float[Tensor, "B D"], Carried]:
        """One step of the equation above, and y_t = mix(2 Re(c . s_t) + d u_t)."""
        s = _product(self.factor, state[0]) + self.gain * x[..., None, None]
        y = (self.read * s).sum((-2, -1))
        return self.layer.mix(y + self.layer.skip * x), (s,)


class OrthogonalOnce(StandIn):
    """`OrthogonalRnn`, its matrix made: h_t = modrelu(W x_t + Q h_{t-1})."""

    turned: Float[Tensor, "D D"]

    def __init__(self, layer: OrthogonalRnn) -> None:
        super().__init__(layer)
        self.layer = layer
        self.register_buffer("turned", layer.rotation().detach().mT.contiguous())

    def step(self, x: Float[Tensor, "B D"], state: Carried) -> tuple[Float[Tensor, "B D"], Carried]:
        """One step of the equation above."""
        z = self.layer.enter(x) + state[0] @ self.turned
        h = torch.sign(z) * torch.relu(z.abs() + self.layer.bias)
        return h, (h,)


class LmuSampled(StandIn):
    """`Lmu`, its memory's matrices made: m_t = A m_{t-1} + B u_t for each signal."""

    kept: Float[Tensor, "d d"]
    added: Float[Tensor, " d"]

    def __init__(self, layer: Lmu) -> None:
        super().__init__(layer)
        self.layer = layer
        A, b = sampled_memory(layer.config.order, layer.config.theta)
        self.register_buffer("kept", A.mT.float().contiguous())
        self.register_buffer("added", b.float())

    def step(self, x: Float[Tensor, "B D"], state: Carried) -> tuple[Float[Tensor, "B D"], Carried]:
        """One step of the equation above, and y_t = tanh(W_m m_t + W_x x_t + b)."""
        m = state[0] @ self.kept + self.layer.signals(x)[..., None] * self.added
        return torch.tanh(self.layer.read(m.flatten(-2)) + self.layer.skip(x)), (m,)


def _product(a: Float[Tensor, "*N 2"], b: Float[Tensor, "B *N 2"]) -> Float[Tensor, "B *N 2"]:
    """The product of complex numbers."""
    real = a[..., 0] * b[..., 0] - a[..., 1] * b[..., 1]
    imaginary = a[..., 0] * b[..., 1] + a[..., 1] * b[..., 0]
    return torch.stack((real, imaginary), dim=-1)


def _parts(z: Complex[Tensor, "*N"]) -> Float[Tensor, "*N 2"]:
    return torch.view_as_real(z.detach())


STAND_INS: dict[type[Recurrence], Callable[[Any], StandIn]] = {
    Lru: LruInReals,
    S4d: S4dInReals,
    OrthogonalRnn: OrthogonalOnce,
    Lmu: LmuSampled,
}
