"""What forget gates start with, in every cell that has one."""

import math
from typing import Annotated

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from trainables.messages import one_line
from trainables.models.cells import LAYERS
from trainables.models.cells.s4d import S4d
from trainables.models.first_weights import Chrono, Uniform, inverse_softplus
from trainables.models.layer import PartConfig, Recurrence, Surroundings
from trainables.parts import OneOf

CELLS = TypeAdapter(Annotated[PartConfig, OneOf(LAYERS)])
WITH_FORGET_BIAS = ["lstm", "gru", "min_gru", "min_lstm", "dilated_lstm", "refined_lstm", "slstm"]


def cell_of(kind: str, forget_bias: object, width: int = 4) -> Recurrence:
    torch.manual_seed(0)
    config = LAYERS[kind].Config.model_validate({"kind": kind, "forget_bias": forget_bias})
    layer = LAYERS[kind](config, Surroundings(width=width)).double()
    assert isinstance(layer, Recurrence)
    return layer


def share_kept(kind: str, forget_bias: object, width: int = 4) -> Tensor:
    """How much of each unit's memory outlives a step of silence, with all matrices at zero."""
    layer = cell_of(kind, forget_bias, width)
    with torch.no_grad():
        for parameter in layer.parameters():
            if parameter.dim() == 2:
                parameter.zero_()

    *rest, memory = layer.initial_state(1)
    memory.requires_grad_()
    _, following = layer.step(torch.zeros_like(memory), (*rest, memory))
    (share,) = torch.autograd.grad(following[-1].sum(), memory)  # no unit hears another
    return share[0]


@pytest.mark.parametrize("kind", ["lstm", "gru", "min_gru"])
@pytest.mark.parametrize("bias", [-2.0, 0.0, 1.0, 5.0])
def test_a_number_is_the_share_kept(kind: str, bias: float) -> None:
    """sigmoid(b) of the memory outlives a step, whatever the cell calls its gate."""
    due = torch.full((4,), 1 / (1 + math.exp(-bias)), dtype=torch.float64)
    torch.testing.assert_close(share_kept(kind, bias), due, rtol=1e-6, atol=0)


@pytest.mark.parametrize("kind", ["lstm", "gru", "min_gru", "min_lstm"])
def test_chrono_forgets_at_all_times_up_to_the_longest(kind: str) -> None:
    """A unit forgets in u + 1 steps, u uniform in [1, T - 1]: T/2 on average, none above."""
    kept = share_kept(kind, {"kind": "chrono", "longest_lag": 400}, width=512)
    times = kept / (1 - kept)  # e^b
    assert 0.999 <= times.min() < 5
    assert 395 < times.max() <= 399.001
    assert times.mean() == pytest.approx(200, rel=0.08)
    assert times.std() == pytest.approx(398 / 12**0.5, rel=0.08)


@pytest.mark.parametrize("kind", ["lstm", "min_lstm"])
def test_chrono_shuts_the_input_gate(kind: str) -> None:
    """The separate input gate starts with the opposite bias; with a number it is left alone."""
    names = {"lstm": ("fused.bias_ih_l0", 1, 0), "min_lstm": ("project.bias", 0, 1)}
    name, forget, add = names[kind]
    gates = dict(cell_of(kind, {"kind": "chrono"}).named_parameters())[name].split(4)
    assert torch.equal(gates[forget], -gates[add])
    gates = dict(cell_of(kind, 2.0).named_parameters())[name].split(4)
    assert torch.equal(gates[forget], torch.full((4,), 2.0, dtype=torch.float64))
    assert not torch.equal(gates[forget], -gates[add])


@pytest.mark.parametrize("kind", ["lstm", "gru", "min_gru"])
def test_uniform_gates_keep_any_share_alike(kind: str) -> None:
    """What is kept is even between 1/D and 1 - 1/D; one unit keeps a half."""
    kept = share_kept(kind, "uniform", width=512)
    assert 1 / 513 < kept.min() < 0.02
    assert 0.98 < kept.max() < 512 / 513
    assert kept.mean() == pytest.approx(0.5, abs=0.04)
    assert kept.std() == pytest.approx(12**-0.5, rel=0.08)
    assert torch.equal(Uniform(Uniform.Config()).draw(1), torch.zeros(1))


def test_the_shortest_lag_is_allowed() -> None:
    """With T = 2 there is one choice, b = 0."""
    assert torch.equal(Chrono(Chrono.Config(longest_lag=2)).draw(3), torch.zeros(3))


@pytest.mark.parametrize("kind", WITH_FORGET_BIAS)
@pytest.mark.parametrize("bias", [3.0, {"kind": "chrono", "longest_lag": 64}])
def test_the_choice_round_trips(kind: str, bias: object) -> None:
    """A number is short for ``constant``; both come back from plain data as they were."""
    config = CELLS.validate_python({"kind": kind, "forget_bias": bias})
    plain = config.model_dump(mode="json")
    assert plain["forget_bias"] == ({"kind": "constant", "value": 3.0} if bias == 3.0 else bias)
    assert CELLS.validate_python(plain) == config
    assert "chrono" in str(CELLS.json_schema())


@pytest.mark.parametrize("kind", WITH_FORGET_BIAS)
@pytest.mark.parametrize(
    ("bias", "words"),
    [
        (30.0, ["value", "30.0", "less than or equal to 20"]),
        ("long", ["'long'", "constant, chrono"]),
        ({"kind": "chrono", "longest_lag": 1}, ["longest_lag", "1", "2"]),
        (True, ["True", "constant, chrono"]),
    ],
)
def test_a_wrong_choice_is_named(kind: str, bias: object, words: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        CELLS.validate_python({"kind": kind, "forget_bias": bias})
    line = one_line(caught.value)
    assert all(word in line for word in ["forget_bias", *words]), line
    assert "\n" not in line


@pytest.mark.parametrize("kind", ["s4d", "mamba", "gated_delta"])
def test_times_must_be_in_order(kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CELLS.validate_python({"kind": kind, "dt_min": 0.2, "dt_max": 0.1})
    assert "dt_min: 0.2 must not be above dt_max (0.1)" in one_line(caught.value)


def test_first_times_lie_between_the_two() -> None:
    """Evenly in the logarithm."""
    torch.manual_seed(0)
    dt = S4d.Config(dt_min=1e-4, dt_max=1e-2).draw_log_dt(4096).exp()
    assert 1e-4 <= dt.min() < 1.1e-4
    assert 0.9e-2 < dt.max() <= 1.0001e-2
    assert dt.log10().mean() == pytest.approx(-3, abs=0.05)


def test_softplus_is_undone() -> None:
    y = torch.tensor([1e-6, 1e-3, 0.1, 1.0, 30.0], dtype=torch.float64)
    again = torch.nn.functional.softplus(inverse_softplus(y))
    torch.testing.assert_close(again, y, rtol=1e-9, atol=0)
