"""A layer against a reference written from a paper's equations: outputs and all gradients."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from trainables.models.layer import Layer

Weights = Mapping[str, Tensor]
Reference = Callable[[Weights, Tensor], Tensor]
"""From a layer's parameters by name and the stream (B, T, D) to its answers (B, T, D)."""


def stream(batch: int, length: int, width: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, length, width, generator=generator, dtype=torch.float64)


def stirred(layer: nn.Module, scale: float = 0.2, seed: int = 3) -> None:
    """Move every parameter a little at random, so that no first value hides a mistake."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(scale * noise.to(parameter.dtype))


def assert_agree(layer: Layer, reference: Reference, x: Tensor, rounding: float = 1e-9) -> None:
    """Both answer the same, with the same gradients in the stream and in every parameter.

    In float64 only the order of sums differs between them: some 1e-13 after a hundred steps.
    ``rounding`` is how far apart they may be, and gradients ten times that; more than the default
    only where the reference computes in float32 whatever it is given.
    """
    weights = dict(layer.named_parameters())
    x = x.detach().requires_grad_()
    answers = [layer(x), reference(weights, x)]
    torch.testing.assert_close(answers[0], answers[1], rtol=rounding, atol=0.01 * rounding)
    batch, length, width = x.shape
    direction = stream(batch, length, width, seed=2)
    sources = {"x": x, **weights}
    got, due = (
        torch.autograd.grad((y * direction).sum(), list(sources.values()), allow_unused=True)
        for y in answers
    )
    for name, mine, theirs in zip(sources, got, due, strict=True):
        assert theirs is not None, f"the reference does not use {name}"
        try:
            torch.testing.assert_close(mine, theirs, rtol=10 * rounding, atol=rounding)
        except AssertionError as error:
            raise AssertionError(f"gradient in {name}: {error}") from None
