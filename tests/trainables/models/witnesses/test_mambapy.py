"""``mamba`` against mambapy, which follows the authors' code."""

import pytest
import torch
from mambapy.mamba import MambaBlock, MambaConfig
from torch import Tensor
from torch.func import functional_call

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models.cells.mamba import Mamba
from trainables.models.layer import Surroundings

WIDTH, STATES, TAPS = 4, 3, 4


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("length", [1, 2, 63])
def test_the_block_agrees_with_the_package(length: int, parallel: bool) -> None:
    """Its parallel scan and its loop. It rounds A and D to float32 whatever it is given."""
    torch.manual_seed(0)
    layer = Mamba(Mamba.Config(state_size=STATES, taps=TAPS), Surroundings(width=WIDTH)).double()
    stirred(layer)
    rank = layer.rate.weight.shape[1]
    config = MambaConfig(WIDTH, 1, rank, STATES, 2, TAPS, pscan=parallel)
    block = MambaBlock(config).double()

    def witness(weights: Weights, x: Tensor) -> Tensor:
        taken = {
            "in_proj.weight": weights["into.weight"],
            "conv1d.weight": weights["convolution.taps"].flip(0).T[:, None],
            "conv1d.bias": weights["convolution.bias"],
            "x_proj.weight": weights["select.weight"],
            "dt_proj.weight": weights["rate.weight"],
            "dt_proj.bias": weights["rate.bias"],
            "A_log": weights["log_decay"].T,
            "D": weights["skip"],
            "out_proj.weight": weights["out.weight"],
        }
        return functional_call(block, taken, x)

    assert_agree(layer, witness, stream(2, length, WIDTH), rounding=1e-6)
