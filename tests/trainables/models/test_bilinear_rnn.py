"""``bilinear_rnn`` against a sum over all pairs of an input's and a state's numbers."""

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stream
from trainables.models.cells.bilinear_rnn import EPS, BilinearRnn
from trainables.models.layer import Surroundings

WIDTH = 6


def layer_of(heads: int, width: int = WIDTH) -> BilinearRnn:
    torch.manual_seed(0)
    config = BilinearRnn.Config(num_heads=heads)
    return BilinearRnn(config, Surroundings(width=width)).double()


def products(weights: Weights, x: Tensor, heads: int) -> Tensor:
    """z_i = sum over j and k of W_kji h_j x_k, head by head, and each head of length sqrt(E)."""
    E = x.shape[2] // heads
    W = weights["transitions"].reshape(heads, E, E, x.shape[2])
    states, answers = [torch.ones_like(x[:, 0, :E]) for _ in range(heads)], []
    for x_t in x.unbind(1):
        for head in range(heads):
            z = sum(
                W[head, j, :, k] * states[head][:, j, None] * x_t[:, k, None]
                for j in range(E)
                for k in range(x.shape[2])
            )
            assert isinstance(z, Tensor)
            states[head] = z / ((z * z).sum(-1, keepdim=True) / E + EPS).sqrt()
        answers.append(torch.cat(states, dim=-1))
    return torch.stack(answers, 1)


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("length", [1, 2, 63])
def test_agrees_with_the_equations(length: int, heads: int) -> None:
    x = stream(3, length, WIDTH)
    assert_agree(layer_of(heads), lambda weights, x: products(weights, x, heads), x)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match=r"num_heads: 4 is not allowed; .* the hidden size \(6\)"):
        layer_of(4)


def test_tracks_a_group_whose_members_do_not_commute_for_any_time() -> None:
    """Symbols that are given their own permutations of three items: no state fades or mixes."""
    layer, length = layer_of(1, width=3), 20_000
    swaps = torch.eye(3, dtype=torch.float64)[torch.tensor([[1, 0, 2], [0, 2, 1], [0, 1, 2]])]
    with torch.no_grad():
        layer.transitions.copy_(swaps.reshape(3, 9).mT)  # the third symbol changes nothing
        first = torch.tensor([0.2, 1.0, 1.4]).double()
        symbols = torch.randint(3, (2, length), generator=torch.Generator().manual_seed(0))
        x = torch.nn.functional.one_hot(symbols, 3).double()
        _, (last,) = layer.scan(x, (first.expand(2, 1, 3),))
    for row, told in zip(last[:, 0], symbols, strict=True):
        places = [0, 1, 2]
        for symbol in told.tolist():
            if symbol < 2:
                places[symbol], places[symbol + 1] = places[symbol + 1], places[symbol]
        due = first[places] * (3 / first.square().sum()).sqrt()
        torch.testing.assert_close(row, due, rtol=1e-5, atol=0)


def test_a_state_is_not_rounded_under_autocast() -> None:
    """Where products are of bfloat16, one symbol that changes nothing keeps a state as it is."""
    layer = layer_of(1, width=3).float()
    with torch.no_grad():
        layer.transitions.copy_(torch.eye(3).reshape(9, 1) * torch.tensor([1.0, 0.0, 0.0]))
    x, first = torch.eye(3)[:1].expand(1, 2000, 3), torch.tensor([[[0.2, 1.0, 1.4]]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, (last,) = layer.scan(x, (first,))
    assert last.dtype == torch.float32
    torch.testing.assert_close(last, first * (3 / first.square().sum()).sqrt(), rtol=1e-5, atol=0)


def test_a_state_starts_at_its_own_length() -> None:
    """Inputs of unit variance lead to products of about that: the norm has little to do."""
    torch.manual_seed(0)
    layer = BilinearRnn(BilinearRnn.Config(num_heads=4), Surroundings(width=128)).double()
    A = (stream(1, 500, 128)[0] @ layer.transitions.mT).unflatten(1, (4, 32, 32))
    h = stream(500, 4, 32, seed=2)
    z = (h[..., None, :] @ A).squeeze(-2)
    assert float(z.detach().square().mean()) == pytest.approx(1, rel=0.1)
