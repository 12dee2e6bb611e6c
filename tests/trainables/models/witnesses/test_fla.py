"""``gated_delta`` against the reference that flash-linear-attention keeps beside its kernels."""

import pytest
import torch

from tests.trainables.models.agreement import stream
from tests.trainables.models.test_gated_delta import drive
from tests.trainables.models.witnesses.naive_delta import naive_recurrent_gated_delta_rule
from trainables.models.kernels.chunked_delta import chunked_delta


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
    direction = stream(2 * 3, length, width, seed=6).view_as(ours)
    torch.testing.assert_close(ours, theirs.double().transpose(1, 2), rtol=1e-5, atol=1e-5)
    got, due = (
        torch.autograd.grad((y * direction).sum(), inputs)
        for y in (ours, theirs.double().transpose(1, 2))
    )
    torch.testing.assert_close(got, due, rtol=1e-4, atol=1e-4)
