"""What every kind of layer promises, because it is in the table."""

import copy
import inspect
import json
import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.trainables.models.kernels.paths import PATHS, take
from trainables.models.cells import LAYERS
from trainables.models.layer import Layer, Recurrence, Surroundings

WIDTH = 8
KINDS = sorted(LAYERS)
RECURRENCES = [kind for kind in KINDS if issubclass(LAYERS[kind], Recurrence)]
LONG = 130  # crosses the chunks of 32, 64 and 128 steps that parallel forms work in


@pytest.fixture(params=PATHS, autouse=True)
def _path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds for compiled kernels and for torch's operators."""
    take(request.param, monkeypatch)


def layer_of(kind: str, seed: int = 0, dtype: torch.dtype = torch.float64) -> Layer:
    torch.manual_seed(seed)
    return LAYERS[kind](LAYERS[kind].Config(kind=kind), Surroundings(width=WIDTH)).to(dtype)


def stream(batch: int, length: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, length, WIDTH, generator=generator, dtype=torch.float64)


def weighted(y: Tensor, seed: int = 2) -> Tensor:
    """A sum of ``y`` with random weights, so that no symmetry hides a gradient."""
    generator = torch.Generator().manual_seed(seed)
    return (y * torch.randn(y.shape, generator=generator, dtype=torch.float64).to(y.dtype)).sum()


def scan(layer: Recurrence, x: Tensor) -> Tensor:
    state = layer.initial_state(x.shape[0])
    answers = []
    for x_t in x.unbind(1):
        y_t, state = layer.step(x_t, state)
        answers.append(y_t)
    return torch.stack(answers, dim=1)


@pytest.mark.parametrize("kind", KINDS)
def test_no_gradient_from_the_future(kind: str) -> None:
    """The answer at t has gradient exactly 0 in every later input, and not 0 in its own."""
    x = stream(2, LONG).requires_grad_()
    y = layer_of(kind)(x)
    for t in (0, 1, 30, 63, 64, LONG - 2):
        (gradient,) = torch.autograd.grad(weighted(y[:, t]), x, retain_graph=True)
        assert torch.count_nonzero(gradient[:, t + 1 :]) == 0
        assert (gradient[:, t].abs().amax(-1) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1, 2, 63])
def test_a_prefix_answers_as_the_whole(kind: str, length: int) -> None:
    """No value leaks from the future, by a path without gradient either; any length runs."""
    layer, x = layer_of(kind), stream(2, LONG)
    with torch.no_grad():
        torch.testing.assert_close(layer(x[:, :length]), layer(x)[:, :length], rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1, 2, 63])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_runs_and_learns_at_any_length(kind: str, length: int, dtype: torch.dtype) -> None:
    """Shape and type are kept, and everything stays finite, in bfloat16 too."""
    layer, x = layer_of(kind, dtype=dtype), stream(3, length).to(dtype).requires_grad_()
    y = layer(x)
    assert (y.shape, y.dtype) == (x.shape, dtype)
    weighted(y).backward()
    gradients = [x.grad, *(p.grad for p in layer.parameters() if p.grad is not None)]
    assert all(torch.isfinite(value).all() for value in [y, *gradients])


@pytest.mark.parametrize("kind", KINDS)
def test_runs_under_autocast(kind: str) -> None:
    """Weights in float32, products in bfloat16: as a model is trained in reduced precision."""
    layer = layer_of(kind, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(stream(2, 63).float())
    weighted(y).backward()
    assert torch.isfinite(y).all()


@pytest.mark.parametrize("kind", KINDS)
def test_makes_its_tensors_where_its_weights_are(kind: str) -> None:
    """On a device without numbers, forward, steps and backward meet no tensor of another."""
    layer, x = layer_of(kind).to("meta"), stream(2, 3).to("meta")
    answers = [layer(x), scan(layer, x)] if isinstance(layer, Recurrence) else [layer(x)]
    for y in answers:
        assert (y.device, y.shape) == (x.device, x.shape)
        y.sum().backward()


@pytest.mark.parametrize("kind", RECURRENCES)
def test_forward_is_the_scan_of_step(kind: str) -> None:
    """The fast path and the steps one by one agree, gradients in inputs and weights too."""
    layer = layer_of(kind)
    assert isinstance(layer, Recurrence)
    x = stream(3, LONG).requires_grad_()
    fast, slow = layer(x), scan(layer, x)
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-10)
    sources = [x, *layer.parameters()]
    by_forward = torch.autograd.grad(weighted(fast), sources, allow_unused=True)
    by_step = torch.autograd.grad(weighted(slow), sources, allow_unused=True)
    torch.testing.assert_close(by_forward, by_step, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cuts", [(1,), (64, 65), (3, 40, 129)])
def test_a_sequence_may_come_in_pieces(kind: str, cuts: tuple[int, ...]) -> None:
    """Pieces that hand on the state answer as the whole; gradients cross between them."""
    layer = layer_of(kind)
    x = stream(2, LONG).requires_grad_()
    state, answers = layer.initial_state(2), []
    for piece in x.tensor_split(cuts, dim=1):
        y, state = layer.scan(piece, state)
        answers.append(y)
    whole, pieces = layer(x), torch.cat(answers, dim=1)
    torch.testing.assert_close(pieces, whole, rtol=0, atol=1e-12)
    sources = [x, *layer.parameters()]
    by_whole = torch.autograd.grad(weighted(whole), sources, allow_unused=True)
    by_pieces = torch.autograd.grad(weighted(pieces), sources, allow_unused=True)
    torch.testing.assert_close(by_pieces, by_whole, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", RECURRENCES)
def test_gradients_go_through_the_state(kind: str) -> None:
    """From what is answered and from what is handed on, into a state that came in.

    Stabilisers, of which any gives the same answers, carry none.
    """
    layer = layer_of(kind)
    assert isinstance(layer, Recurrence)
    _, before = layer.scan(stream(2, 40), layer.initial_state(2))
    state = tuple(part.detach().requires_grad_(part.requires_grad) for part in before)
    x = stream(2, 67, seed=3)
    through = [part for part in state if part.requires_grad]

    def gradients(answers: Tensor, after: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        handed_on = [weighted(part) for part in after if part.requires_grad]
        total = weighted(answers) + torch.stack(handed_on).sum()
        return torch.autograd.grad(total, through, materialize_grads=True, allow_unused=True)

    by_scan = gradients(*layer.scan(x, state))
    stepped, answers = state, []
    for x_t in x.unbind(1):
        y_t, stepped = layer.step(x_t, stepped)
        answers.append(y_t)
    by_step = gradients(torch.stack(answers, dim=1), stepped)
    assert any(torch.count_nonzero(part) for part in by_scan)
    torch.testing.assert_close(by_scan, by_step, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_see_each_other(kind: str) -> None:
    """A row alone answers as in its batch; no gradient crosses rows."""
    layer, x = layer_of(kind), stream(3, 63).requires_grad_()
    y = layer(x)
    torch.testing.assert_close(layer(x[1:2]), y[1:2], rtol=0, atol=1e-10)
    (gradient,) = torch.autograd.grad(weighted(y[1]), x)
    assert torch.count_nonzero(gradient[[0, 2]]) == 0
    assert torch.count_nonzero(gradient[1]) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_every_parameter(kind: str) -> None:
    """No weight is left out of learning."""
    layer = layer_of(kind)
    weighted(layer(stream(4, 63))).backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert torch.count_nonzero(parameter.grad) > 0, name


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_matters_is_in_the_state_dict(kind: str) -> None:
    """Weights put into another copy, and a copy or a pickle, answer the same to the last bit."""
    layer, other, x = layer_of(kind), layer_of(kind, seed=7), stream(2, 9)
    y = layer(x)
    assert not torch.equal(other(x), y)
    other.load_state_dict(layer.state_dict())
    for again in (other, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(again(x), y)


@pytest.mark.parametrize("kind", KINDS)
def test_forward_draws_nothing(kind: str) -> None:
    """No layer reads or moves the global generator, and the same inputs give the same answers."""
    layer, x = layer_of(kind), stream(2, 9)
    before = torch.get_rng_state()
    first, second = layer(x), layer(x)
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", KINDS)
def test_configuration_round_trips(kind: str) -> None:
    """Plain data and back; the kind is the table's key and the file's name."""
    cell = LAYERS[kind]
    config = cell.Config(kind=kind)
    assert cell.Config.model_validate(json.loads(json.dumps(config.model_dump()))) == config
    assert cell.Config().kind == kind
    assert Path(inspect.getfile(cell)).stem == kind
    with pytest.raises(ValueError, match="no_such_key"):
        cell.Config.model_validate({"kind": kind, "no_such_key": 1})


@pytest.mark.parametrize("kind", KINDS)
def test_state_is_counted(kind: str) -> None:
    """A recurrence carries its state, the same at every length; the others never less for more."""
    layer = layer_of(kind)
    carried = [layer.state_bytes(length) for length in (1, 64, 4096)]
    assert all(isinstance(count, int) for count in carried)
    assert 0 <= carried[0] <= carried[1] <= carried[2]
    if isinstance(layer, Recurrence):
        numbers = sum(part.numel() for part in layer.initial_state(1))
        assert carried == [4 * numbers] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_flops_are_those_of_the_products(kind: str) -> None:
    """Within a factor of two of the matrix products that torch counts, and what the state takes.

    They are counted step by step and in one pass, since torch does not see into fused kernels, and
    chunked forms do more products than steps. Nor does it count element-wise products: a state
    takes at most four for each of its numbers, to decay, to write and to read.
    """
    layer, length = layer_of(kind, dtype=torch.float32), 64
    x = stream(1, length).float()
    unfused = sdpa_kernel(SDPBackend.MATH)  # the fused kernel hides its products
    with torch.no_grad(), unfused, FlopCounterMode(display=False) as counter:
        layer(x)
    least = most = counter.get_total_flops() / length
    if isinstance(layer, Recurrence):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            scan(layer, x)
        least = counter.get_total_flops() / length
        most = max(least, most) + 4 * layer.state_bytes(length) / 4
    assert 0 < least / 2 <= layer.flops_per_step(length) <= 2 * most
