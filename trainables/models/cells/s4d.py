"""``s4d``: a diagonal state space in every channel (Gu et al. 2022, S4D-Lin).

s' = A s + u, sampled every dt: s_t = exp(dt A) s_{t-1} + (exp(dt A) - 1) / A u_t
y_t = 2 Re(c . s_t) + d u_t, then a gated mix of the channels

A channel's N / 2 complex rates are A_n = -1/2 + i pi n at the start, and stand for conjugate pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Complex, Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.element_wise import ElementWise, complex_states
from trainables.models.first_weights import TimescaleConfig
from trainables.models.gated_mix import GatedMix
from trainables.models.kernels.chunked.system import toeplitz
from trainables.models.kernels.compiled.linear import diagonal_scan
from trainables.models.kernels.door import suits
from trainables.models.kernels.scan import linear_scan, precise
from trainables.models.layer import State, Surroundings
from trainables.shapes import Stream

CHUNK = 64


class S4d(ElementWise):
    """A long convolution by chunks: products with a Toeplitz matrix inside, states between.

    No Fourier transform: a product of matrices is faster on a CPU, and exactly causal.
    """

    class Config(TimescaleConfig):
        """``state_size`` is N, real numbers a channel: two for each of N / 2 complex states."""

        kind: Literal["s4d"] = "s4d"
        state_size: int = Field(default=64, ge=2, multiple_of=2)

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        D, pairs = around.width, config.state_size // 2
        self.log_dt = nn.Parameter(config.draw_log_dt(D))
        self.log_damping = nn.Parameter(torch.full((D, pairs), math.log(0.5)))
        self.frequency = nn.Parameter((math.pi * torch.arange(pairs)).expand(D, pairs).clone())
        self.read = nn.Parameter(torch.randn(D, pairs, 2) * 0.5**0.5)
        self.skip = nn.Parameter(torch.randn(D))
        self.mix = GatedMix(D)

    def forward(self, x: Stream) -> Stream:
        """All chunks at once, but for the states that one hands to the next."""
        B, T, _ = x.shape
        state = self.initial_state(B)
        if suits(x, *state, *self.parameters()):
            return self.scan(x, state)[0]
        L = min(T, CHUNK)
        padded = nn.functional.pad(x.to(precise(x.dtype)), (0, 0, 0, -T % L))
        u_DLM = padded.unflatten(1, (-1, L)).permute(3, 2, 1, 0).flatten(2)  # M = chunks x B
        y_DLM = self._convolve(u_DLM, B)
        y = y_DLM.unflatten(2, (-1, B)).permute(3, 2, 1, 0).flatten(1, 2)[:, :T]
        return self._answer(y, x)

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """By a compiled kernel where it runs, else step by step.

        The kernel's states are the equations' without their gains, which the read-out takes over.
        """
        if not suits(x, *state, *self.parameters()):
            return super().scan(x, state)
        exponents, gains, read = self._sampled()
        x_TBD = x.transpose(0, 1).contiguous()
        initial = torch.view_as_real(torch.view_as_complex(state[0]) / gains).permute(0, 3, 2, 1)
        y, last = diagonal_scan(x_TBD, _apart(exponents.exp()), _apart(2 * read * gains), initial)
        states = torch.view_as_complex(last.permute(0, 3, 2, 1).contiguous()) * gains
        y = self.mix.compiled(y + self.skip * x_TBD)
        return y.transpose(0, 1), (torch.view_as_real(states),)

    def _convolve(self, u: Float[Tensor, "D L M"], batch: int) -> Float[Tensor, "D L M"]:
        """The answers 2 Re(c . s) at every step of every chunk."""
        L = u.shape[1]
        exponents, gains, read = self._sampled()
        powers = torch.exp(exponents[..., None] * torch.arange(L + 1, device=u.device))
        inside = toeplitz(2 * torch.einsum("dn,dnl->dl", read * gains, powers[..., :L]).real)
        y = inside @ u
        if u.shape[2] == batch:
            return y
        into = _parts(gains[..., None] * powers[..., :L].flip(-1))  # D 2n L
        states = (into @ u).unflatten(2, (-1, batch)).unflatten(1, (2, -1)).permute(3, 0, 4, 2, 1)
        states = torch.view_as_complex(states.contiguous())  # chunk, D, B, n
        ends = linear_scan(powers[None, :, None, :, L], states[:-1], torch.zeros_like(states[0]))
        starts = _parts(ends.permute(1, 3, 0, 2).flatten(2))  # D 2n M
        out = _parts(2 * (read[..., None] * powers[..., 1:]).conj())  # D 2n L
        return y + nn.functional.pad(out.transpose(1, 2) @ starts, (batch, 0))

    def driven(self, x: Float[Tensor, "*M D"]) -> Complex[Tensor, "*M 1 D n"]:
        """The gains times u, which all states of a channel see."""
        _, gains, _ = self._sampled()
        return (gains * x.to(gains.real.dtype)[..., None]).unsqueeze(-3)

    def held(self) -> Sequence[Complex[Tensor, "D n"]]:
        """exp(dt A)."""
        return (self._sampled()[0].exp(),)

    def states(
        self,
        p: Complex[Tensor, "T B 1 D n"],
        q: Sequence[Complex[Tensor, "B D n"]],
        h: Complex[Tensor, "B D n"],
    ) -> Complex[Tensor, "T B D n"]:
        """The scan."""
        return complex_states(q[0], p.squeeze(2), h)

    def answered(self, h: Complex[Tensor, "*M D n"], x: Float[Tensor, "*M D"]) -> Tensor:
        """mix(2 Re(c . s) + d u)."""
        return self._answer(2 * (self._sampled()[2] * h).sum(-1).real, x)

    def units(self, state: State) -> Complex[Tensor, "B D n"]:
        """In complex numbers."""
        return torch.view_as_complex(state[0])

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The zero state (B, D, N / 2, 2): real and imaginary parts, in float32 at least."""
        return (self.read.new_zeros(batch_size, *self.read.shape, dtype=precise(self.read.dtype)),)

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        exponents, gains, read = self._sampled()
        u = x.to(precise(x.dtype))
        s = exponents.exp() * torch.view_as_complex(state[0]) + gains * u[..., None]
        y = 2 * (read * s).sum(-1).real
        return self._answer(y, x), (torch.view_as_real(s),)

    def _sampled(self) -> tuple[Complex[Tensor, "D n"], ...]:
        """The exponent dt A, the gain (exp(dt A) - 1) / A, and c."""
        wide = precise(self.read.dtype)
        damping, frequency = self.log_damping.to(wide).exp(), self.frequency.to(wide)
        rates = torch.complex(-damping, frequency)
        exponents = self.log_dt.to(wide).exp()[:, None] * rates
        return exponents, torch.expm1(exponents) / rates, torch.view_as_complex(self.read.to(wide))

    def _answer(self, y: Tensor, x: Tensor) -> Tensor:
        """mix(y + d u)."""
        return self.mix(y.to(x.dtype) + self.skip * x)

    def flops_per_step(self, length: int) -> float:
        """Products inside a chunk, into and out of the states between chunks, and the mix.

        The matrices themselves serve the whole batch and are left out.
        """
        inside = min(length, CHUNK)
        across = 2 * self.config.state_size if length > CHUNK else 0
        return 2.0 * self.width * (inside + across) + self.mix.flops_per_step()


def _apart(z: Complex[Tensor, "D n"]) -> Float[Tensor, "2 n D"]:
    """Real parts, then imaginary ones."""
    return torch.view_as_real(z).permute(2, 1, 0)


def _parts(z: Complex[Tensor, "D n M"]) -> Float[Tensor, "D 2*n M"]:
    """Real parts above imaginary ones."""
    return torch.cat([z.real, z.imag], dim=1)
