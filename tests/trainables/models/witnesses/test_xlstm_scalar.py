"""``slstm`` against xlstm, its authors' package."""

import pytest
import torch
from torch import Tensor
from xlstm.blocks.slstm.src.vanilla.slstm import slstm_forward_pointwise

from tests.trainables.models.agreement import Weights, assert_agree, stream
from tests.trainables.models.test_slstm import WIDTH, heard, layer_of, normed


def witness(weights: Weights, x: Tensor) -> Tensor:
    """The package's step, from nothing, between our linear maps; its order is i, f, z, o."""
    states = x.new_zeros(4, len(x), WIDTH)
    answers = []
    for x_t in x.unbind(1):
        driven = x_t @ weights["enter.weight"].T
        bias = weights["enter.bias"][None]
        states, _ = slstm_forward_pointwise(driven, heard(weights, states[0]), bias, states, {})
        answers.append(states[0])
    return normed(weights, torch.stack(answers, 1))


@pytest.mark.parametrize("length", [1, 2, 63])
def test_the_cell_agrees_with_the_package(length: int) -> None:
    assert_agree(layer_of(scale=0.5), witness, stream(2, length, WIDTH))
