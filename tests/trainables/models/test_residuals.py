"""Residual paths: their equations, and what all of them promise."""

import json

import pytest
import torch
from torch import Tensor, nn

from trainables.models.cells.lstm import Lstm
from trainables.models.layer import Surroundings
from trainables.models.residuals import RESIDUALS, Residual

KINDS = sorted(RESIDUALS)
WIDTH = 6


def residual_of(kind: str, seed: int = 0, **choices: object) -> Residual:
    torch.manual_seed(seed)
    config = RESIDUALS[kind].Config.model_validate({"kind": kind, **choices})
    residual = RESIDUALS[kind](config, Lstm(Lstm.Config(), Surroundings(WIDTH))).double()
    for norm in residual.modules():
        if isinstance(norm, nn.LayerNorm):  # away from 1 and 0, so that a lost one shows
            nn.init.normal_(norm.weight, 1.0, 0.3)
            nn.init.normal_(norm.bias)
    return residual


def stream(length: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, length, WIDTH, generator=generator, dtype=torch.float64)


def normed(norm: nn.Module, x: Tensor) -> Tensor:
    """Layer norm (Ba et al. 2016, eq. 4), step by step; nothing where there is none."""
    if isinstance(norm, nn.Identity):
        return x
    rows = []
    for step in x.flatten(0, 1):
        mean = step.sum() / WIDTH
        deviation = ((step - mean).square().sum() / WIDTH + 1e-5).sqrt()
        rows.append((step - mean) / deviation * norm.weight + norm.bias)
    return torch.stack(rows).view_as(x)


def joined(residual: Residual, x: Tensor, answer: Tensor) -> Tensor:
    """The equation of each kind, channel by channel."""
    kind = residual.config.kind
    if kind == "none":
        return answer
    if kind == "add":
        return x + answer
    if kind == "scaled":
        scale = residual.scale.expand(WIDTH)
        return torch.stack([x[..., d] + scale[d] * answer[..., d] for d in range(WIDTH)], dim=-1)
    gate = 1 / (1 + torch.exp(-(x @ residual.gate.weight.T + residual.gate.bias)))
    return gate * answer + (1 - gate) * x


CHOICES = [
    ("none", {}),
    *[(kind, {"norm": norm}) for kind in ("add", "gated", "scaled") for norm in ("pre", "post")],
    *[("add", {"norm": "none"}), ("gated", {"norm": "none", "gate_bias": 2.0})],
    ("scaled", {"norm": "none", "per_channel": False}),
]


@pytest.mark.parametrize(("kind", "choices"), CHOICES)
def test_is_its_equation(kind: str, choices: dict[str, object]) -> None:
    """post(join(x, f(pre(x)))), values and gradients."""
    residual, x = residual_of(kind, **choices), stream().requires_grad_()
    pre, post = getattr(residual, "pre", nn.Identity()), getattr(residual, "post", nn.Identity())
    assert [type(norm) for norm in (pre, post)] == [
        nn.LayerNorm if choices.get("norm") == place else nn.Identity for place in ("pre", "post")
    ]
    fast = residual(x)
    slow = normed(post, joined(residual, x, residual.layer(normed(pre, x))))
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-12)
    sources = [x, *residual.parameters()]
    by_module = torch.autograd.grad(fast.pow(3).sum(), sources)
    by_equation = torch.autograd.grad(slow.pow(3).sum(), sources)
    torch.testing.assert_close(by_module, by_equation, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_time_and_rows_stay_apart(kind: str) -> None:
    """Nothing from the future or from other rows."""
    residual, x = residual_of(kind), stream().requires_grad_()
    (gradient,) = torch.autograd.grad(residual(x)[1, 2].pow(3).sum(), x)
    assert torch.count_nonzero(gradient[[0, 2]]) == 0
    assert torch.count_nonzero(gradient[1, 3:]) == 0
    assert (gradient[1, :3].abs().amax(-1) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("length", [1, 2, 63])
def test_gradients_reach_every_parameter(kind: str, dtype: torch.dtype, length: int) -> None:
    """No weight is left out of learning, once there is a past to remember."""
    residual = residual_of(kind).to(dtype)
    y = residual(stream(length).to(dtype))
    assert (y.shape, y.dtype) == ((3, length, WIDTH), dtype)
    y.float().pow(3).sum().backward()
    for name, parameter in residual.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert length == 1 or torch.count_nonzero(parameter.grad) > 0, name


@pytest.mark.parametrize("kind", KINDS)
def test_configuration_round_trips(kind: str) -> None:
    """Plain data and back; the kind is the table's key."""
    config = RESIDUALS[kind].Config()
    assert config.kind == kind
    assert RESIDUALS[kind].Config.model_validate(json.loads(config.model_dump_json())) == config


@pytest.mark.parametrize("kind", KINDS)
def test_costs_are_the_layers_and_the_paths(kind: str) -> None:
    """A gate is one more square map; nothing else multiplies, and no path carries a state."""
    residual = residual_of(kind)
    gate = 2 * WIDTH**2 if kind == "gated" else 0
    assert residual.flops_per_step(9) == residual.layer.flops_per_step(9) + gate
    assert residual.state_bytes(9) == residual.layer.state_bytes(9)


def test_a_scale_of_zero_is_the_identity_until_it_learns() -> None:
    """ReZero: the stream at first, a gradient for the scale, and then one for the layer."""
    residual = residual_of("scaled", norm="none", initial_scale=0.0, per_channel=False)
    x = stream()
    assert torch.equal(residual(x), x)
    residual(x).pow(3).sum().backward()
    assert torch.count_nonzero(residual.scale.grad) == 1
    assert all(torch.count_nonzero(p.grad) == 0 for p in residual.layer.parameters())
    with torch.no_grad():
        residual.scale -= 0.01 * residual.scale.grad
    residual(x).pow(3).sum().backward()
    assert all(torch.count_nonzero(p.grad) > 0 for p in residual.layer.parameters())


@pytest.mark.parametrize(("gate_bias", "passes"), [(-10.0, True), (10.0, False)])
def test_a_closed_highway_passes_the_stream(gate_bias: float, passes: bool) -> None:
    """At a bias of -10 the stream goes by; at 10 the layer's answer takes its place."""
    residual, x = residual_of("gated", norm="none", gate_bias=gate_bias), stream()
    expected = x if passes else residual.layer(x)
    torch.testing.assert_close(residual(x), expected, rtol=0, atol=1e-2)  # W x moves 10 by 3


def test_only_a_norm_ahead_of_the_layer_needs_a_last_one() -> None:
    """The stream that pre-norms leave to grow is normed once before the read-out."""
    for kind, choices in CHOICES:
        config = RESIDUALS[kind].Config.model_validate({"kind": kind, **choices})
        last = RESIDUALS[kind].last_norm(config, WIDTH)
        assert isinstance(last, nn.LayerNorm) == (choices.get("norm") == "pre")
