"""``min_gru`` and ``min_lstm`` against minGRU-pytorch, which scans in log space."""

import pytest
import torch
from minGRU_pytorch.minGRU import minGRU
from minGRU_pytorch.minLSTM import minLSTM
from torch import Tensor, nn
from torch.func import functional_call

from tests.trainables.models.agreement import Reference, Weights, assert_agree, stirred, stream
from trainables.models.cells import LAYERS
from trainables.models.layer import Surroundings

WIDTH = 6


def witness(module: nn.Module, linear: str, order: list[int]) -> Reference:
    """The package's module with our maps, which it keeps in another order."""

    def answer(weights: Weights, x: Tensor) -> Tensor:
        taken = {
            f"{linear}.{name}": torch.cat(
                [weights[f"project.{name}"].split(WIDTH)[i] for i in order]
            )
            for name in ("weight", "bias")
        }
        return functional_call(module, taken, x)

    return answer


@pytest.mark.parametrize("length", [1, 2, 63])
@pytest.mark.parametrize("kind", ["min_gru", "min_lstm"])
def test_agrees_with_the_package(kind: str, length: int) -> None:
    """The paper's linear maps have biases, the package's have none: they are given some here."""
    torch.manual_seed(0)
    layer = LAYERS[kind](LAYERS[kind].Config(kind=kind), Surroundings(width=WIDTH)).double()
    stirred(layer)
    if kind == "min_gru":
        module, linear, order = minGRU(WIDTH), "to_hidden_and_gate", [1, 0]
    else:
        module, linear, order = minLSTM(WIDTH), "to_hidden_and_f_i_gate", [2, 0, 1]
    setattr(module, linear, nn.Linear(WIDTH, len(order) * WIDTH))
    assert_agree(layer, witness(module.double(), linear, order), stream(2, length, WIDTH))
