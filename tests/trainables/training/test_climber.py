"""A climber: whose weights go where, who leaves, and what is kept on disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.trainables.training.stand_ins import CPU, ladder, no_tick, recall, trial_config
from trainables.config import TrialConfig
from trainables.measure.ladder import Climb
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.records import MemberRung
from trainables.models.model import build
from trainables.randomness import Streams
from trainables.training import climber as module
from trainables.training.climber import Climber
from trainables.training.rung import RungTraining, Tick

LADDER: dict[str, Any] = {"start": 4, "stop": 32, "members": 3, "quorum": 2}


@dataclass
class Watched:
    """What members were when they began and ended their attempts."""

    began: dict[tuple[int, int], dict[str, Tensor]] = field(default_factory=dict)
    ended: dict[tuple[int, int], dict[str, Tensor]] = field(default_factory=dict)
    adam_steps: dict[tuple[int, int], int] = field(default_factory=dict)
    files: list[set[str]] = field(default_factory=list)


def copied(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: t.clone() for name, t in model.state_dict().items()}


def watch(
    monkeypatch: pytest.MonkeyPatch,
    weights: Path,
    fails: Callable[[int, int], bool] = lambda lag, member: False,
) -> Watched:
    """Attempts of one batch each, that fail where told to."""
    seen = Watched()

    class OneBatch(RungTraining):
        def run(self, tick: Tick) -> MemberRung:
            at = self.lag, self.member.number
            seen.files.append({file.name for file in weights.glob("*")})
            seen.began[at] = copied(self.member.model)
            seen.adam_steps[at] = len(self.member.learning.optimisers[0].state)
            self._learn_a_batch()
            seen.ended[at] = copied(self.member.model)
            failed = fails(*at)
            ended, rate = ("budget", 0.5) if failed else ("solved", 0.95)
            return MemberRung(self.name, *at, ended, rate, 0.4, 100, 1, 16, 0.1, 0.25)

    monkeypatch.setattr(module, "RungTraining", OneBatch)
    return seen


def climber(
    weights: Path,
    steps: LadderConfig,
    config: TrialConfig | None = None,
    rows: list[MemberRung] | None = None,
    tick: Tick = no_tick,
    clock: Callable[[], float] = time.monotonic,
) -> Climber:
    return Climber(
        config=config or trial_config(),
        name="recall",
        task=recall(),
        task_config=recall().config,
        ladder=steps,
        seed=7,
        weights=weights,
        device=CPU,
        tick=tick,
        measured=(rows if rows is not None else []).append,
        clock=clock,
    )


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def first_weights(c: Climber, rung: int, member: int) -> dict[str, Tensor]:
    return build(c.config.model, c.task, c.streams.seed_of("weights", rung, member)).state_dict()


def climbed(c: Climber) -> Climb:
    return c.climb()


# Weights between rungs


def test_from_scratch_every_rung_starts_with_weights_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that its seed gives, with an optimiser that has seen nothing."""
    seen = watch(monkeypatch, tmp_path)
    c = climber(tmp_path, ladder(**LADDER), trial_config(regime="scratch"))
    assert climbed(c).ended_by == "top"
    assert len(seen.began) == 4 * 3
    for (lag, member), began in seen.began.items():
        assert same(began, first_weights(c, lag, member))
        assert seen.adam_steps[lag, member] == 0
    assert not same(seen.began[4, 0], seen.began[8, 0])


def test_increments_carry_weights_and_optimiser_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watch(monkeypatch, tmp_path)
    c = climber(tmp_path, ladder(**LADDER))
    climbed(c)
    for member in range(3):
        assert same(seen.began[4, member], first_weights(c, 4, member))
        assert seen.adam_steps[4, member] == 0
        for below, lag in ((4, 8), (8, 16), (16, 32)):
            assert same(seen.began[lag, member], seen.ended[below, member])
            assert seen.adam_steps[lag, member] > 0
    assert not same(seen.began[4, 0], seen.began[4, 1])


# Who goes on


def test_a_member_that_fails_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the others go on without it, as long as they are a quorum."""
    seen = watch(monkeypatch, tmp_path, lambda lag, member: (lag, member) == (8, 1))
    c = climber(tmp_path, ladder(**LADDER))
    assert (climbed(c).ended_by, climbed(c).reach) == ("top", 32)
    assert sorted(seen.began) == [
        (4, 0), (4, 1), (4, 2), (8, 0), (8, 1), (8, 2), (16, 0), (16, 2), (32, 0), (32, 2)
    ]  # fmt: skip
    assert set(c.members) == {0, 2}
    assert not [file for file in tmp_path.iterdir() if file.name.endswith("-1.safetensors")]


def test_a_climb_ends_below_its_quorum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third member is not tried when the first two have failed; reach is the rung below."""
    seen = watch(monkeypatch, tmp_path, lambda lag, member: lag == 16)
    climb = climbed(climber(tmp_path, ladder(**LADDER)))
    assert (climb.ended_by, climb.reach, climb.passed) == ("failed_rung", 8, (4, 8))
    assert [member for lag, member in seen.began if lag == 16] == [0, 1]


@pytest.mark.parametrize("fails", [True, False])
def test_one_member_on_one_rung(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    watch(monkeypatch, tmp_path, lambda lag, member: fails)
    climb = climbed(climber(tmp_path, ladder()))
    assert (climb.ended_by, climb.reach) == (("failed_rung", 0) if fails else ("top", 4))
    assert [f.name for f in tmp_path.iterdir()] == ([] if fails else ["4-0.safetensors"])


# What is kept


def test_the_weights_of_the_two_highest_solved_rungs_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a rung is climbed, those of the one below are the reach; in the end the top's too."""
    seen = watch(monkeypatch, tmp_path)
    climbed(climber(tmp_path, ladder(**LADDER)))

    def files(*lags: int) -> set[str]:
        return {f"{lag}-{member}.safetensors" for lag in lags for member in range(3)}

    assert seen.files[3:4] + seen.files[6:7] + seen.files[9:10] == [
        files(4), files(4, 8), files(8, 16)
    ]  # fmt: skip
    assert {file.name for file in tmp_path.iterdir()} == files(16, 32)


def test_the_reach_keeps_its_weights_where_a_rung_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 4, 16 and 32: while 16 is climbed and half solved, 4 is the reach."""
    seen = watch(monkeypatch, tmp_path)
    found = climbed(climber(tmp_path, ladder(**LADDER, skip=0.5)))
    assert found.passed == (4, 16, 32)
    half = {*(f"4-{m}.safetensors" for m in range(3)), *(f"16-{m}.safetensors" for m in range(2))}
    assert seen.files[5] == half


def test_the_weights_kept_are_those_that_solved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watch(monkeypatch, tmp_path)
    climbed(climber(tmp_path, ladder(**LADDER)))
    for lag in (16, 32):
        for member in range(3):
            kept = load_file(tmp_path / f"{lag}-{member}.safetensors")
            assert same(kept, seen.ended[lag, member])


# Rows


def test_a_row_tells_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch(monkeypatch, tmp_path, lambda lag, member: (lag, member) == (4, 2))
    rows: list[MemberRung] = []
    c = climber(tmp_path, ladder(**{**LADDER, "stop": 4}), rows=rows)
    climbed(c)
    model = build(c.config.model, c.task, 0)
    assert [(r.task, r.lag, r.member, r.ended_by, r.solved) for r in rows] == [
        ("recall", 4, 0, "solved", True),
        ("recall", 4, 1, "solved", True),
        ("recall", 4, 2, "budget", False),
    ]
    row = rows[0]
    assert (row.success_rate, row.lower_bound, row.test_sequences, row.looks) == (0.95, 0.4, 100, 1)
    assert (row.sequences, row.seconds, row.training_gflop) == (16, 0.1, 0.25)
    assert row.parameters == model.num_parameters
    assert row.state_bytes == model.state_bytes(5)
    assert row.flops_per_step == model.flops(5, max(1, row.answers)) / 5
    assert row.peak_memory_bytes > 2**20


def test_latency_where_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of members that solved their rung; and nothing else is drawn for it."""
    watch(monkeypatch, tmp_path, lambda lag, member: (lag, member) == (4, 2))
    asked: list[MemberRung] = []
    rows: list[MemberRung] = []
    one = climber(tmp_path, ladder(**{**LADDER, "stop": 4}), rows=asked)
    one.latency = True
    climbed(one)
    climbed(climber(tmp_path, ladder(**{**LADDER, "stop": 4}), rows=rows))
    assert [row.latency > 0 for row in asked] == [True, True, False]
    assert [row.latency for row in rows] == [0, 0, 0]
    varying = {"latency": 0.0, "seconds": 0.0, "peak_memory_bytes": 0}
    assert [replace(row, **varying) for row in asked] == [replace(row, **varying) for row in rows]


def test_what_is_measured_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watch(monkeypatch, tmp_path)
    rows: list[MemberRung] = []
    c = climber(tmp_path, ladder(**LADDER), rows=rows)
    first = climbed(c)
    seen.began.clear()
    assert climbed(c) == first
    assert not seen.began
    assert len(rows) == 12


def test_what_cannot_be_trained_is_a_row_of_its_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table of positions that ends too early; then no memory to build the model in."""
    positions = {"kind": "learned", "max_length": 4}
    for config, ended_by in ((trial_config(positions=positions), "length"), (None, "memory")):
        rows: list[MemberRung] = []
        if ended_by == "memory":
            monkeypatch.setattr(module, "Member", no_memory)
        c = climber(tmp_path, ladder(), config, rows)
        assert climbed(c).ended_by == ended_by
        (row,) = rows
        assert (row.task, row.lag, row.member, row.ended_by) == ("recall", 4, 0, ended_by)


def no_memory(*_: Any) -> None:
    raise MemoryError


# Cut off

CARRYING = {"stop": 8, "members": 2, "quorum": 2, "sequences": 480, "success": 0.3}
"""Two members on two rungs, of which they solve the first at least."""


class CutOffError(Exception):
    """The machine is gone."""


def at(lag: int, member: int, steps: int) -> Tick:
    """Cuts off after so many training steps of a member on a rung."""

    def tick(training: RungTraining) -> None:
        here = training.lag, training.member.number, training.progress.sequences
        if here == (lag, member, 16 * steps):
            raise CutOffError

    return tick


class Still:
    """A clock that stands: what is measured is the same whenever it is measured."""

    def __call__(self) -> float:
        return 1.0


def measured(rows: list[MemberRung]) -> list[MemberRung]:
    return [replace(row, peak_memory_bytes=0) for row in rows]


@pytest.mark.parametrize("regime", ["incremental", "scratch"])
@pytest.mark.parametrize(("lag", "member"), [(4, 0), (4, 1), (8, 0), (8, 1)])
def test_cut_off_it_goes_on_as_if_left_in_peace(
    tmp_path: Path, regime: str, lag: int, member: int
) -> None:
    """Through its state alone: rows, weights, and no step taken twice."""
    steps, config = ladder(**CARRYING), trial_config(regime=regime)
    rows: list[MemberRung] = []
    expected: list[MemberRung] = []
    taken: list[tuple[int, int, int]] = []
    climb = climbed(climber(tmp_path / "peace", steps, config, expected, clock=Still()))
    assert [(row.lag, row.member) for row in expected] == [(4, 0), (4, 1), (8, 0), (8, 1)]
    first = climber(tmp_path / "cut", steps, config, rows, at(lag, member, 3), Still())
    with pytest.raises(CutOffError):
        first.climb()
    state = first.state()
    assert set(state["members"]) <= ({0, 1} if regime == "incremental" else set())
    second = climber(
        tmp_path / "cut", steps, config, rows,
        lambda t: taken.append((t.lag, t.member.number, t.progress.sequences)), Still(),
    )  # fmt: skip
    second.restore(state)
    assert (climbed(second).reach, climbed(second).ended_by) == (climb.reach, climb.ended_by)
    assert measured(rows) == measured(expected)
    assert min(taken) == (lag, member, 16 * 4)
    for file in (tmp_path / "peace").iterdir():
        assert same(load_file(file), load_file(tmp_path / "cut" / file.name))


def test_a_member_that_cannot_be_built_again_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = climber(tmp_path, ladder(**CARRYING), tick=at(8, 0, 3))
    with pytest.raises(CutOffError):
        first.climb()
    second = climber(tmp_path, ladder(**CARRYING))
    second.restore(first.state())
    monkeypatch.setattr(module, "Member", no_memory)
    assert climbed(second).ended_by == "memory"
    assert set(second.state()["members"]) == {1}, "of which the turn never came"


def test_streams_depend_on_the_configuration_and_the_task(tmp_path: Path) -> None:
    c = climber(tmp_path, ladder())
    other = climber(tmp_path, ladder(), trial_config(learning_rate=0.02))
    assert c.streams.identity != other.streams.identity
    assert c.streams == climber(tmp_path, ladder(sequences=77)).streams
    assert isinstance(c.streams, Streams)
    assert c.streams.seed == 7
