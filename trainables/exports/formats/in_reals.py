"""Recurrences of complex numbers, written in real ones: real parts, then imaginary parts.

What hangs on weights alone is computed once, so that a graph holds it as numbers.
"""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from trainables.models.cells.lru import Lru
from trainables.models.cells.s4d import S4d

Carried = tuple[Tensor, ...]


class LruInReals(nn.Module):
    """`Lru`, one step at a time: h_t = lambda h_{t-1} + gamma (B x_t)."""

    factor: Float[Tensor, "N 2"]
    gain: Float[Tensor, "N 1"]

    def __init__(self, layer: Lru) -> None:
        super().__init__()
        self.layer = layer
        factors = torch.polar(torch.exp(-layer.nu.exp()), layer.theta.exp())
        self.register_buffer("factor", torch.view_as_real(factors.detach()))
        self.register_buffer("gain", layer.gamma.detach().exp()[:, None])

    def initial_state(self, batch_size: int) -> Carried:
        """As the layer's."""
        return self.layer.initial_state(batch_size)

    def step(self, x: Float[Tensor, "B D"], state: Carried) -> tuple[Float[Tensor, "B D"], Carried]:
        """One step of the equation above, and the layer's read-out."""
        driven = self.layer.drive(x).unflatten(-1, (-1, 2)) * self.gain
        h = _product(self.factor, state[0]) + driven
        return self.layer.mix(self.layer.read(h.flatten(-2)) + self.layer.skip * x), (h,)


class S4dInReals(nn.Module):
    """`S4d`, one step at a time: s_t = exp(dt A) s_{t-1} + (exp(dt A) - 1) / A u_t."""

    factor: Float[Tensor, "D n 2"]
    gain: Float[Tensor, "D n 2"]
    read: Float[Tensor, "D n 2"]

    def __init__(self, layer: S4d) -> None:
        super().__init__()
        self.layer = layer
        rates = torch.complex(-layer.log_damping.exp(), layer.frequency)
        exponents = layer.log_dt.exp()[:, None] * rates
        conjugate = torch.tensor([2.0, -2.0])  # so that a sum of products is 2 Re(c . s)
        self.register_buffer("factor", _parts(exponents.exp()))
        self.register_buffer("gain", _parts(torch.expm1(exponents) / rates))
        self.register_buffer("read", layer.read.detach() * conjugate)

    def initial_state(self, batch_size: int) -> Carried:
        """As the layer's."""
        return self.layer.initial_state(batch_size)

    def step(self, x: Float[Tensor, "B D"], state: Carried) -> tuple[Float[Tensor, "B D"], Carried]:
        """One step of the equation above, and y_t = mix(2 Re(c . s_t) + d u_t)."""
        s = _product(self.factor, state[0]) + self.gain * x[..., None, None]
        y = (self.read * s).sum((-2, -1))
        return self.layer.mix(y + self.layer.skip * x), (s,)


def _product(a: Float[Tensor, "*N 2"], b: Float[Tensor, "B *N 2"]) -> Float[Tensor, "B *N 2"]:
    """The product of complex numbers."""
    real = a[..., 0] * b[..., 0] - a[..., 1] * b[..., 1]
    imaginary = a[..., 0] * b[..., 1] + a[..., 1] * b[..., 0]
    return torch.stack((real, imaginary), dim=-1)


def _parts(z: Complex[Tensor, "*N"]) -> Float[Tensor, "*N 2"]:
    return torch.view_as_real(z.detach())
