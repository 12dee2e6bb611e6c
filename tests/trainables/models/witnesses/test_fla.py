"""Delta rules against the references that flash-linear-attention keeps beside its kernels."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import stream
from tests.trainables.models.test_gated_delta import drive
from tests.trainables.models.test_kda import steps
from tests.trainables.models.test_mamba2 import HEADS
from tests.trainables.models.test_mamba2 import drive as drive_decaying
from tests.trainables.models.witnesses.naive_delta import naive, naive_recurrent_gated_delta_rule
from trainables.models.attention import causal_attention, forgetting
from trainables.models.kernels.chunked.decaying import chunked_decaying
from trainables.models.kernels.chunked.rank_one import Steps, chunked_rank_one
from trainables.models.kernels.chunked_delta import chunked_delta


def assert_close(ours: Tensor, theirs: Tensor, inputs: Sequence[Tensor]) -> None:
    """Answers (B, H, T, E) to 1e-5, gradients to 1e-4: the references compute in float32."""
    torch.testing.assert_close(ours, theirs.double(), rtol=1e-5, atol=1e-5)
    direction = stream(1, 1, ours.numel(), seed=6).view_as(ours)
    got, due = (torch.autograd.grad((y * direction).sum(), inputs) for y in (ours, theirs.double()))
    torch.testing.assert_close(got, due, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("length", "width"), [(1, 4), (2, 16), (63, 16), (130, 64)])
def test_the_rule_agrees_with_the_package(length: int, width: int) -> None:
    """Answers and gradients. The reference rounds to float32 whatever it is given.

    It has time before heads, and divides queries by sqrt(E) unless told not to; the paper's
    equation 10 does neither.
    """
    inputs = drive(length, width)
    ours = chunked_delta(*inputs)
    swapped = [part.transpose(1, 2) for part in inputs]
    theirs, _ = naive_recurrent_gated_delta_rule(*swapped, scale=1.0)
    assert_close(ours, theirs.transpose(1, 2), inputs)


@pytest.mark.parametrize("num_writes", [2, 3])
def test_several_writes_a_step_agree_with_the_package(num_writes: int) -> None:
    """One after the other, all but the first forgetting nothing, read after the last of them."""
    q, k, v, beta, log_alpha = drive(12 * num_writes, 16)
    first = torch.arange(12 * num_writes) % num_writes == 0
    forgetting = log_alpha * first
    ours = chunked_delta(q, k, v, 2 * beta, forgetting)[:, :, num_writes - 1 :: num_writes]
    swapped = [part.transpose(1, 2) for part in (q, k, v, log_alpha, 2 * beta)]
    theirs, _ = naive("gated_delta_product").naive_recurrent_gated_delta_product(
        swapped[0][:, num_writes - 1 :: num_writes],
        swapped[1],
        swapped[2],
        swapped[3][:, ::num_writes],
        swapped[4],
        scale=1.0,
        num_householder=num_writes,
    )
    assert_close(ours, theirs.transpose(1, 2), [q, k, v, beta, log_alpha])


@pytest.mark.parametrize(("length", "width"), [(1, 4), (2, 16), (63, 16)])
def test_a_gate_for_every_channel_agrees_with_the_package(length: int, width: int) -> None:
    """The rule of ``kda``, as that of a memory corrected by rank one."""
    q, k, v, beta, _ = drive(length, width)
    log_w = steps(length, width).log_w
    write = beta[..., None] * k
    ours, _ = chunked_rank_one(
        Steps(q, write, v, -write, log_w.exp() * k, log_w), torch.zeros(2, 3, width, width).double()
    )
    swapped = [part.transpose(1, 2) for part in (q, k, v, log_w, beta)]
    theirs, _ = naive("kda").naive_recurrent_kda(*swapped, scale=1.0)
    assert_close(ours, theirs.transpose(1, 2), [q, k, v, beta, log_w])


@pytest.mark.parametrize(("length", "width"), [(1, 4), (2, 16), (63, 16)])
def test_decay_and_rank_one_agree_with_the_package(length: int, width: int) -> None:
    """What ``rwkv7`` is made of; the package divides queries by sqrt(E), and swaps a and b."""
    inputs = steps(length, width)
    ours, _ = chunked_rank_one(inputs, torch.zeros(2, 3, width, width).double())
    q, k, v, a, b, log_w = inputs
    theirs, _ = naive("generalized_delta_rule/dplr").dplr_recurrence(q, k, v, b.float(), a, log_w)
    assert_close(ours, theirs * width**0.5, list(inputs))


@pytest.mark.parametrize("length", [1, 2, 65])
def test_a_decay_of_the_whole_memory_agrees_with_the_package(length: int) -> None:
    """What ``mamba2`` is made of; the package has q and k in every head."""
    inputs = drive_decaying(length)
    q, k, v, log_a, initial = inputs
    ours, _ = chunked_decaying(*inputs)
    heads = [part[:, :, None].expand(-1, -1, HEADS, -1) for part in (q, k)]
    swapped = [*heads, v.transpose(1, 2), log_a.transpose(1, 2)]
    theirs, _ = naive("simple_gla").naive_recurrent_simple_gla(
        *swapped, scale=1.0, initial_state=initial
    )
    assert_close(ours, theirs.transpose(1, 2), inputs)


@pytest.mark.parametrize("window", [None, 5])
def test_attention_that_forgets_agrees_with_the_package(window: int | None) -> None:
    """FoX: scores fall by what was forgotten since."""
    q, k, v, _, log_f = drive(40, 16)
    ours = causal_attention(*forgetting(q, k, v, log_f.cumsum(-1)), None, window)[..., :16]
    swapped = [part.transpose(1, 2) for part in (q, k, v, log_f)]
    theirs = naive("forgetting_attn").naive_forgetting_attn(*swapped, window_size=window)
    assert_close(ours, theirs.transpose(1, 2), [q, k, v, log_f])
