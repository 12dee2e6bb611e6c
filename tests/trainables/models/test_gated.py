"""``rnn``, ``lstm``, ``gru``: the fused kernels against loops over the equations."""

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Reference, Weights, assert_agree, stirred, stream
from trainables.models.cells import LAYERS
from trainables.models.layer import Layer, Surroundings

WIDTH = 6


def gates(weights: Weights, name: str) -> list[Tensor]:
    """The square blocks of a stacked weight, or the parts of a stacked bias."""
    return list(weights[f"fused.{name}_l0"].split(WIDTH))


def rnn(weights: Weights, x: Tensor) -> Tensor:
    W, U = weights["fused.weight_ih_l0"], weights["fused.weight_hh_l0"]
    b = weights["fused.bias_ih_l0"] + weights["fused.bias_hh_l0"]
    h, answers = torch.zeros_like(x[:, 0]), []
    for x_t in x.unbind(1):
        h = torch.tanh(x_t @ W.T + h @ U.T + b)
        answers.append(h)
    return torch.stack(answers, 1)


def lstm(weights: Weights, x: Tensor) -> Tensor:
    W, U = gates(weights, "weight_ih"), gates(weights, "weight_hh")
    b = [p + q for p, q in zip(gates(weights, "bias_ih"), gates(weights, "bias_hh"), strict=True)]
    h = c = torch.zeros_like(x[:, 0])
    answers = []
    for x_t in x.unbind(1):
        i, f, g, o = (x_t @ W[n].T + h @ U[n].T + b[n] for n in range(4))
        c = c / (1 + torch.exp(-f)) + torch.tanh(g) / (1 + torch.exp(-i))
        h = torch.tanh(c) / (1 + torch.exp(-o))
        answers.append(h)
    return torch.stack(answers, 1)


def gru(weights: Weights, x: Tensor) -> Tensor:
    W, U = gates(weights, "weight_ih"), gates(weights, "weight_hh")
    b, c = gates(weights, "bias_ih"), gates(weights, "bias_hh")
    h, answers = torch.zeros_like(x[:, 0]), []
    for x_t in x.unbind(1):
        r, z = (1 / (1 + torch.exp(-(x_t @ W[n].T + b[n] + h @ U[n].T + c[n]))) for n in range(2))
        n = torch.tanh(x_t @ W[2].T + b[2] + r * (h @ U[2].T + c[2]))
        h = (1 - z) * n + z * h
        answers.append(h)
    return torch.stack(answers, 1)


def layer_of(kind: str, **choices: object) -> Layer:
    torch.manual_seed(0)
    config = LAYERS[kind].Config.model_validate({"kind": kind, **choices})
    return LAYERS[kind](config, Surroundings(width=WIDTH)).double()


@pytest.mark.parametrize("length", [1, 2, 63])
@pytest.mark.parametrize(("kind", "reference"), [("rnn", rnn), ("lstm", lstm), ("gru", gru)])
def test_agrees_with_the_equations(kind: str, reference: Reference, length: int) -> None:
    layer = layer_of(kind)
    stirred(layer)
    assert_agree(layer, reference, stream(3, length, WIDTH))


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_orthogonal_recurrence_keeps_lengths(kind: str) -> None:
    """Each gate's matrix is orthogonal; torch's own are not."""
    for start, orthogonal in [("orthogonal", True), ("uniform", False)]:
        weights = dict(layer_of(kind, recurrent_weights=start).named_parameters())
        for U in gates(weights, "weight_hh"):
            eye = torch.eye(WIDTH, dtype=U.dtype)
            assert torch.allclose(U.T @ U, eye, atol=1e-5) == orthogonal  # drawn in float32


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_unknown_recurrence_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="recurrent_weights"):
        layer_of(kind, recurrent_weights="identity")
