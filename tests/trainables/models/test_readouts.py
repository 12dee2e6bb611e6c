"""What every read-out promises, and each against loops."""

import json
import math

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from trainables.models import readouts
from trainables.models.readouts import READOUTS, Readout

WIDTH, OUTPUTS, LENGTH = 6, 3, 20
CHOICES: list[tuple[str, dict[str, object]]] = [
    *[(kind, {}) for kind in sorted(READOUTS)],
    ("attention", {"score": "additive"}),
    ("attention", {"score": "dot", "num_heads": 3}),
    ("attention", {"score": "additive", "num_heads": 2}),
]
SCORED = torch.tensor([[0, 7, 19], [3, 4, 12]])


def readout_of(kind: str, choices: dict[str, object]) -> Readout:
    torch.manual_seed(0)
    config = READOUTS[kind].Config.model_validate({"kind": kind, **choices})
    return READOUTS[kind](config, WIDTH, OUTPUTS).double()


def stream(length: int = LENGTH) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, length, WIDTH, generator=generator, dtype=torch.float64)


def answered(readout: Readout, x: Tensor, scored: Tensor) -> Tensor:
    """Row by row, answer by answer, head by head and step by step."""
    rows = []
    for row, steps in zip(x, scored.tolist(), strict=True):
        answers = []
        for t in steps:
            seen = row[t]
            if readout.config.kind == "attention":
                contexts = [context(readout, row, t, h) for h in range(readout.config.num_heads)]
                joined = torch.cat([row[t], *contexts])
                seen = torch.tanh(readout.combine.weight @ joined + readout.combine.bias)
            answers.append(readout.map.weight @ seen + readout.map.bias)
        rows.append(torch.stack(answers))
    return torch.stack(rows)


def context(readout: Readout, row: Tensor, t: int, h: int) -> Tensor:
    """One head's sum_s softmax_s(score) x_s for s up to t."""
    own, score = slice(h * WIDTH, (h + 1) * WIDTH), readout.score
    scores = []
    for s in range(t + 1):
        query = score.query.weight[own] @ row[t]
        if readout.config.score == "dot":
            scores.append(query @ row[s] / math.sqrt(WIDTH))
        else:
            key = score.key.weight[own] @ row[s]
            scores.append(score.v[h] @ torch.tanh(query + score.query.bias[own] + key))
    weights = torch.stack(scores).exp()
    return sum(w * row[s] for s, w in enumerate(weights)) / weights.sum()


@pytest.mark.parametrize(("kind", "choices"), CHOICES)
@pytest.mark.parametrize("block", [1, 1 << 18])
def test_equals_loops(
    monkeypatch: pytest.MonkeyPatch, kind: str, choices: dict[str, object], block: int
) -> None:
    """Answers and gradients, with all answers at a time and with one."""
    monkeypatch.setattr(readouts, "_BLOCK", block)
    readout, x = readout_of(kind, choices), stream().requires_grad_()
    fast, slow = readout(x, SCORED), answered(readout, x, SCORED)
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-12)
    sources = [x, *readout.parameters()]
    by_module = torch.autograd.grad(fast.pow(3).sum(), sources)
    by_loops = torch.autograd.grad(slow.pow(3).sum(), sources)
    torch.testing.assert_close(by_module, by_loops, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("kind", "choices"), CHOICES)
def test_an_answer_sees_its_own_past_alone(kind: str, choices: dict[str, object]) -> None:
    """Exactly no gradient from later steps and from other rows; its own step counts."""
    readout, x = readout_of(kind, choices), stream().requires_grad_()
    y = readout(x, SCORED)
    for row in range(2):
        for answer, t in enumerate(SCORED[row].tolist()):
            loss = y[row, answer].pow(3).sum()
            (gradient,) = torch.autograd.grad(loss, x, retain_graph=True)
            assert torch.count_nonzero(gradient[1 - row]) == 0
            assert torch.count_nonzero(gradient[row, t + 1 :]) == 0
            assert torch.count_nonzero(gradient[row, t]) > 0
            attends = kind != "last" and t > 0
            assert (torch.count_nonzero(gradient[row, :t]) > 0) == attends


@pytest.mark.parametrize(("kind", "choices"), CHOICES)
@pytest.mark.parametrize("length", [1, 2, 63])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_reach_every_parameter(
    kind: str, choices: dict[str, object], length: int, dtype: torch.dtype
) -> None:
    """No weight is left out of learning, once there is a past to weigh; bfloat16 runs."""
    readout = readout_of(kind, choices).to(dtype)
    y = readout(stream(length).to(dtype), torch.full((2, 1), length - 1))
    assert (y.shape, y.dtype) == ((2, 1, OUTPUTS), dtype)
    y.float().pow(3).sum().backward()
    for name, parameter in readout.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert length == 1 or torch.count_nonzero(parameter.grad) > 0, name


@pytest.mark.parametrize(("kind", "choices"), CHOICES)
def test_flops_are_those_of_the_products(kind: str, choices: dict[str, object]) -> None:
    """What torch counts for one row and three answers."""
    readout, x = readout_of(kind, choices), stream()[:1]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        readout(x, SCORED[:1])
    expected = LENGTH * readout.flops_per_step() + 3 * readout.flops_per_answer(LENGTH)
    assert counter.get_total_flops() == pytest.approx(expected)


@pytest.mark.parametrize(("kind", "choices"), CHOICES)
def test_state_is_the_past_it_looks_back_on(kind: str, choices: dict[str, object]) -> None:
    """Four bytes a number of the stream, or nothing."""
    kept = 0 if kind == "last" else 4 * LENGTH * WIDTH
    assert readout_of(kind, choices).state_bytes(LENGTH) == kept


@pytest.mark.parametrize("kind", sorted(READOUTS))
def test_configuration_round_trips(kind: str) -> None:
    """Plain data and back; the kind is the table's key."""
    config = READOUTS[kind].Config()
    assert config.kind == kind
    assert READOUTS[kind].Config.model_validate(json.loads(config.model_dump_json())) == config


def test_additive_scores_bound_their_memory() -> None:
    """No tensor of all answers by all steps by the width is kept for the backward pass."""
    readout, length, answers = readout_of("attention", {"score": "additive"}), 4096, 64
    x, scored = stream(length), torch.arange(answers).expand(2, -1)
    kept: dict[int, int] = {}

    def keep(saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        y = readout(x.requires_grad_(), scored)
    assert sum(kept.values()) < 2 * answers * length * WIDTH * 8
    assert y.requires_grad
