"""``kda``: the chunks of a memory corrected by rank one, against the sequential rule."""

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from tests.trainables.models.test_gated_delta import silu
from trainables.models.cells.kda import Kda
from trainables.models.kernels.chunked.rank_one import Steps, chunked_rank_one
from trainables.models.layer import Surroundings

WIDTH, HEADS, TAPS = 8, 2, 3
HEAD = WIDTH // HEADS


def rule(q: Tensor, k: Tensor, v: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """S_t = (1 - beta k k^T) diag(alpha) S_{t-1} + beta k v^T as it stands, (B, T, H, E)."""
    S = q.new_zeros(len(q), HEADS, HEAD, HEAD)
    answers = []
    for t in range(q.shape[1]):
        q_t, k_t, v_t = (part[:, t, :, :, None] for part in (q, k, v))
        b = beta[:, t, :, None, None]
        forget = torch.eye(HEAD, dtype=q.dtype) - b * k_t @ k_t.mT
        S = forget @ torch.diag_embed(alpha[:, t]) @ S + b * k_t @ v_t.mT
        answers.append((S.mT @ q_t)[..., 0])
    return torch.stack(answers, 1)


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def kda(weights: Weights, x: Tensor, largest_write: float) -> Tensor:
    def heads(part: Tensor) -> Tensor:
        return part.unflatten(-1, (HEADS, HEAD))

    def unit(part: Tensor) -> Tensor:
        return part / part.square().sum(-1, keepdim=True).sqrt()

    drive = x @ weights["qkv.weight"].T
    convolved = []
    for t in range(x.shape[1]):
        y = weights["convolution.bias"].expand(len(x), -1)
        for s in range(max(0, t - TAPS + 1), t + 1):
            y = y + weights["convolution.taps"][t - s] * drive[:, s]
        convolved.append(silu(y))
    q, k, v = (heads(part) for part in torch.stack(convolved, 1).split(WIDTH, dim=-1))
    narrow, opened = (x @ weights["narrow.weight"].T).split(HEAD, dim=-1)
    keep = narrow @ weights["keep.weight"].T + weights["keep.bias"]
    alpha = torch.exp(-5 * sigmoid(heads(keep)))
    beta = largest_write * sigmoid(x @ weights["write.weight"].T + weights["write.bias"])
    o = rule(unit(q), unit(k), v, alpha, beta)
    o = o / (o.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weights["norm.weight"]
    gate = sigmoid(opened @ weights["gate.weight"].T + weights["gate.bias"])
    return (o.flatten(-2) * gate) @ weights["out.weight"].T


@pytest.mark.parametrize("largest_write", [1.0, 2.0])
@pytest.mark.parametrize("length", [1, 2, 16, 17, 63])
def test_agrees_with_the_equations(length: int, largest_write: float) -> None:
    torch.manual_seed(0)
    config = Kda.Config(num_heads=HEADS, taps=TAPS, largest_write=largest_write)
    layer = Kda(config, Surroundings(width=WIDTH)).double()
    stirred(layer, scale=0.4)
    assert_agree(layer, lambda w, x: kda(w, x, largest_write), stream(2, length, WIDTH))


def steps(length: int, width: int, log_w: float | None = None) -> Steps:
    """Random steps (B, H, T, E); a b^T shrinks, so that nothing explodes; decays up to e^-5."""
    q, k, v, a, b, w = (
        stream(2 * 3, length, width, seed=s).view(2, 3, length, width) for s in range(1, 7)
    )
    a, b = (torch.nn.functional.normalize(part, dim=-1) for part in (a, b))
    decay = -5 * torch.sigmoid(2 * w - 1) if log_w is None else torch.full_like(w, log_w)
    return Steps(*(part.requires_grad_() for part in (q, k, v, -0.9 * a, b, decay)))


def slowly(inputs: Steps, S: Tensor) -> tuple[Tensor, Tensor]:
    answers = []
    for q, k, v, a, b, log_w in zip(*(part.unbind(2) for part in inputs), strict=True):
        met = torch.einsum("bhe,bhev->bhv", b, S)
        S = torch.exp(log_w)[..., None] * S + a[..., None] * met[..., None, :]
        S = S + k[..., None] * v[..., None, :]
        answers.append(torch.einsum("bhe,bhev->bhv", q, S))
    return torch.stack(answers, 2), S


@pytest.mark.parametrize("log_w", [None, 0.0, -5.0])
@pytest.mark.parametrize(("length", "width"), [(1, 4), (16, 4), (70, 20)])
def test_chunks_equal_the_rule(length: int, width: int, log_w: float | None) -> None:
    """Answers, last state and gradients, from a state on, where nothing and all is forgotten."""
    inputs = steps(length, width, log_w)
    initial = stream(2 * 3, width, width, seed=9).view(2, 3, width, width).requires_grad_()
    fast, slow = chunked_rank_one(inputs, initial), slowly(inputs, initial)
    torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-10)
    directions = [stream(1, 1, part.numel(), seed=8).view_as(part) for part in slow]
    got, due = (
        torch.autograd.grad(
            sum((part * d).sum() for part, d in zip(out, directions, strict=True)),
            [*inputs, initial],
        )
        for out in (fast, slow)
    )
    torch.testing.assert_close(got, due, rtol=1e-8, atol=1e-9)


def test_the_fastest_forgetting_is_a_float32() -> None:
    """With e^-5 a step and channel, over chunks, answers and gradients are those of float64."""
    exact = steps(40, 8, log_w=-5.0)
    single = Steps(*(part.detach().float().requires_grad_() for part in exact))
    nothing = torch.zeros(2, 3, 8, 8, dtype=torch.float64)
    results = []
    for inputs, initial in ((single, nothing.float()), (exact, nothing)):
        o, _ = chunked_rank_one(inputs, initial)
        results.append((o, *torch.autograd.grad(o.sum(), list(inputs))))
    for mine, due in zip(*results, strict=True):
        torch.testing.assert_close(mine.double(), due, rtol=1e-4, atol=1e-4)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match=r"num_heads: 3 is not allowed; .* \(8\)"):
        Kda(Kda.Config(num_heads=3), Surroundings(width=WIDTH))
