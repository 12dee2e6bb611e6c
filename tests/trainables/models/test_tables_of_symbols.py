"""The table of symbols: the stream itself, or behind a map; and read-outs tied to it."""

from __future__ import annotations

import copy
import pickle
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from trainables.config import TrialConfig
from trainables.learning.learning import Learning
from trainables.models.config import ModelConfig
from trainables.models.model import Model, build, outline
from trainables.tasks import TASKS
from trainables.tasks.task import ClassAnswer, NumberAnswer, Reals, Symbols

WIDTH, STEPS = 8, 11
TIED = {"kind": "last", "tied": True}
READOUTS: dict[str, dict[str, Any]] = {
    "last": TIED,
    "attention": {"kind": "attention", "num_heads": 2, "tied": True},
}
SCORED = torch.tensor([[0, 7, 10], [3, 4, 5]])


class Shown(NamedTuple):
    """Seven symbols, of which three are classes, in another order."""

    inputs: Symbols | Reals = Symbols(7)
    answer: ClassAnswer | NumberAnswer = ClassAnswer(3)
    class_symbols: tuple[int, ...] = (5, 1, 6)


def config_of(**parts: Any) -> ModelConfig:
    return ModelConfig.model_validate({"cell": "gru", "hidden_size": WIDTH, **parts})


def symbols(seed: int = 1) -> Tensor:
    return torch.randint(7, (2, STEPS), generator=torch.Generator().manual_seed(seed))


def untied_twin(model: Model, readout: dict[str, Any]) -> Model:
    """The same with a map of its own, whose weights are the table's rows and whose bias is 0."""
    twin = build(config_of(readout={**readout, "tied": False}), Shown(), seed=9).double()
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    rows = own["embedding.weight"][list(Shown().class_symbols)].clone()
    twin.load_state_dict({**own, "readout.map.weight": rows, "readout.map.bias": torch.zeros(3)})
    return twin


@pytest.mark.parametrize("name", READOUTS)
def test_scores_are_products_with_the_classes_own_vectors(name: str) -> None:
    """Class by class; and the table has the gradients of both its uses."""
    model = build(config_of(readout=READOUTS[name]), Shown(), seed=0).double()
    twin = untied_twin(model, READOUTS[name])
    tied, untied = model(symbols(), SCORED), twin(symbols(), SCORED)
    torch.testing.assert_close(tied, untied, rtol=0, atol=1e-12)
    for answers in (tied, untied):
        answers.pow(3).sum().backward()
    expected = twin.embedding.weight.grad.clone()
    for number, symbol in enumerate(Shown().class_symbols):
        expected[symbol] += twin.readout.map.weight.grad[number]
    torch.testing.assert_close(model.embedding.weight.grad, expected, rtol=0, atol=1e-12)
    others = dict(twin.named_parameters())
    for kept, weight in model.named_parameters():
        if kept != "embedding.weight":
            torch.testing.assert_close(weight.grad, others[kept].grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", READOUTS)
def test_the_table_is_one_wherever_the_model_goes(name: str) -> None:
    """It is counted and saved once, and a copy's read-out has the copy's own."""
    model = build(config_of(readout=READOUTS[name]), Shown(), seed=0)
    untied = build(config_of(readout={**READOUTS[name], "tied": False}), Shown(), seed=0)
    assert model.num_parameters == untied.num_parameters - 3 * (WIDTH + 1)
    assert outline(config_of(readout=READOUTS[name]), Shown()).num_parameters == (
        model.num_parameters
    )
    assert not [kept for kept in model.state_dict() if kept.startswith("readout.map")]
    assert model.flops(STEPS, 3) == untied.flops(STEPS, 3)
    before = model(symbols(), SCORED)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(symbols(), SCORED), before)
        with torch.no_grad():
            other.embedding.weight.zero_()
        assert not other(symbols(), SCORED).any()
    assert torch.equal(model(symbols(), SCORED), before)
    assert model.to("meta")(symbols().to("meta"), SCORED.to("meta")).device.type == "meta"


@pytest.mark.parametrize("average_decay", [0.0, 0.9])
@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_learning_moves_table_and_read_out_as_one(optimiser: str, average_decay: float) -> None:
    """The model that is judged, which may be an average in time, answers by its own table."""
    training = {"optimiser": optimiser, "average_decay": average_decay, "learning_rate": 0.1}
    config = TrialConfig.model_validate({"model": config_of(readout=TIED), "training": training})
    model = build(config.model, Shown(), seed=0)
    learning = Learning(config.training, model, torch.Generator())
    before = model.embedding.weight.detach().clone()
    for _ in range(2):
        learning.step(Shown().answer.loss(model(symbols(), SCORED), torch.zeros_like(SCORED)))
    judged = learning.judged
    assert not torch.equal(judged.embedding.weight, before)
    assert torch.equal(judged.embedding.weight, model.embedding.weight) == (average_decay == 0)
    x = torch.randn(2, STEPS, WIDTH)
    rows = judged.embedding.weight[list(Shown().class_symbols)]
    expected = x.gather(1, SCORED[..., None].expand(-1, -1, WIDTH)) @ rows.T
    assert torch.equal(judged.readout(x, SCORED), expected)


@pytest.mark.parametrize(
    "shown",
    [
        Shown(inputs=Reals(2), class_symbols=()),
        Shown(answer=NumberAnswer(1.0), class_symbols=()),
        Shown(class_symbols=()),
        Shown(class_symbols=(5, 1)),
        Shown(class_symbols=(5, 1, 7)),
        Shown(class_symbols=(5, 1, -1)),
    ],
    ids=["numbers shown", "numbers asked", "no symbols", "too few", "beyond", "below"],
)
def test_answers_that_are_no_symbols_are_refused(shown: Shown) -> None:
    said = "readout.tied: True is not allowed; the task's answers are not symbols of its inputs"
    with pytest.raises(ValueError, match=f"^{said}$"):
        build(config_of(readout=TIED), shown, seed=0)


NAMED = {
    "recall": {"alphabet": 3},
    "copying": {"alphabet": 3},
    "selective_copying": {"vocabulary": 6},
    "associative_recall": {"vocabulary": 16},
    "induction": {"vocabulary": 6},
    "flip_flop": {},
}
"""Tasks whose answer is what was shown at some step, as it was shown."""


@pytest.mark.parametrize("kind", NAMED)
def test_a_class_is_the_symbol_that_was_shown(kind: str) -> None:
    """Every answer of 64 sequences stands in its sequence, as its class's symbol."""
    task = TASKS[kind](TASKS[kind].Config.model_validate(NAMED[kind]))
    assert len(set(task.class_symbols)) == task.answer.outputs
    assert task.class_symbols == task.encoding.class_symbols
    lag = max(12, task.shortest_lag)
    batch = task.sample(lag, 64, torch.Generator().manual_seed(0))
    answers = torch.tensor(task.class_symbols)[batch.targets]
    assert (batch.inputs[:, None] == answers[..., None]).any(-1).all()


@pytest.mark.parametrize("kind", ["adding", "temporal_order", "parity", "delayed_pattern"])
def test_other_answers_are_no_symbols(kind: str) -> None:
    task = TASKS[kind](TASKS[kind].Config())
    assert task.class_symbols == task.encoding.class_symbols == ()


def test_the_stream_may_be_the_table_itself() -> None:
    """With learned positions added, and nothing else, ahead of the first block."""
    parts = {"front_end": {"kind": "none", "mapped": False}, "positions": "learned"}
    model = build(config_of(**parts), Shown(), seed=0)
    seen: list[Tensor] = []
    model.blocks[0].register_forward_pre_hook(lambda block, given: seen.append(given[0]))
    model(symbols(), SCORED)
    positions = model.positions.table[:STEPS]
    assert torch.equal(seen[0], model.embedding.weight[symbols()] + positions)
    mapped = build(config_of(positions="learned"), Shown(), seed=0)
    assert mapped.num_parameters - model.num_parameters == WIDTH * (WIDTH + 1)
    assert mapped.flops(STEPS, 1) - model.flops(STEPS, 1) == STEPS * 2 * WIDTH**2


def test_numbers_that_are_not_as_wide_as_the_stream_need_a_map() -> None:
    said = "front_end.mapped: False is not allowed; inputs are 2 numbers a step, and the hidden"
    config = config_of(front_end={"kind": "none", "mapped": False})
    with pytest.raises(ValueError, match=said):
        build(config, Shown(inputs=Reals(2)), seed=0)
    assert build(config, Shown(inputs=Reals(WIDTH)), seed=0)(
        torch.randn(2, STEPS, WIDTH), SCORED
    ).shape == (2, 3, 3)


def test_configurations_from_before_are_written_as_they_were() -> None:
    written = config_of().model_dump(mode="json")
    assert written["front_end"] == {"kind": "none"}
    assert written["readout"] == {"kind": "last"}
    chosen = {"readout": TIED, "front_end": {"kind": "none", "mapped": False}}
    again = config_of(**chosen).model_dump(mode="json")
    assert {key: again[key] for key in chosen} == chosen
    assert ModelConfig.model_validate(again) == config_of(**chosen)
