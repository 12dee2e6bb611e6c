"""Inputs that are said again at anchors: the loss written out, and what it must not touch."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.trainables.models.test_model import NUMBERS, SYMBOLS, config_of
from tests.trainables.training.stand_ins import (
    CPU,
    LAG,
    attempt,
    ladder,
    no_tick,
    recall,
    seeded,
    trial_config,
)
from trainables.learning.anchors import Anchors, anchors_of, training_flops
from trainables.models.config import ModelConfig
from trainables.models.model import Model, build
from trainables.models.room import Room
from trainables.randomness import Streams
from trainables.regimes import Auxiliary, Incremental
from trainables.training.member import Member

LENGTH = 21


def auxiliary(**choices: Any) -> Auxiliary:
    return Auxiliary(Auxiliary.Config.model_validate({"kind": "auxiliary", **choices}))


def beside(model: Model, **choices: Any) -> Anchors:
    made = anchors_of(auxiliary(**choices), model, seed=1)
    assert made is not None
    return made.to(next(model.parameters()).dtype)


def inputs_of(model: Model, length: int = LENGTH) -> Tensor:
    if model.embedding is None:
        return torch.randn(3, length, model.inputs.features, generator=seeded(1)).double()
    return torch.randint(5, (3, length), generator=seeded(1))


def written_out(
    model: Model, net: Anchors, inputs: Tensor, anchors: list[int], behind: bool
) -> Tensor:
    """Step by step: nn.LSTM's equations from a constant state, then a GRU's, input by input."""
    lstm = dict(model.blocks[0].layer.named_parameters())
    gru = dict(net.net.named_parameters())
    steps, losses = net.config.steps, []
    front = dict(model.front_end.named_parameters())
    told = inputs if model.embedding is None else model.embedding.weight[inputs]
    shown = told @ front["map.weight"].T + front["map.bias"]
    w_x, w_h = lstm["fused.weight_ih_l0"], lstm["fused.weight_hh_l0"]
    b = lstm["fused.bias_ih_l0"] + lstm["fused.bias_hh_l0"]
    for anchor in anchors:
        h = c = torch.zeros(len(inputs), model.config.hidden_size, dtype=torch.float64)
        for t in range(anchor):
            if t == max(0, anchor - steps):
                h, c = h.detach(), c.detach()
            i, f, g, o = (shown[:, t] @ w_x.T + h @ w_h.T + b).chunk(4, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        state = (h @ net.begin.weight.T + net.begin.bias).tanh()
        if behind:
            said = range(anchor, min(anchor + steps, inputs.shape[1]))
        else:
            said = range(max(0, anchor - steps), anchor)
        before = torch.zeros_like(told[:, 0])
        for t in said:
            from_x = before @ gru["weight_ih_l0"].T + gru["bias_ih_l0"]
            from_h = state @ gru["weight_hh_l0"].T + gru["bias_hh_l0"]
            (r_x, z_x, n_x), (r_h, z_h, n_h) = from_x.chunk(3, 1), from_h.chunk(3, 1)
            z = (z_x + z_h).sigmoid()
            state = (1 - z) * (n_x + (r_x + r_h).sigmoid() * n_h).tanh() + z * state
            guess = state @ net.say.weight.T + net.say.bias
            if model.embedding is None:
                off = (guess - inputs[:, t]).square().mean(1)
            else:
                off = guess.logsumexp(1) - guess.gather(1, inputs[:, t : t + 1])[:, 0]
            losses.append(off.mean() / (len(said) * len(anchors)))
            before = told[:, t]
    return torch.stack(losses).sum()


@pytest.mark.parametrize("said", ["what_was_read", "what_follows"])
@pytest.mark.parametrize("interface", [SYMBOLS, NUMBERS], ids=["symbols", "numbers"])
@pytest.mark.parametrize(
    ("steps", "anchors"), [(5, [5]), (5, [7, 16]), (5, [20]), (1, [9]), (40, [12, 12, 20])]
)
def test_the_loss_is_as_written_out(
    said: str, interface: Any, steps: int, anchors: list[int]
) -> None:
    """In float64, to 1e-9, with the gradients of the model's weights and of the net beside it."""
    config = ModelConfig.model_validate({"cell": "lstm", "hidden_size": 8})
    model = build(config, interface, seed=0).double()
    net = beside(model, said=said, steps=steps, anchors=len(anchors))
    inputs = inputs_of(model)
    found = net.loss(Room(model, math.inf), inputs, anchors)
    due = written_out(model, net, inputs, anchors, behind=said == "what_follows")
    torch.testing.assert_close(found, due, rtol=1e-9, atol=1e-12)
    sources = [*model.parameters(), *net.parameters()]
    mine, theirs = (
        torch.autograd.grad(loss, sources, allow_unused=True, materialize_grads=True)
        for loss in (found, due)
    )
    torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)
    assert mine[len(list(model.parameters()))].any()


@pytest.mark.parametrize(
    "kind", ["gru", "lru", "mamba", "ntm", "transformer", "hyena", "recurrent_memory"]
)
def test_gradients_end_where_the_segment_begins(kind: str) -> None:
    """Inputs that are numbers have some within it, and none before it nor behind the anchor."""
    model = build(config_of("cell", kind), NUMBERS, seed=0).double()
    inputs = inputs_of(model).requires_grad_()
    net = beside(model, steps=6)
    (gradient,) = torch.autograd.grad(net.loss(Room(model, math.inf), inputs, [15]), inputs)
    assert gradient[:, 9:15].any(dim=-1).all()
    assert not gradient[:, :9].any()
    assert not gradient[:, 15:].any()


@pytest.mark.parametrize("kind", ["gru", "lru"])
def test_short_of_memory_it_reads_in_pieces(kind: str) -> None:
    model = build(config_of("cell", kind), SYMBOLS, seed=0).double()
    inputs, net = inputs_of(model, 400), beside(model, steps=9)
    found = []
    for room in (Room(model, math.inf), Room(model, 1.0)):
        loss = net.loss(room, inputs, [200, 390])
        found.append(torch.autograd.grad(loss, [*net.parameters(), *model.blocks.parameters()]))
    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("said", "lowest", "highest"), [("what_was_read", 5, 21), ("what_follows", 1, 16)]
)
def test_anchors_lie_evenly_where_whole_segments_are(said: str, lowest: int, highest: int) -> None:
    """Within five standard deviations of 8000; of sequences too short, as much as there is."""
    model = build(config_of("cell", "lstm"), SYMBOLS, seed=0)
    net, generator = beside(model, said=said, steps=5, anchors=4), seeded(3)
    drawn = [net.draw(LENGTH, generator) for _ in range(2000)]
    assert all(list(some) == sorted(some) for some in drawn)
    every = [anchor for some in drawn for anchor in some]
    places = range(lowest, highest + 1)
    assert set(every) == set(places)
    share = 1 / len(places)
    for place in places:
        spread = (8000 * share * (1 - share)) ** 0.5
        assert every.count(place) == pytest.approx(8000 * share, abs=5 * spread)
    short = {place for _ in range(20) for place in net.draw(3, generator)}
    assert short == ({3} if said == "what_was_read" else {1})
    room = Room(model, math.inf)
    for length in (1, 2, 3):
        loss = net.loss(room, inputs_of(model, length), net.draw(length, generator))
        assert loss.isfinite()


def test_nothing_follows_a_single_step() -> None:
    model = build(config_of("cell", "lstm"), SYMBOLS, seed=0)
    net = beside(model, said="what_follows")
    assert net.draw(1, seeded()) == ()
    assert net.loss(Room(model, math.inf), inputs_of(model, 1), ()) == 0


def member(regime: dict[str, Any], **training: Any) -> Member:
    config = trial_config("gru", {"rehearsal_fraction": 0.0, **regime})
    chosen = config.training.model_validate({**config.training.model_dump(), **training})
    config = config.model_copy(update={"training": chosen})
    return Member(config, recall(), Streams(0, "0" * 64), 0, LAG, CPU)


def learned(m: Member, steps: range = range(4)) -> Tensor:
    for step in steps:
        m.learn(recall().sample(LAG, 16, seeded(step)))
    return nn.utils.parameters_to_vector(m.judged.parameters()).detach()


PLAIN: dict[str, Any] = {"kind": "incremental"}


@pytest.mark.parametrize(
    "training",
    [
        {},
        {"optimiser": "rmsprop", "gradient_noise": 0.1, "clip_norm": 0.1},
        {"optimiser": "muon", "average_decay": 0.9, "schedule": "cosine"},
    ],
    ids=["adam", "rmsprop", "muon"],
)
@pytest.mark.parametrize("said", ["what_was_read", "what_follows"])
def test_with_weight_0_it_is_the_plain_regime(training: dict[str, Any], said: str) -> None:
    """To the last bit, whatever learns along; with a weight it is not."""
    regime = {"kind": "auxiliary", "said": said, "steps": 3}
    plain = learned(member(PLAIN, **training))
    assert torch.equal(learned(member({**regime, "weight": 0.0}, **training)), plain)
    assert not torch.equal(learned(member({**regime, "weight": 1.0}, **training)), plain)
    window: dict[str, Any] = {"kind": "truncated", "window": 2}
    cut = learned(member({**regime, "weight": 0.0, "window": 2}, **training))
    assert torch.equal(cut, learned(member(window, **training)))


def test_what_is_judged_and_told_is_the_model_and_its_answers() -> None:
    """The same weights by name, the same first ones, and the loss of the answers alone."""
    plain, other = member(PLAIN), member({"kind": "auxiliary", "steps": 3})
    first = plain.model.state_dict()
    assert other.judged.state_dict().keys() == first.keys()
    assert all(torch.equal(other.judged.state_dict()[name], first[name]) for name in first)
    batch = recall().sample(LAG, 16, seeded(9))
    assert plain.learn(batch) == other.learn(batch)


def test_a_member_that_is_cut_off_goes_on_to_the_last_bit() -> None:
    regime = {"kind": "auxiliary", "steps": 3, "anchors": 2}
    whole, begun, again = member(regime), member(regime), member(regime)
    learned(begun, range(2))
    again.restore(begun.state())
    assert torch.equal(learned(again, range(2, 4)), learned(whole))


def test_a_loss_beside_that_is_no_number_ends_the_attempt() -> None:
    m = member({"kind": "auxiliary", "steps": 3})
    assert m._anchors is not None
    with torch.no_grad():
        m._anchors.say.bias.fill_(math.nan)
    before = learned(m, range(400))
    assert math.isnan(m.learn(recall().sample(LAG, 16, seeded(0)))[0])
    assert torch.equal(learned(m, range(0)), before)


@torch.no_grad()
def test_it_learns_to_say_what_it_read() -> None:
    """Of two symbols that nothing foretells, each one of four: guessing them costs log 4."""
    m = member({"kind": "auxiliary", "steps": 2, "weight": 1.0})
    assert m._anchors is not None
    inputs, room = recall().sample(LAG, 64, seeded(50)).inputs, Room(m.model, math.inf)
    with torch.enable_grad():
        learned(m, range(400))
    assert float(m._anchors.loss(room, inputs, [2])) < 0.5 * math.log(4)


@pytest.mark.parametrize("said", ["what_was_read", "what_follows"])
def test_what_it_costs_is_counted(said: str) -> None:
    """The reading at a third, the segment at its own, and the net's products."""
    config = ModelConfig.model_validate({"cell": "gru", "hidden_size": 8})
    model = build(config, recall(), seed=0)
    plain = training_flops(Incremental(Incremental.Config()), model, 100, 1)
    assert plain == model.flops(100, 1)
    regime = auxiliary(said=said, steps=10, anchors=2)
    vocabulary = recall().inputs.vocabulary
    a_step = model.flops(100, 0) / 100
    saying = 2 * (3 * 8 * (8 + 8) + 8 * vocabulary)
    due = plain + a_step * 60 / 3 + 20 * (a_step + saying)
    assert training_flops(regime, model, 100, 1) == pytest.approx(due)
    costs = []
    for chosen in (PLAIN, {"kind": "auxiliary", "said": said, "steps": 2}):
        steps = ladder(sequences=160, stall=None)
        training = attempt(member(chosen), steps, regime=chosen)
        costs.append(training.run(no_tick).training_gflop)
    assert costs[1] > 1.5 * costs[0]
