"""``gated_delta``: the chunks against the sequential rule of Yang et al. 2024."""

import math

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from tests.trainables.models.kernels.paths import PATHS, take
from trainables.models.cells.gated_delta import GatedDelta
from trainables.models.kernels.chunked_delta import chunked_delta
from trainables.models.layer import Surroundings

WIDTH, HEADS, TAPS = 8, 2, 4
HEAD = WIDTH // HEADS


def rule(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_alpha: Tensor) -> Tensor:
    """S_t = alpha S_{t-1} (1 - beta k k^T) + beta v k^T, o_t = S_t q_t: equation 10."""
    B, H, T, E = q.shape
    S = q.new_zeros(B, H, E, E)
    answers = []
    for t in range(T):
        q_t, k_t, v_t = (part[:, :, t, :, None] for part in (q, k, v))
        b, a = beta[:, :, t, None, None], log_alpha[:, :, t, None, None].exp()
        S = a * S @ (torch.eye(E, dtype=q.dtype) - b * k_t @ k_t.mT) + b * v_t @ k_t.mT
        answers.append((S @ q_t)[..., 0])
    return torch.stack(answers, 2)


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def product_rule(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, alpha: Tensor) -> Tensor:
    """S_t = S_{t-1} alpha H_1 ... H_n + ..., equations of Siems et al. 2025, each write in turn.

    k, v (B, n, H, T, E) and beta (B, n, H, T); q (B, H, T, E) and alpha (B, H, T).
    """
    B, H, T, E = q.shape
    S = q.new_zeros(B, H, E, E)
    answers = []
    for t in range(T):
        S = alpha[:, :, t, None, None] * S
        for j in range(k.shape[1]):
            k_t, v_t, b = k[:, j, :, t, :, None], v[:, j, :, t, :, None], beta[:, j, :, t]
            b = b[..., None, None]
            S = S @ (torch.eye(E, dtype=q.dtype) - b * k_t @ k_t.mT) + b * v_t @ k_t.mT
        answers.append((S @ q[:, :, t, :, None])[..., 0])
    return torch.stack(answers, 2)


def gated_delta(
    weights: Weights, x: Tensor, largest_write: float = 1.0, num_writes: int = 1
) -> Tensor:
    def heads(part: Tensor) -> Tensor:
        return part.view(*x.shape[:2], HEADS, HEAD).transpose(1, 2)

    def unit(part: Tensor) -> Tensor:
        return part / part.square().sum(-1, keepdim=True).sqrt()

    drive = x @ weights["qkv.weight"].T
    convolved = []
    for t in range(x.shape[1]):
        y = weights["convolution.bias"].expand(len(x), -1)
        for s in range(max(0, t - TAPS + 1), t + 1):
            y = y + weights["convolution.taps"][t - s] * drive[:, s]
        convolved.append(silu(y))
    q, *pairs = (heads(part) for part in torch.stack(convolved, 1).split(WIDTH, dim=-1))
    k, v = torch.stack(pairs[:num_writes], 1), torch.stack(pairs[num_writes:], 1)
    keep = x @ weights["keep.weight"].T + weights["keep.bias"]
    log_alpha = -torch.exp(weights["log_rate"]) * torch.log1p(torch.exp(keep))
    write = x @ weights["write.weight"].T + weights["write.bias"]
    beta = largest_write / (1 + torch.exp(-write.unflatten(-1, (num_writes, HEADS))))
    alpha = torch.exp(log_alpha).transpose(1, 2)
    o = product_rule(unit(q), unit(k), v, beta.permute(0, 2, 3, 1), alpha)
    o = o / (o.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weights["norm.weight"]
    o = o.transpose(1, 2).reshape(x.shape) * silu(x @ weights["gate.weight"].T)
    return o @ weights["out.weight"].T


@pytest.mark.parametrize("length", [1, 2, 16, 17, 63])
def test_agrees_with_the_equations(length: int) -> None:
    torch.manual_seed(0)
    config = GatedDelta.Config(num_heads=HEADS, taps=TAPS)
    layer = GatedDelta(config, Surroundings(width=WIDTH)).double()
    stirred(layer)
    assert_agree(layer, gated_delta, stream(2, length, WIDTH))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("largest_write", "num_writes"), [(2.0, 1), (2.0, 3), (1.0, 2)])
@pytest.mark.parametrize("length", [1, 2, 17, 63])
def test_products_of_writes_agree_with_the_equations(
    length: int, largest_write: float, num_writes: int, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eigenvalues down to -1, and several writes a step, compiled and not."""
    take(path, monkeypatch)
    torch.manual_seed(0)
    choices = {"largest_write": largest_write, "num_writes": num_writes}
    config = GatedDelta.Config.model_validate({"num_heads": HEADS, "taps": TAPS, **choices})
    layer = GatedDelta(config, Surroundings(width=WIDTH)).double()
    stirred(layer)
    x = stream(2, length, WIDTH)
    assert_agree(layer, lambda w, x: gated_delta(w, x, largest_write, num_writes), x)
    state, answers = layer.initial_state(2), []
    for x_t in x.unbind(1):
        y, state = layer.step(x_t, state)
        answers.append(y)
    torch.testing.assert_close(torch.stack(answers, 1), layer(x), rtol=0, atol=1e-10)


def test_two_writes_turn_a_memory_by_any_angle() -> None:
    """Two reflections, beta = 2 and nothing new, are a rotation by twice the angle between keys."""
    angle = 0.4
    k = torch.tensor([[1.0, 0.0], [1.0, 0.0], [math.cos(angle), math.sin(angle)]]).double()
    v = torch.tensor([[0.3, -0.7], [0.0, 0.0], [0.0, 0.0]]).double()
    gate = torch.tensor([1.0, 2.0, 2.0]).double()
    q = torch.tensor([[0.0, 0.0], [0.0, 0.0], [math.cos(2 * angle), math.sin(2 * angle)]]).double()
    q, k, v = (part[None, None] for part in (q, k, v))
    o = chunked_delta(q, k, v, gate[None, None], torch.zeros(1, 1, 3).double())
    torch.testing.assert_close(o[0, 0, -1], v[0, 0, 0])


def test_an_older_configuration_keeps_its_digest() -> None:
    """What came later is written only where it is chosen."""
    assert set(GatedDelta.Config().model_dump()) == {
        "kind", "num_heads", "taps", "dt_min", "dt_max",
    }  # fmt: skip
    chosen = GatedDelta.Config(largest_write=2.0)
    assert GatedDelta.Config.model_validate(chosen.model_dump()) == chosen
    assert "num_writes" not in chosen.model_dump(mode="json")


def drive(length: int, width: int, seed: int = 1) -> list[Tensor]:
    """q, k of length 1, v (B, H, T, E), beta and log alpha (B, H, T)."""
    q, k, v = (
        stream(2 * 3, length, width, seed=seed + s).view(2, 3, length, width) for s in range(3)
    )
    q, k = (torch.nn.functional.normalize(part, dim=-1) for part in (q, k))
    beta = stream(2, 3, length, seed=seed + 3).sigmoid()
    log_alpha = torch.nn.functional.logsigmoid(stream(2, 3, length, seed=seed + 4) + 3)
    return [part.requires_grad_() for part in (q, k, v, beta, log_alpha)]


@pytest.mark.parametrize(("length", "width"), [(1, 4), (50, 4), (70, 20), (130, 64)])
def test_chunks_equal_the_rule(length: int, width: int) -> None:
    """Answers and gradients, in chunks of 16, 20 and 64 steps."""
    inputs = drive(length, width)
    fast, slow = chunked_delta(*inputs), rule(*inputs)
    torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-11)
    direction = stream(2 * 3, length, width, seed=6).view_as(slow)
    got, due = (torch.autograd.grad((y * direction).sum(), inputs) for y in (fast, slow))
    torch.testing.assert_close(got, due, rtol=1e-8, atol=1e-9)


def test_a_value_is_corrected_not_added_to() -> None:
    """With beta = alpha = 1, writing a key again leaves its new value, and others as they were."""
    k = torch.eye(3, dtype=torch.float64)[[0, 1, 0]]
    v = stream(1, 3, 3)[0]
    zeros = torch.zeros(1, 1, 4, dtype=torch.float64)
    for asked, due in [(0, v[2]), (1, v[1])]:
        keys, values = torch.cat([k, k[:1]]), torch.cat([v, v[2:]])
        q = torch.eye(3, dtype=torch.float64)[[asked] * 4]
        q, keys, values = (part[None, None] for part in (q, keys, values))
        answers = chunked_delta(q, keys, values, zeros + 1, zeros)
        torch.testing.assert_close(answers[0, 0, -1], due)


def test_shut_gates_forget_without_overflow() -> None:
    """With e^-200 kept a step, only the step's own write is left, with finite gradients."""
    inputs = [part.detach().float() for part in drive(40, 4)]
    inputs[4] = torch.full_like(inputs[4], -200.0)
    q, k, v, beta, _ = (part.requires_grad_() for part in inputs)
    answers = chunked_delta(*inputs)
    gradients = torch.autograd.grad(answers.sum(), inputs)
    torch.testing.assert_close(answers, beta[..., None] * (k * q).sum(-1, keepdim=True) * v)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match=r"num_heads: 3 is not allowed; .* \(8\)"):
        GatedDelta(GatedDelta.Config(num_heads=3), Surroundings(width=WIDTH))
