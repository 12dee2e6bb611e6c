"""A member learns one batch at a time, and can be put away and taken up again."""

from __future__ import annotations

import pytest
import torch

from tests.trainables.training.stand_ins import CPU, LAG, recall, seeded, trial_config
from trainables.config import TrialConfig
from trainables.models.model import build
from trainables.randomness import Streams
from trainables.tasks.task import Batch
from trainables.training.member import Member

STREAMS = Streams(0, "0" * 64)


def member(config: TrialConfig | None = None, number: int = 0) -> Member:
    return Member(config or trial_config(), recall(), STREAMS, number, LAG, CPU)


def batch(seed: int = 0, size: int = 16) -> Batch:
    return recall().sample(LAG, size, seeded(seed))


def weights(m: Member) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in m.model.parameters()]).clone()


def test_first_weights_are_those_of_its_stream() -> None:
    config = trial_config()
    expected = build(config.model, recall(), STREAMS.seed_of("weights", LAG, 3))
    given = member(config, 3).model.state_dict()
    assert all(torch.equal(given[name], t) for name, t in expected.state_dict().items())
    assert not torch.equal(weights(member(number=0)), weights(member(number=1)))


def test_loss_and_successes_are_from_before_the_step() -> None:
    learner = member()
    with torch.no_grad():
        predictions = learner.model(batch().inputs, batch().scored)
        loss = recall().answer.loss(predictions, batch().targets)
        right = int((predictions.argmax(-1) == batch().targets).sum())
    before = weights(learner)
    assert learner.learn(batch()) == (float(loss), right)
    assert not torch.equal(weights(learner), before)


def test_it_learns_by_adam_on_gradients_clipped_by_their_norm() -> None:
    """Three steps, each clipped, against PyTorch's unfused Adam, written out."""
    config, clip = trial_config(), 0.05
    training = config.training.model_copy(update={"clip_norm": clip})
    config = config.model_copy(update={"training": training})
    learner, twin = member(config), member(config).model
    adam = torch.optim.Adam(twin.parameters(), lr=0.03)
    for step in range(3):
        adam.zero_grad()
        shown = batch(step)
        recall().answer.loss(twin(shown.inputs, shown.scored), shown.targets).backward()
        norm = torch.cat([p.grad.flatten() for p in twin.parameters() if p.grad is not None]).norm()
        assert norm > 2 * clip
        for p in twin.parameters():
            if p.grad is not None:
                p.grad *= min(1.0, clip / float(norm + 1e-6))
        adam.step()
        learner.learn(shown)
    expected = torch.cat([p.detach().flatten() for p in twin.parameters()])
    # float32 sums in another order; a step is 0.03, so this is a ten-thousandth of one
    torch.testing.assert_close(weights(learner), expected, rtol=0, atol=3e-6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("steps_before", [0, 1])
def test_nothing_is_learned_from_a_loss_that_is_no_number(bad: float, steps_before: int) -> None:
    """Its gradient is zero: a first step moves nothing, a later one what Adam still holds."""
    learner, twin = member(), member()
    for m in (learner, twin):
        for _ in range(steps_before):
            m.learn(batch())
    with torch.no_grad():
        spoilt = next(iter(learner.model.readout.parameters()))
        spoilt.fill_(bad)
    loss, _ = learner.learn(batch())
    assert not torch.isfinite(torch.tensor(loss))
    for weight in twin.model.parameters():
        weight.grad = torch.zeros_like(weight)
    twin.learning.optimisers[0].step()
    pairs = zip(learner.model.parameters(), twin.model.parameters(), strict=True)
    assert all(weight is spoilt or torch.equal(weight, same) for weight, same in pairs)
    held = learner.learning.optimisers[0].state_dict()["state"]
    assert all(part.isfinite().all() for parts in held.values() for part in parts.values())


def test_restored_it_goes_on_as_the_one_left_in_peace() -> None:
    """Weights and Adam's moments, to the last bit."""
    whole, first, second = member(), member(), member(number=5)
    for step in range(3):
        whole.learn(batch(step))
        first.learn(batch(step))
    second.restore(first.state())
    for step in range(3, 6):
        assert whole.learn(batch(step)) == second.learn(batch(step))
    assert torch.equal(weights(whole), weights(second))


def test_clipping_can_be_turned_off() -> None:
    """Adam is blind to the scale of all gradients, so it shows from the second step on."""
    config = trial_config()
    tight = config.training.model_copy(update={"clip_norm": 1e-3})
    none = config.training.model_copy(update={"clip_norm": None})
    learners = [member(config.model_copy(update={"training": t})) for t in (tight, none)]
    for learner in learners:
        for step in range(4):
            learner.learn(batch(step, size=4 + 20 * (step % 2)))
    assert not torch.allclose(weights(learners[0]), weights(learners[1]), atol=1e-4)
