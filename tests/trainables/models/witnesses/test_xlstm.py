"""``mlstm`` against xlstm, its authors' package."""

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import linear
from xlstm.blocks.mlstm.backends import (
    parallel_stabilized_simple,
    recurrent_step_stabilized_simple,
)
from xlstm.components.ln import MultiHeadLayerNorm

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models.cells.mlstm import Mlstm
from trainables.models.layer import Surroundings

WIDTH, HEADS = 8, 2


def in_parallel(q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor) -> Tensor:
    return parallel_stabilized_simple(q, k, v, i, f, eps=0.0)


def step_by_step(q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor) -> Tensor:
    B, H, _, E = q.shape
    state = tuple(q.new_zeros(B, H, *shape) for shape in [(E, E), (E, 1), (1, 1)])
    answers = []
    for now in zip(*(part.split(1, dim=2) for part in (q, k, v, i, f)), strict=True):
        own = [part.clone() for part in now]  # it squeezes what it is given in place
        h, state = recurrent_step_stabilized_simple(*state, *own, eps=0.0)
        answers.append(h)
    return torch.cat(answers, dim=2)


FORMS = {"parallel": in_parallel, "recurrent": step_by_step}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("length", [1, 2, 63])
def test_the_cell_agrees_with_the_package(length: int, form: str) -> None:
    """Both forms and the norm, between our linear maps.

    The package adds 1e-6 to the normaliser, which the paper does not (eps); its norm scales by
    1 + w; and its gates see q, k and v, where the paper's equations 25 and 26 have the input.
    """
    torch.manual_seed(0)
    layer = Mlstm(Mlstm.Config(num_heads=HEADS), Surroundings(width=WIDTH)).double()
    stirred(layer, scale=0.5)
    norm = MultiHeadLayerNorm(WIDTH, weight=True, bias=True).double()

    def witness(weights: Weights, x: Tensor) -> Tensor:
        def heads(part: Tensor) -> Tensor:
            return part.unflatten(-1, (HEADS, -1)).transpose(1, 2)

        def affine(name: str) -> Tensor:
            return linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

        h = FORMS[form](
            *map(heads, affine("qkv").chunk(3, dim=-1)),
            *map(heads, affine("gates").chunk(2, dim=-1)),
        )
        scaled = {"weight": weights["norm.weight"] - 1, "bias": weights["norm.bias"]}
        normed = functional_call(norm, scaled, h).transpose(1, 2).flatten(2)
        y = torch.sigmoid(affine("open")) * normed
        return linear(y, weights["out.weight"], weights["out.bias"])

    assert_agree(layer, witness, stream(2, length, WIDTH))
