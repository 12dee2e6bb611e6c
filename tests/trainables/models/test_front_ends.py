"""What every front end promises, and each against loops."""

import json
import math

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from trainables.models.front_ends import FRONT_ENDS, FrontEnd

KINDS = sorted(FRONT_ENDS)
FEATURES, WIDTH = 3, 4


def front_end_of(kind: str, **choices: object) -> FrontEnd:
    torch.manual_seed(0)
    config = FRONT_ENDS[kind].Config.model_validate({"kind": kind, **choices})
    return FRONT_ENDS[kind](config, FEATURES, WIDTH).double()


def inputs(length: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, length, FEATURES, generator=generator, dtype=torch.float64)


def through(front_end: FrontEnd, x: Tensor) -> Tensor:
    """Down and up again, around blocks that add up all frames so far."""
    stream = front_end(x)
    return front_end.up(front_end.down(stream).cumsum(1), stream)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1, 2, 63])
def test_every_step_comes_back(kind: str, length: int) -> None:
    """As many steps as went in, and the promised number of frames between."""
    front_end, x = front_end_of(kind), inputs(length)
    assert front_end.stride == (4 if kind == "strided" else 1)
    assert front_end.down(front_end(x)).shape == (2, math.ceil(length / front_end.stride), WIDTH)
    assert through(front_end, x).shape == (2, length, WIDTH)


@pytest.mark.parametrize("kind", KINDS)
def test_no_gradient_from_the_future(kind: str) -> None:
    """Exactly 0 from every later step and other row, not 0 from the first step and its own."""
    front_end, x = front_end_of(kind), inputs(21).requires_grad_()
    y = through(front_end, x)
    for t in range(21):
        (gradient,) = torch.autograd.grad(y[0, t].square().sum(), x, retain_graph=True)
        assert torch.count_nonzero(gradient[1]) == 0
        assert torch.count_nonzero(gradient[0, t + 1 :]) == 0
        assert torch.count_nonzero(gradient[0, t]) > 0
        assert torch.count_nonzero(gradient[0, 0]) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_prefix_answers_as_the_whole(kind: str) -> None:
    """No value leaks from the future, by a path without gradient either."""
    front_end, x = front_end_of(kind), inputs(21)
    whole = through(front_end, x)
    for t in range(1, 21):
        torch.testing.assert_close(through(front_end, x[:, :t]), whole[:, :t], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_reach_every_parameter(kind: str, dtype: torch.dtype) -> None:
    """No weight is left out of learning, in bfloat16 too."""
    front_end = front_end_of(kind).to(dtype)
    y = through(front_end, inputs(63).to(dtype))
    assert y.dtype == dtype
    y.square().sum().backward()
    for name, parameter in front_end.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert torch.count_nonzero(parameter.grad) > 0, name


@pytest.mark.parametrize("kind", KINDS)
def test_configuration_round_trips(kind: str) -> None:
    """Plain data and back; the kind is the table's key."""
    config = FRONT_ENDS[kind].Config()
    assert config.kind == kind
    assert FRONT_ENDS[kind].Config.model_validate(json.loads(config.model_dump_json())) == config


@pytest.mark.parametrize("kind", KINDS)
def test_flops_are_those_of_the_products(kind: str) -> None:
    """What torch counts over a whole number of frames, divided by the steps."""
    front_end = front_end_of(kind)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        through(front_end, inputs(64))
    assert counter.get_total_flops() / 2 / 64 == pytest.approx(front_end.flops_per_step())


@pytest.mark.parametrize("kind", KINDS)
def test_state_is_what_later_steps_still_need(kind: str) -> None:
    """The inputs that a later step's stream can see, four bytes a number, at least."""
    front_end, x = front_end_of(kind), inputs(200).requires_grad_()
    (gradient,) = torch.autograd.grad(front_end(x)[0, 150].square().sum(), x)
    reach = 150 - int(gradient[0].abs().amax(-1).nonzero()[0])
    assert front_end.state_bytes() >= 4 * FEATURES * reach
    assert (front_end.state_bytes() == 0) == (reach == 0)


def convolved(weight: Tensor, bias: Tensor, x: Tensor, dilation: int = 1) -> Tensor:
    """The bias and the sum over k of W[:, :, -1 - k] x_{t - k dilation}, step by step."""
    steps = []
    for t in range(x.shape[1]):
        y = bias.expand(x.shape[0], -1)
        for k in range(weight.shape[2]):
            if t - k * dilation >= 0:
                y = y + x[:, t - k * dilation] @ weight[:, :, -1 - k].T
        steps.append(y)
    return torch.stack(steps, dim=1)


def loop_none(f: FrontEnd, x: Tensor) -> Tensor:
    return x @ f.map.weight.T + f.map.bias


def loop_conv(f: FrontEnd, x: Tensor) -> Tensor:
    return convolved(f.conv.weight, f.conv.bias, x).clamp(min=0)


def loop_dilated(f: FrontEnd, x: Tensor) -> Tensor:
    x = loop_none(f, x)
    for layer, (conv, mix) in enumerate(zip(f.convs, f.mixes, strict=True)):
        both = convolved(conv.weight, conv.bias, x, dilation=2**layer)
        z = both[..., :WIDTH].tanh() / (1 + torch.exp(-both[..., WIDTH:]))
        x = x + z @ mix.weight.T + mix.bias
    return x


def loop_strided(f: FrontEnd, x: Tensor) -> Tensor:
    """Frames that end at steps 0, s, 2s, ..., summed up, and each step's last frame."""
    x = loop_conv(f, x)
    W = f.frame.weight.view(WIDTH, f.stride, WIDTH)
    frames, answers = [], []
    for t in range(x.shape[1]):
        if t % f.stride == 0:
            frame = f.frame.bias
            for k in range(f.stride):
                if t - k >= 0:
                    frame = frame + x[:, t - k] @ W[:, f.stride - 1 - k].T
            frames.append(frame)
        total = sum(frames[1:], frames[0])
        answer = total @ f.from_frame.weight.T + x[:, t] @ f.from_step.weight.T + f.from_step.bias
        answers.append(answer.clamp(min=0))
    return torch.stack(answers, dim=1)


@pytest.mark.parametrize(
    ("kind", "choices", "loop"),
    [
        ("none", {}, lambda f, x: loop_none(f, x).cumsum(1)),
        ("conv", {"kernel_width": 3}, lambda f, x: loop_conv(f, x).cumsum(1)),
        ("conv", {"kernel_width": 20}, lambda f, x: loop_conv(f, x).cumsum(1)),
        ("dilated", {"num_layers": 3}, lambda f, x: loop_dilated(f, x).cumsum(1)),
        (
            "dilated",
            {"kernel_width": 3, "num_layers": 4},
            lambda f, x: loop_dilated(f, x).cumsum(1),
        ),
        ("strided", {"stride": 2, "kernel_width": 2}, loop_strided),
        ("strided", {"stride": 5, "kernel_width": 7}, loop_strided),
    ],
)
def test_equals_loops(kind: str, choices: dict[str, int], loop: object) -> None:
    """Down and up again, step by step from the equations; gradients too."""
    front_end, x = front_end_of(kind, **choices), inputs(17).requires_grad_()
    fast, slow = through(front_end, x), loop(front_end, x)
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-12)
    sources = [x, *front_end.parameters()]
    by_module = torch.autograd.grad(fast.square().sum(), sources)
    by_loops = torch.autograd.grad(slow.square().sum(), sources)
    torch.testing.assert_close(by_module, by_loops, rtol=1e-12, atol=1e-10)


def test_dilated_sees_what_its_configuration_says() -> None:
    """1 + (kernel_width - 1) (2**num_layers - 1) steps, no more and no fewer."""
    front_end, x = (
        front_end_of("dilated", kernel_width=3, num_layers=3),
        inputs(40).requires_grad_(),
    )
    (gradient,) = torch.autograd.grad(front_end(x)[0, -1].square().sum(), x)
    seen = gradient[0].abs().amax(-1).nonzero().flatten().tolist()
    assert seen == list(range(40 - 15, 40))


def test_a_kernel_shorter_than_the_stride_is_refused() -> None:
    """It would leave steps that a scored answer cannot see."""
    with pytest.raises(ValueError, match=r"kernel_width: 3 is not allowed; .* the stride \(8\)"):
        FRONT_ENDS["strided"].Config.model_validate({"stride": 8, "kernel_width": 3})
