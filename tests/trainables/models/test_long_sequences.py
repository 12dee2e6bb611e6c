"""Ten thousand steps in float32."""

import copy

import pytest
import torch

from tests.trainables.models.agreement import stream
from trainables.models.cells import LAYERS
from trainables.models.layer import Surroundings

KINDS = [
    "min_gru", "min_lstm", "ind_rnn", "lru", "s4d", "mamba", "mlstm",
    pytest.param("gated_delta", marks=pytest.mark.slow),
]  # fmt: skip
WIDTH = 16  # heads of four


@pytest.mark.parametrize("kind", KINDS)
def test_float32_is_enough_for_ten_thousand_steps(kind: str) -> None:
    """Answers and gradients are those of float64 to a thousandth of their size, to the end."""
    torch.manual_seed(0)
    layer = LAYERS[kind](LAYERS[kind].Config(kind=kind), Surroundings(width=WIDTH))
    x = stream(1, 10_000, WIDTH)
    direction = stream(1, 10_000, WIDTH, seed=2)
    results = []
    for model, dtype in [(layer, torch.float32), (copy.deepcopy(layer).double(), torch.float64)]:
        inputs = x.to(dtype).requires_grad_()
        y = model(inputs)
        gradients = torch.autograd.grad(y, [inputs, *model.parameters()], direction.to(dtype))
        results.append([y[:, -1000:], *gradients])
    for single, double in zip(*results, strict=True):
        largest = double.abs().max().item()
        torch.testing.assert_close(single.double(), double, rtol=0, atol=1e-3 * largest)
