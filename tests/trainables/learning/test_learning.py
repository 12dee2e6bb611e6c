"""How a member learns: the rate by time and lag, the average, and going on after a cut."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.trainables.training.stand_ins import (
    CPU,
    LAG,
    KnowingModel,
    attempt,
    ladder,
    recall,
    seeded,
    trial_config,
)
from trainables.config import TrialConfig
from trainables.learning.optimisers import OPTIMISERS
from trainables.randomness import Streams
from trainables.training.climber import Climber, weights_file
from trainables.training.member import Member
from trainables.training.rung import RungTraining

COSINE = {"kind": "cosine", "warm_up_steps": 3}


def config(**training: Any) -> TrialConfig:
    plain = trial_config().model_dump()
    return TrialConfig.model_validate({**plain, "training": {**plain["training"], **training}})


def member(number: int = 0, **training: Any) -> Member:
    return Member(config(**training), recall(), Streams(0, "0" * 64), number, LAG, CPU)


def learn(m: Member, steps: range) -> list[tuple[float, int]]:
    return [m.learn(recall().sample(LAG, 16, seeded(step))) for step in steps]


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()]).clone()


def rates(m: Member, steps: int) -> list[float]:
    found = []
    for step in range(steps):
        learn(m, range(step, step + 1))
        (rate,) = {group["lr"] for o in m.learning.optimisers for group in o.param_groups}
        found.append(rate)
    return found


def test_a_configuration_from_before_keeps_its_digest() -> None:
    """Nothing of what came later is written, unless it is chosen."""
    assert set(config().training.model_dump()) == {
        "regime", "learning_rate", "clip_norm", "batch_size",
    }  # fmt: skip
    chosen = config(optimiser="lion", lag_scaling=0.5)
    assert TrialConfig.model_validate(chosen.model_dump()) == chosen
    assert len({config().digest, chosen.digest, config(average_decay=0.9).digest}) == 3
    assert config(optimiser="adam").digest == config().digest


def test_the_rate_follows_the_schedule_anew_on_every_rung() -> None:
    m = member(schedule={"kind": "inverse_root", "warm_up_steps": 2, "decay_steps": 1})
    due = [0.5, 1.0, 1.0, 2**-0.5]
    for _ in range(2):
        m.enter(1, 100)
        assert rates(m, 4) == pytest.approx([0.03 * factor for factor in due])


def test_the_rate_falls_as_a_power_of_the_lag() -> None:
    """With p = 1/2, a rung sixteen times as long as the first has a quarter of the rate."""
    m = member(lag_scaling=0.5)
    m.enter(16, 100)
    assert rates(m, 1) == pytest.approx([0.03 / 4])


def test_an_attempt_tells_how_long_its_rung_is_and_ends() -> None:
    steps = ladder(start=4, stop=64, sequences=330)
    m = member(lag_scaling=1.0, schedule="cosine")
    attempt(m, steps, lag=32, batch_size=16)
    assert m.learning.rate == pytest.approx(0.03 / 8)
    rates(m, 21)  # of 16 sequences: the budget
    assert m.learning.rate == pytest.approx(0.1 * 0.03 / 8)


def test_noise_is_added_to_gradients_and_fades() -> None:
    """Seen through one step of plain descent: variance eta / (1 + t)^0.55 around the gradient."""
    for total, variance in [(0, 4.0), (99, 4.0 / 100**0.55)]:
        m = member(gradient_noise=4.0, clip_norm=None)
        m.learning.optimisers = [torch.optim.SGD(m.model.parameters(), lr=1.0)]
        m.learning._total = total
        before = weights(m.model)
        learn(m, range(1))
        moved = (before - weights(m.model)) / 0.03
        assert moved.std().item() == pytest.approx(variance**0.5, rel=0.15)
    one, other = member(1, gradient_noise=1.0), member(1, gradient_noise=1.0)
    assert learn(one, range(4)) == learn(other, range(4))


def test_smoothed_labels_are_in_the_loss() -> None:
    """(1 - s) of the right class's and s of the mean of all classes' cross entropies."""
    shown = recall().sample(LAG, 16, seeded(0))
    m = member(label_smoothing=0.3)
    with torch.no_grad():
        logs = m.model(shown.inputs, shown.scored).log_softmax(-1)
    right = -logs.gather(-1, shown.targets[..., None]).mean()
    loss, _ = m.learn(shown)
    assert loss == pytest.approx(float(0.7 * right - 0.3 * logs.mean()), rel=1e-5)


def test_the_average_is_that_of_the_weights_and_is_judged() -> None:
    """Each step moves it by 1 - decay of the way, at first by 9 / (9 + steps)."""
    m, decay = member(average_decay=0.6), 0.6
    due = weights(m.model)
    assert torch.equal(weights(m.judged), due)
    for step in range(8):
        learn(m, range(step, step + 1))
        share = max(1 - decay, 9 / (10 + step))
        due = due + share * (weights(m.model) - due)
        torch.testing.assert_close(weights(m.judged), due)
    assert not torch.equal(weights(m.judged), weights(m.model))
    plain = member()
    assert plain.judged is plain.model


def test_looks_are_at_the_average() -> None:
    """A member whose average knows everything is right everywhere, whatever its weights know."""
    m = member(average_decay=0.9)
    m.learning.judged = KnowingModel()
    held_out = attempt(m, ladder()).held_out
    assert held_out.selected(1.0)
    assert held_out.look(1, is_last=True).tally.rate == 1


def test_what_is_kept_of_a_rung_is_the_average(tmp_path: Path) -> None:
    c = climber(tmp_path, success=0.05)
    c.climb()
    kept = load_file(weights_file(tmp_path, 4, 0))
    judged, trained = c.members[0].judged.state_dict(), c.members[0].model.state_dict()
    assert all(torch.equal(tensor, judged[name]) for name, tensor in kept.items())
    assert not all(torch.equal(tensor, trained[name]) for name, tensor in kept.items())


CHOICES: list[dict[str, Any]] = [
    *({"optimiser": kind} for kind in OPTIMISERS),
    {"schedule": COSINE, "lag_scaling": 0.5, "gradient_noise": 0.1},
    {"optimiser": "muon", "average_decay": 0.9, "label_smoothing": 0.1, "schedule": COSINE},
]


@pytest.mark.parametrize("choices", CHOICES, ids=str)
def test_restored_it_goes_on_as_the_one_left_in_peace(
    choices: dict[str, Any], tmp_path: Path
) -> None:
    """To the last bit, by way of a file, in the middle of a warm-up and of an average."""
    whole, first, second = member(**choices), member(**choices), member(5, **choices)
    for m in (whole, first, second):
        m.enter(4, 30)
    learn(whole, range(2))
    learn(first, range(2))
    torch.save(first.state(), tmp_path / "state")
    second.restore(torch.load(tmp_path / "state", weights_only=True))
    assert learn(whole, range(2, 7)) == learn(second, range(2, 7))
    assert torch.equal(weights(whole.model), weights(second.model))
    assert torch.equal(weights(whole.judged), weights(second.judged))


def test_a_state_from_before_schedules_is_understood() -> None:
    old, m = member(), member(1)
    learn(old, range(3))
    state = {key: value for key, value in old.state().items() if key != "steps"}
    m.restore(copy.deepcopy(state))
    assert learn(old, range(3, 5)) == learn(m, range(3, 5))


class CutOffError(Exception):
    pass


def climber(folder: Path, steps_until_cut: int | None = None, success: float = 0.99) -> Climber:
    steps = 0

    def tick(training: RungTraining) -> None:
        nonlocal steps
        steps += 1
        if steps == steps_until_cut:
            raise CutOffError

    chosen = config(
        optimiser="adamw",
        average_decay=0.8,
        lag_scaling=0.3,
        label_smoothing=0.05,
        schedule={"kind": "inverse_root", "warm_up_steps": 5, "decay_steps": 20},
    )
    rungs = ladder(start=2, stop=4, members=2, sequences=320, success=success)
    task = recall()
    return Climber(
        chosen, "recall", task, task.config, rungs, 7, folder, CPU, tick, lambda row: None
    )


@pytest.mark.parametrize("steps", [3, 22, 30])
def test_a_climb_that_was_cut_off_comes_to_the_same(steps: int, tmp_path: Path) -> None:
    """Within a warm-up, on the way down, and with another member: rows and weights alike."""
    whole, cut = climber(tmp_path / "whole"), climber(tmp_path / "cut", steps)
    whole.climb()
    with pytest.raises(CutOffError):
        cut.climb()
    torch.save(cut.state(), tmp_path / "state")
    resumed = climber(tmp_path / "cut")
    resumed.restore(torch.load(tmp_path / "state", weights_only=True))
    resumed.climb()

    def measured(c: Climber) -> list[tuple[Any, ...]]:
        return [(r.lag, r.member, r.ended_by, r.sequences, r.success_rate) for r in c.rows.values()]

    assert measured(resumed) == measured(whole)
    assert resumed.members.keys() == whole.members.keys()
    for number, mine in resumed.members.items():
        assert torch.equal(weights(mine.judged), weights(whole.members[number].judged))
