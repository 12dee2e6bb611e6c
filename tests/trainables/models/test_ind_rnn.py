"""``ind_rnn`` against a loop over the equation, and its bound on the recurrent weights."""

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models.cells.ind_rnn import IndRnn
from trainables.models.layer import Surroundings

WIDTH = 6


def ind_rnn(weights: Weights, x: Tensor) -> Tensor:
    W, b, u = weights["project.weight"], weights["project.bias"], weights["recurrent"]
    h, answers = torch.zeros_like(x[:, 0]), []
    for x_t in x.unbind(1):
        a = x_t @ W.T + u * h + b
        h = torch.where(a > 0, a, 0.0)
        answers.append(h)
    return torch.stack(answers, 1)


def layer_of(longest_lag: int = 1024) -> IndRnn:
    torch.manual_seed(0)
    return IndRnn(IndRnn.Config(longest_lag=longest_lag), Surroundings(width=WIDTH)).double()


@pytest.mark.parametrize("length", [1, 2, 63])
def test_agrees_with_the_equation(length: int) -> None:
    layer = layer_of(longest_lag=1)  # the bound, 2, is out of the way
    stirred(layer)
    with torch.no_grad():
        layer.recurrent.clamp_(-0.99, 0.99)
    assert (layer(stream(3, length, WIDTH)) == 0).any()  # else the rectifier is not tried
    assert_agree(layer, ind_rnn, stream(3, length, WIDTH))


@pytest.mark.parametrize("sign", [1, -1])
def test_weights_are_held_so_that_states_at_most_double(sign: int) -> None:
    """Far beyond the bound, a unit's state of 1 is 2 after T steps; |u| is what is bound."""
    layer = layer_of(longest_lag=10)
    with torch.no_grad():
        layer.project.weight.zero_()
        layer.project.bias.zero_()
        layer.recurrent.fill_(5.0 * sign)
    h = torch.ones(1, WIDTH, dtype=torch.float64)
    for _ in range(10):
        _, (h,) = layer.step(torch.zeros_like(h), (h,))
    torch.testing.assert_close(h, torch.full_like(h, 2.0 if sign > 0 else 0.0))


def test_a_weight_beyond_its_bound_can_come_back() -> None:
    """The gradient is the one at the bound, not 0."""
    gradients: list[Tensor] = []
    for weight in (layer_of().bound, 7.0):
        layer = layer_of()
        with torch.no_grad():
            layer.recurrent.fill_(weight)
        total = layer(stream(2, 9, WIDTH)).sum()
        gradients.extend(torch.autograd.grad(total, layer.recurrent))
    assert torch.count_nonzero(gradients[0]) == WIDTH
    torch.testing.assert_close(gradients[1], gradients[0])


def test_first_weights_lie_within_the_bound() -> None:
    torch.manual_seed(0)
    layer = IndRnn(IndRnn.Config(longest_lag=2), Surroundings(width=512))
    assert 0 <= layer.recurrent.min() < 0.05
    assert 1.35 < layer.recurrent.max() <= 2**0.5
