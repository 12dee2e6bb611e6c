"""Position encodings against their papers' formulas, written as loops."""

import json
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from trainables.models.positions import POSITIONS, Positions, alibi_slopes

KINDS = sorted(POSITIONS)
WIDTH = 12


def positions_of(kind: str, width: int = WIDTH, **choices: object) -> Positions:
    torch.manual_seed(0)
    config = POSITIONS[kind].Config.model_validate({"kind": kind, **choices})
    return POSITIONS[kind](config, width).double()


def stream(length: int, width: int = WIDTH, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, length, width, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1, 2, 63])
def test_every_kind_keeps_time_and_rows_apart(kind: str, length: int) -> None:
    """A step's encoding depends on that step of that row alone, and passes its gradient on."""
    positions, x = positions_of(kind), stream(length).requires_grad_()
    y = positions(x)
    assert y.shape == x.shape
    (gradient,) = torch.autograd.grad(y[1, -1].sum(), x)
    assert torch.count_nonzero(gradient[0]) == 0
    assert torch.count_nonzero(gradient[1, :-1]) == 0
    assert torch.equal(gradient[1, -1], torch.ones(WIDTH, dtype=torch.float64))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_learns_and_round_trips(kind: str) -> None:
    """Each table has a gradient; configurations survive JSON; the kind is the default."""
    positions = positions_of(kind)
    positions(stream(9).requires_grad_()).square().sum().backward()
    assert all(torch.count_nonzero(p.grad) > 0 for p in positions.parameters())
    config = POSITIONS[kind].Config()
    assert config.kind == kind
    assert POSITIONS[kind].Config.model_validate(json.loads(config.model_dump_json())) == config


@pytest.mark.parametrize("kind", KINDS)
def test_far_steps_are_told_apart_in_bfloat16(kind: str) -> None:
    """The stream's type is kept, and angles are right 2000 steps on: roundings of 1 and of x."""
    precise, rough, x = positions_of(kind), positions_of(kind).bfloat16(), stream(2000)
    pairs = [(precise(x), rough(x.bfloat16()))]
    if precise.rotate is not None and rough.rotate is not None:
        pairs.append((precise.rotate(x.unsqueeze(1)), rough.rotate(x.bfloat16().unsqueeze(1))))
    for exact, rounded in pairs:
        assert rounded.dtype == torch.bfloat16
        torch.testing.assert_close(rounded.double(), exact, rtol=0, atol=0.05)


@pytest.mark.parametrize("width", [2, 7, 12])
def test_sinusoidal_is_the_papers_formula(width: int) -> None:
    """PE(t, 2i) = sin(t / base^(2i/D)), PE(t, 2i+1) = cos of the same, odd widths cut off."""
    x, base = stream(50, width), 1000.0
    expected = x.numpy().copy()
    for t in range(50):
        for channel in range(width):
            angle = t / base ** (2 * (channel // 2) / width)
            expected[:, t, channel] += math.sin(angle) if channel % 2 == 0 else math.cos(angle)
    y = positions_of("sinusoidal", width, base=base)(x)
    np.testing.assert_allclose(y.numpy(), expected, rtol=0, atol=1e-12)


def test_learned_adds_its_own_vector_to_every_step() -> None:
    """x_t + p_t; beyond the table it refuses in one line."""
    positions = positions_of("learned", max_length=5)
    (table,) = positions.parameters()
    for x in (stream(3), stream(5)):
        for t in range(x.shape[1]):
            assert torch.equal(positions(x)[:, t], x[:, t] + table[t])
    with pytest.raises(
        ValueError, match=r"^positions.max_length: 5 is not .* the sequence has 6 steps$"
    ):
        positions(stream(6))
    assert positions.longest == 5
    assert positions_of("sinusoidal").longest is None


def test_alibi_slopes_are_the_papers() -> None:
    """The function of the paper's repository, for powers of two and between."""

    def get_slopes(n: int) -> list[float]:
        if math.log2(n).is_integer():
            start = 2 ** (-(2 ** -(math.log2(n) - 3)))
            return [start * start**i for i in range(n)]
        closest = 2 ** math.floor(math.log2(n))
        return get_slopes(closest) + get_slopes(2 * closest)[0::2][: n - closest]

    for num_heads in range(1, 40):
        assert alibi_slopes(num_heads) == pytest.approx(get_slopes(num_heads), rel=1e-12)
    assert alibi_slopes(8) == tuple(2.0**-i for i in range(1, 9))
