"""Whole models, one for every entry of every table."""

import copy
import json
import pickle
import random

import numpy as np
import pytest
import torch
from torch import Tensor

from trainables.models.cells import LAYERS
from trainables.models.config import ModelConfig
from trainables.models.front_ends import FRONT_ENDS
from trainables.models.hybrids import HYBRIDS
from trainables.models.model import Model, build
from trainables.models.positions import POSITIONS
from trainables.models.readouts import READOUTS
from trainables.models.residuals import RESIDUALS
from trainables.tasks.task import Batch, ClassAnswer, Reals, Symbols, Task

TABLES = {
    "cell": LAYERS,
    "front_end": FRONT_ENDS,
    "positions": POSITIONS,
    "hybrid": HYBRIDS,
    "residual": RESIDUALS,
    "readout": READOUTS,
}
ENTRIES = [(part, kind) for part, table in TABLES.items() for kind in sorted(table)]
LENGTH = 21


class Shown(Task):
    """Inputs of one kind and three classes; only the shapes count here."""

    answer = ClassAnswer(3)

    def __init__(self, inputs: Symbols | Reals) -> None:
        self.inputs = inputs

    def length(self, lag: int) -> int:
        return lag + 1

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        raise NotImplementedError


NUMBERS, SYMBOLS = Shown(Reals(2)), Shown(Symbols(5))


def config_of(part: str, kind: str) -> ModelConfig:
    """The entry by its defaults, in a model of two blocks that attend where it must."""
    cell = "transformer" if part == "positions" and POSITIONS[kind].in_attention else "lstm"
    parts: dict[str, object] = {"cell": cell, "hidden_size": 8, "depth": 2, part: kind}
    return ModelConfig.model_validate(parts)


def numbers(length: int = LENGTH) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, length, 2, generator=generator, dtype=torch.float64)


def weights(model: Model) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize(("part", "kind"), ENTRIES)
def test_an_answer_sees_its_own_past_alone(part: str, kind: str) -> None:
    """Through the whole model: exactly no gradient from later steps and other rows."""
    model, x = build(config_of(part, kind), NUMBERS, seed=0).double(), numbers().requires_grad_()
    scored = torch.tensor([[0, 7, LENGTH - 2], [3, 4, 12]])
    y = model(x, scored)
    assert y.shape == (2, 3, 3)
    for row in range(2):
        for answer, t in enumerate(scored[row].tolist()):
            loss = y[row, answer].pow(3).sum()
            (gradient,) = torch.autograd.grad(loss, x, retain_graph=True)
            assert torch.count_nonzero(gradient[1 - row]) == 0
            assert torch.count_nonzero(gradient[row, t + 1 :]) == 0
            assert torch.count_nonzero(gradient[row, t]) > 0


@pytest.mark.parametrize(("part", "kind"), ENTRIES)
@pytest.mark.parametrize("length", [1, 2, 63])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_learns_from_symbols_at_any_length(
    part: str, kind: str, length: int, dtype: torch.dtype
) -> None:
    """Finite answers and gradients, every parameter reached once there is a past."""
    model = build(config_of(part, kind), SYMBOLS, seed=0).to(dtype)
    symbols = torch.randint(5, (4, length), generator=torch.Generator().manual_seed(1))
    y = model(symbols, torch.full((4, 1), length - 1))
    assert y.dtype == dtype
    y.float().pow(3).sum().backward()
    assert torch.isfinite(y).all()
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert length < 63 or torch.count_nonzero(parameter.grad) > 0, name


@pytest.mark.parametrize(("part", "kind"), ENTRIES)
def test_makes_its_tensors_where_its_weights_are(part: str, kind: str) -> None:
    """On a device without numbers, forward and backward meet no tensor of another."""
    model, x = build(config_of(part, kind), NUMBERS, seed=0).to("meta"), numbers(3).float()
    y = model(x.to("meta"), torch.full((2, 1), 2, device="meta"))
    assert (y.device.type, y.shape) == ("meta", (2, 1, 3))
    y.sum().backward()


@pytest.mark.parametrize(("part", "kind"), ENTRIES)
def test_the_seed_alone_fixes_the_weights(part: str, kind: str) -> None:
    """Same seed, same weights, whatever the global generators hold; and they are left alone."""
    config = config_of(part, kind)
    torch.manual_seed(1)
    before = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy())  # noqa: NPY002
    first = weights(build(config, NUMBERS, seed=5))
    after = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert before[1] == after[1]
    assert (before[2] == after[2]).all()
    torch.manual_seed(2)
    random.seed(2)
    np.random.seed(2)  # noqa: NPY002
    assert torch.equal(weights(build(config, NUMBERS, seed=5)), first)
    assert not torch.equal(weights(build(config, NUMBERS, seed=6)), first)


@pytest.mark.parametrize(("part", "kind"), ENTRIES)
def test_a_model_can_be_kept(part: str, kind: str) -> None:
    """Its weights in another copy, a deep copy and a pickle answer the same to the last bit."""
    config = config_of(part, kind)
    model, other = build(config, NUMBERS, seed=0), build(config, NUMBERS, seed=1)
    x, scored = numbers().float(), torch.full((2, 1), LENGTH - 1)
    other.load_state_dict(model.state_dict())
    for again in (other, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(again(x, scored), model(x, scored))


@pytest.mark.parametrize(("part", "kind"), ENTRIES)
def test_configuration_round_trips(part: str, kind: str) -> None:
    """By way of JSON, as a trial's configuration travels; a kind alone stands for its defaults."""
    config = config_of(part, kind)
    again = ModelConfig.model_validate(json.loads(json.dumps(config.model_dump(mode="json"))))
    assert again == config
    assert getattr(again, part).kind == kind


@pytest.mark.parametrize(("part", "kind"), ENTRIES)
def test_costs_grow_with_length(part: str, kind: str) -> None:
    """More steps and answers cost more; what is carried never shrinks."""
    model = build(config_of(part, kind), NUMBERS, seed=0)
    assert 0 < model.flops(64, 1) < model.flops(128, 1)
    assert model.flops(64, 1) < model.flops(64, 2)
    assert 0 < model.state_bytes(1) <= model.state_bytes(64) <= model.state_bytes(4096)
    assert model.num_parameters == weights(model).numel()


@pytest.mark.parametrize("positions", ["rope", "alibi", "xpos"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_positions_inside_attention_need_some(positions: str, cell: str) -> None:
    """Refused in one line where they would do nothing; welcome where any block attends."""
    parts = {"cell": cell, "positions": positions}
    reason = (
        f"positions.kind: {positions} is not allowed; it acts inside self-attention, and {cell} "
        "has none; allowed: none, sinusoidal, learned"
    )
    with pytest.raises(ValueError, match=reason):
        ModelConfig.model_validate(parts)
    assert ModelConfig.model_validate({**parts, "hybrid": "interleaved"}).blocks


def test_positions_reach_the_attention_of_a_hybrid() -> None:
    """Rope and ALiBi change the answers of the same weights."""
    x, scored = numbers(), torch.full((2, 1), LENGTH - 1)
    answers = []
    for positions in ("none", "rope", "alibi"):
        parts = {"cell": "lstm", "hybrid": "interleaved", "hidden_size": 8, "positions": positions}
        model = build(ModelConfig.model_validate(parts), NUMBERS, seed=0).double()
        answers.append(model(x, scored))
    assert not torch.allclose(answers[0], answers[1])
    assert not torch.allclose(answers[0], answers[2])


@pytest.mark.parametrize(
    ("depth", "every", "order"), [(1, 1, "ga"), (3, 1, "gagaga"), (3, 2, "ggag"), (4, 2, "ggagga")]
)
def test_a_hybrid_puts_another_kind_between(depth: int, every: int, order: str) -> None:
    """After every few blocks of the cell, from the input up."""
    other = {"kind": "self_attention", "num_heads": 2, "window": 8}
    hybrid = {"kind": "interleaved", "cell": other, "every": every}
    parts = {"cell": "gru", "hybrid": hybrid, "depth": depth, "hidden_size": 8, "residual": "add"}
    model = build(ModelConfig.model_validate(parts), NUMBERS, seed=0)
    letters = {"Gru": "g", "SelfAttention": "a"}
    assert "".join(letters[type(block.layer).__name__] for block in model.blocks) == order


def test_a_hybrid_too_deep_to_begin_is_refused() -> None:
    """One line with key, value and what is allowed."""
    parts = {"cell": "gru", "depth": 2, "hybrid": {"kind": "interleaved", "every": 3}}
    with pytest.raises(
        ValueError, match=r"hybrid.every: 3 is not allowed; it must be at most the depth \(2\)"
    ):
        ModelConfig.model_validate(parts)


def test_strided_blocks_run_at_the_lower_rate() -> None:
    """The blocks see a frame for every stride steps, and positions number the frames."""
    front_end = {"kind": "strided", "stride": 4}
    positions = {"kind": "learned", "max_length": 16}
    parts = {"cell": "lstm", "front_end": front_end, "positions": positions, "hidden_size": 8}
    model = build(ModelConfig.model_validate(parts), NUMBERS, seed=0).double()
    seen: list[int] = []
    model.blocks[0].register_forward_hook(lambda block, x, y: seen.append(x[0].shape[1]))
    for length in (1, 4, 5, 63):
        model(numbers(length), torch.zeros(2, 1, dtype=torch.int64))
    assert seen == [1, 1, 2, 16]
    assert (model.longest, model.reads(64), model.reads(65)) == (64, True, False)
    with pytest.raises(ValueError, match=r"positions.max_length: 16 .* the sequence has 17 steps"):
        model(numbers(65), torch.zeros(2, 1, dtype=torch.int64))
    plain = build(ModelConfig.model_validate({"cell": "lstm", "hidden_size": 8}), NUMBERS, seed=0)
    assert plain.longest is None
    assert plain.reads(10**9)
    blocks = plain.flops(64, 1) - 64 * plain.front_end.flops_per_step()
    strided = model.flops(64, 1) - 64 * model.front_end.flops_per_step()
    answer = plain.readout.flops_per_answer(64)
    assert (blocks - answer) / (strided - answer) == 4


def test_every_error_is_one_line() -> None:
    """A kind that is not in a table is refused with those that are."""
    for part, table in TABLES.items():
        with pytest.raises(ValueError, match=f"allowed: {', '.join(table)}"):
            ModelConfig.model_validate({"cell": "lstm", part: "no_such_kind"})
