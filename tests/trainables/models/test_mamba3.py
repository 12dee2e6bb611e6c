"""``mamba3``: the whole block against the complex recurrence of Lahoti et al. 2026."""

import math

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from tests.trainables.models.test_gated_delta import silu
from trainables.models.cells.mamba3 import Mamba3
from trainables.models.layer import Surroundings
from trainables.models.turning import turned, turns_so_far

WIDTH, HEADS, STATES = 4, 2, 6
INSIDE = 2 * WIDTH
HEAD = INSIDE // HEADS
PAIRS = STATES // 2
SIZES = [INSIDE, INSIDE, STATES, STATES, HEADS, HEADS, HEADS, PAIRS]


def mamba3(weights: Weights, x: Tensor) -> Tensor:
    """Head by head and step by step, the state in complex numbers."""

    def normed(part: Tensor, which: str) -> Tensor:
        length = (part.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return part / length * weights[f"{which}_norm.weight"]

    def complex_of(part: Tensor) -> Tensor:
        return torch.complex(part[..., :PAIRS], part[..., PAIRS:])

    z, u, b, c, r, s, mix, w = (x @ weights["into.weight"].T).split(SIZES, dim=-1)
    b, c = normed(b, "b"), normed(c, "c")
    S = [torch.zeros(len(x), PAIRS, HEAD, dtype=torch.complex128) for _ in range(HEADS)]
    answers = []
    for t in range(x.shape[1]):
        y = []
        for head in range(HEADS):
            own = slice(head * HEAD, (head + 1) * HEAD)
            dt = torch.log1p(torch.exp(r[:, t, head] + weights["dt_bias"][head]))[:, None, None]
            rate = torch.log1p(torch.exp(s[:, t, head]))[:, None, None]
            angle = math.pi * torch.tanh(w[:, t])[:, :, None] * dt
            a = torch.exp(-dt * rate) * torch.exp(1j * angle)
            g = 1 / (1 + torch.exp(-mix[:, t, head]))[:, None, None]
            kept = a * S[head]
            if t:
                past = complex_of(b[:, t - 1] + weights["b_bias"][head])
                kept = kept + a * (1 - g) * dt * past[:, :, None] * u[:, t - 1, None, own]
            here = complex_of(b[:, t] + weights["b_bias"][head])
            S[head] = kept + g * dt * here[:, :, None] * u[:, t, None, own]
            read = complex_of(c[:, t] + weights["c_bias"][head])
            y.append((read.conj()[:, :, None] * S[head]).real.sum(1))
            y[-1] = y[-1] + weights["skip"][head] * u[:, t, own]
        answers.append((torch.cat(y, dim=-1) * silu(z[:, t])) @ weights["out.weight"].T)
    return torch.stack(answers, 1)


def layer_of(dtype: torch.dtype = torch.float64) -> Mamba3:
    torch.manual_seed(0)
    config = Mamba3.Config(num_heads=HEADS, state_size=STATES)
    layer = Mamba3(config, Surroundings(width=WIDTH)).to(dtype)
    stirred(layer)
    return layer


@pytest.mark.parametrize("length", [1, 2, 63, 65, 130])
def test_agrees_with_the_equations(length: int) -> None:
    layer = layer_of()
    with torch.no_grad():
        layer.dt_bias.add_(3.0)  # steps long enough to turn around
    assert_agree(layer, mamba3, stream(2, length, WIDTH))


@pytest.mark.parametrize("cut", [1, 64, 90])
def test_goes_on_from_any_step(cut: int) -> None:
    """In chunks, then step by step, with the state of either."""
    layer, x = layer_of(), stream(2, 100, WIDTH)
    whole = layer(x)
    first, state = layer.scan(x[:, :cut], layer.initial_state(2))
    rest, stepped = [], state
    for x_t in x[:, cut:].unbind(1):
        y, stepped = layer.step(x_t, stepped)
        rest.append(y)
    torch.testing.assert_close(torch.cat((first, torch.stack(rest, 1)), 1), whole)
    again, scanned = layer.scan(x[:, cut:], state)
    torch.testing.assert_close(again, whole[:, cut:])
    torch.testing.assert_close(scanned, stepped)


def test_turns_add_up_over_a_million_steps() -> None:
    """In float32, where a plain sum has long lost the angle."""
    turns = 3 * torch.rand(1, 1_000_000, 1, generator=torch.Generator().manual_seed(0))
    exact = turns.double().cumsum(1)
    off, plain = (
        float((angles.double().cos() - exact.cos()).abs().max())
        for angles in (turns_so_far(turns), turns.cumsum(1))
    )
    assert off < 1e-6 < 1e-3 < plain


def test_parity_is_half_a_turn_for_each_one() -> None:
    """By hand: a state that does not decay, read as it stands to what was first written."""
    bits = torch.randint(2, (1, 999, 1, 1), generator=torch.Generator().manual_seed(0)).double()
    state = turned(torch.tensor([1.0, 0.0]).double(), turns_so_far(math.pi * bits))
    due = 1 - 2 * (bits.cumsum(1) % 2)
    torch.testing.assert_close(state[..., :1], due, rtol=0, atol=1e-9)


def test_heads_must_divide_the_channels_and_numbers_come_in_pairs() -> None:
    with pytest.raises(ValueError, match=r"num_heads: 3 is not allowed; .* \(8\)"):
        Mamba3(Mamba3.Config(num_heads=3), Surroundings(width=WIDTH))
    with pytest.raises(ValueError, match="multiple of 2"):
        Mamba3.Config(state_size=3)
