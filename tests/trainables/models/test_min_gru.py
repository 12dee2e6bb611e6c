"""``min_gru`` and ``min_lstm`` against loops over the equations."""

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Reference, Weights, assert_agree, stirred, stream
from trainables.models.cells import LAYERS
from trainables.models.layer import Layer, Surroundings

WIDTH = 6


def sigmoid(u: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-u))


def maps(weights: Weights) -> list[tuple[Tensor, Tensor]]:
    W, b = weights["project.weight"], weights["project.bias"]
    return list(zip(W.split(WIDTH), b.split(WIDTH), strict=True))


def g(u: Tensor) -> Tensor:
    """Appendix B: above 0 it rises as u + 1/2, below as a sigmoid."""
    return torch.where(u >= 0, u + 0.5, sigmoid(u))


def min_gru(weights: Weights, x: Tensor) -> Tensor:
    h, answers = torch.zeros_like(x[:, 0]), []
    for x_t in x.unbind(1):
        z, c = (x_t @ W.T + b for W, b in maps(weights))
        h = (1 - sigmoid(z)) * h + sigmoid(z) * g(c)
        answers.append(h)
    return torch.stack(answers, 1)


def min_lstm(weights: Weights, x: Tensor) -> Tensor:
    h, answers = torch.zeros_like(x[:, 0]), []
    for x_t in x.unbind(1):
        f, i, c = (x_t @ W.T + b for W, b in maps(weights))
        total = sigmoid(f) + sigmoid(i)
        h = sigmoid(f) / total * h + sigmoid(i) / total * g(c)
        answers.append(h)
    return torch.stack(answers, 1)


def layer_of(kind: str) -> Layer:
    torch.manual_seed(0)
    return LAYERS[kind](LAYERS[kind].Config(kind=kind), Surroundings(width=WIDTH)).double()


@pytest.mark.parametrize("length", [1, 2, 63])
@pytest.mark.parametrize(("kind", "reference"), [("min_gru", min_gru), ("min_lstm", min_lstm)])
def test_agrees_with_the_equations(kind: str, reference: Reference, length: int) -> None:
    layer = layer_of(kind)
    stirred(layer)
    assert_agree(layer, reference, stream(3, length, WIDTH))


@pytest.mark.parametrize("kind", ["min_gru", "min_lstm"])
def test_the_state_is_a_mean_of_candidates(kind: str) -> None:
    """With one candidate throughout, the state tends to it from below and never passes it."""
    layer = layer_of(kind)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    h = layer(stream(1, 40, WIDTH))
    due = 0.5 * (1 - 0.5 ** torch.arange(1, 41, dtype=torch.float64))
    torch.testing.assert_close(h, due[None, :, None].expand_as(h))


def test_shut_gates_still_divide() -> None:
    """Both gates of ``min_lstm`` at e^-200, in float32: their shares are a half each, not 0 / 0."""
    layer = layer_of("min_lstm").float()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.get_parameter("project.bias")[: 2 * WIDTH] = -200.0
    h = layer(torch.zeros(1, 2, WIDTH))
    (gradient,) = torch.autograd.grad(h.sum(), layer.get_parameter("project.bias"))
    torch.testing.assert_close(h[0, :, 0], torch.tensor([0.25, 0.375]))
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("kind", ["min_gru", "min_lstm"])
def test_half_precision_remembers_as_long(kind: str) -> None:
    """A share kept of 1 - e^-8 is 1 in bfloat16; the scan must not lose the difference."""
    config = LAYERS[kind].Config.model_validate({"kind": kind, "forget_bias": 8.0})
    half = LAYERS[kind](config, Surroundings(width=WIDTH)).bfloat16()
    single = LAYERS[kind](config, Surroundings(width=WIDTH))
    single.load_state_dict(half.state_dict())
    x = stream(1, 5000, WIDTH).bfloat16()
    due = single(x.float())[:, -1]
    assert (half(x)[:, -1].float() / due - 1).abs().max() < 0.02  # gates have eight bits
