"""One configuration on one task: its members, climbing the ladder."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from trainables.config import TrialConfig
from trainables.controls.rivals import Rivals
from trainables.controls.seen import seen_share
from trainables.files import weights as weight_files
from trainables.files.whole_files import remove_left_over
from trainables.measure.ladder import Climb, climb
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.looks.asked import Asked
from trainables.measure.plain import digest
from trainables.measure.records import MemberRung
from trainables.models.model import outline
from trainables.randomness import Streams
from trainables.regimes import REGIMES
from trainables.tasks.task import Task, TaskConfig
from trainables.training.held_out.evaluation import evaluate, latency
from trainables.training.member import Member
from trainables.training.memory import out_of_memory, peak_bytes, reset_peak
from trainables.training.rung import RungTraining


class Climber:
    """Climbs one task's ladder; can be cut off at any training step, and restored.

    Args:
        name: the task's name in the trial
        weights: a folder; each member that solves a rung leaves ``LAG-MEMBER.safetensors`` there
        tick: called after every training step
        measured: called with every new row
        memory_bytes: a member's, as `Member` takes it
        latency: whether to measure how long a member that solves a rung takes for one sequence
        shared_device: whether memory that runs out ahead is no outcome but raised
    """

    def __init__(
        self,
        config: TrialConfig,
        name: str,
        task: Task,
        task_config: TaskConfig,
        ladder: LadderConfig,
        seed: int,
        weights: Path,
        device: torch.device,
        tick: Callable[[RungTraining], None],
        measured: Callable[[MemberRung], None],
        clock: Callable[[], float] = time.monotonic,
        memory_bytes: float = math.inf,
        latency: bool = False,
        shared_device: bool = False,
    ) -> None:
        self.memory_bytes, self.latency = memory_bytes, latency
        self.shared_device = shared_device
        self.config, self.name, self.task, self.ladder = config, name, task, ladder
        self.weights, self.device, self.tick, self.measured = weights, device, tick, measured
        self.clock = clock
        self.regime = REGIMES[config.training.regime.kind](config.training.regime)
        self.streams = trial_streams(config, task_config, seed)
        self.rows: dict[tuple[int, int], MemberRung] = {}
        self.members: dict[int, Member] = {}
        self.outline = outline(config.model, task)
        self.training: RungTraining | None = None
        self._ahead: dict[int, MemberRung] = {}
        self._seen_at: dict[int, float] = {}
        self._learned_at = 0
        self._learned: Rivals
        self._saved: dict[int, dict[str, Any]] = {}
        self._cut_off: dict[str, Any] | None = None

    def climb(self) -> Climb:
        """Climb until a rung fails or the ladder ends; rows already measured are not repeated."""
        return climb(self._attempt, self.ladder.rungs, self.ladder.rule)

    def _attempt(self, lag: int, number: int) -> MemberRung:
        row = self.rows.get((lag, number))
        if row is None:
            row = self._train(lag, number)
            self.rows[lag, number] = row
            self.measured(row)
        if row.solved:
            self._drop_weights_below(lag)
        return row

    def _train(self, lag: int, number: int) -> MemberRung:
        reset_peak(self.device)
        row = self._trained(lag, number)
        row = self._without_a_gap(row)
        if row.solved and self.latency:
            row = replace(row, latency=self._latency(lag, number))
        if row.solved:
            self._keep_weights(self.members[number], lag)
        else:
            self._drop(number)
        length = self.task.length(lag)
        return replace(
            row,
            parameters=self.outline.num_parameters,
            state_bytes=self.outline.state_bytes(length),
            flops_per_step=self.outline.flops(length, max(1, row.answers)) / length,
            peak_memory_bytes=peak_bytes(self.device),
            data=self.task.data_fingerprint,
            seen=self._seen(lag) if row.sequences else 0.0,
        )

    def _latency(self, lag: int, number: int) -> float:
        generator = self.streams.generator("probe", lag, number, 1)
        return latency(
            self.members[number].judged,
            self.task.split("test"),
            lag,
            generator,
            self.device,
            self.memory_bytes,
        )

    def _trained(self, lag: int, number: int) -> MemberRung:
        """After training, ahead too; or at once, where the model cannot read that far or fit."""
        looks = self.ladder.ahead is not None and self.regime.carries_weights
        looks = looks and not self.task.paired
        before = self.ladder.before_the_first if looks else None
        is_first = lag == self.ladder.start
        if before is None or not is_first or not self.outline.reads(self.task.length(lag)):
            return self._trained_here(lag, number, looks_first=looks and not is_first)
        if number not in self._ahead:
            self._ahead[number] = self._go_ahead(before, number)
        spent = self._ahead[number]
        return with_spent(self._trained_here(lag, number, looks_first=spent.solved), spent)

    @property
    def not_yet_booked(self) -> list[MemberRung]:
        """What was spent ahead by members whose row of the first rung is not there yet."""
        return [a for n, a in self._ahead.items() if (self.ladder.start, n) not in self.rows]

    def _go_ahead(self, ladder: LadderConfig, number: int) -> MemberRung:
        """What came of training at the lag ahead; where nothing did, the member is as it was."""
        found = MemberRung(self.name, ladder.stop, number, "length")
        if self.outline.reads(self.task.length(ladder.stop)):
            found = self._trained_here(ladder.stop, number, looks_first=False, ahead=ladder)
        if found.ended_by == "memory" and self.shared_device:
            raise torch.OutOfMemoryError("out of memory on a device that is shared")
        if not found.solved:
            self._drop(number)
        return found

    def _trained_here(
        self, lag: int, number: int, looks_first: bool, ahead: LadderConfig | None = None
    ) -> MemberRung:
        if not self.outline.reads(self.task.length(lag)):
            return MemberRung(self.name, lag, number, "length")
        try:
            training = self._start(self._member(lag, number), lag, looks_first, ahead)
        except (MemoryError, RuntimeError) as error:
            self.training = None
            if not out_of_memory(error):
                raise
            return MemberRung(self.name, lag, number, "memory")
        row = training.run(self.tick)
        self.training = None
        return row

    def _without_a_gap(self, row: MemberRung) -> MemberRung:
        """The row with what the same weights do at no gap, where that is shorter than all rungs."""
        no_gap, ladder, member = self.task.no_gap, self.ladder, self.members.get(row.member)
        if no_gap is None or not no_gap < row.lag == ladder.start or not row.test_sequences:
            return row
        assert member is not None
        tally = evaluate(
            member.judged,
            self.task.split("test"),
            no_gap,
            ladder.test_sequences,
            self.streams.generator("curve", no_gap, row.member),
            self.device,
            self.memory_bytes,
        )
        return replace(row, no_gap_rate=tally.rate, no_gap_sequences=tally.sequences)

    def _member(self, lag: int, number: int) -> Member:
        """The member as it came from the rung below, or a fresh one where nothing is carried.

        Where it is only judged, it comes as it was trained last in any regime.
        """
        carried = self.regime.carries_weights or not self.ladder.trains_at(lag)
        if number not in self.members or not carried:
            first = self.ladder.start if self.regime.carries_weights else lag
            self.members[number] = self._fresh(number, first)
        saved = self._saved.pop(number, None)
        if saved is not None and carried:
            self.members[number].restore(saved)
        return self.members[number]

    def _drop(self, number: int) -> None:
        self.members.pop(number, None)
        self._saved.pop(number, None)

    def _fresh(self, number: int, rung: int) -> Member:
        return Member(
            self.config, self.task, self.streams, number, rung, self.device, self.memory_bytes
        )

    def _start(
        self, member: Member, lag: int, looks_first: bool, ahead: LadderConfig | None
    ) -> RungTraining:
        shortest = self.rows.get((self.ladder.start, member.number))
        self.training = RungTraining(
            member=member,
            name=self.name,
            task=self.task,
            rivals=self._rivals,
            regime=self.regime,
            ladder=ahead or self.ladder,
            streams=self.streams,
            lag=lag,
            batch_size=self.config.training.batch_size,
            device=self.device,
            clock=self.clock,
            asked=Asked.of(self.ladder, lag, shortest),
            looks_first=looks_first,
            claims=ahead is None,
        )
        cut_off, self._cut_off = self._cut_off, None
        at = (lag, member.number, ahead is not None)
        if cut_off is not None and at == _at(cut_off):
            member.restore(cut_off["weights"])
            self.training.restore(cut_off["state"])
        return self.training

    def _rivals(self, lag: int) -> Rivals:
        """The task's controls at ``lag``, learned when a member first has to beat them."""
        if self._learned_at != lag:
            generator = self.streams.generator("controls", lag, 0)
            self._learned_at, self._learned = lag, Rivals(self.task, lag, generator)
        return self._learned

    def _seen(self, lag: int) -> float:
        """The share of test inputs that training shows at ``lag``, counted once a lag."""
        if lag not in self._seen_at:
            generator = self.streams.generator("controls", lag, 0, 1)
            self._seen_at[lag] = seen_share(self.task, lag, self.ladder.sequences, generator)
        return self._seen_at[lag]

    def _keep_weights(self, member: Member, lag: int) -> None:
        """Keep what solved this rung."""
        self.weights.mkdir(parents=True, exist_ok=True)
        remove_left_over(self.weights)
        target = weights_file(self.weights, lag, member.number)
        owner = owner_of(self.streams, lag, member.number)
        weight_files.write(target, member.judged.state_dict(), owner)

    def _drop_weights_below(self, lag: int) -> None:
        """Two rungs down, of those tried, nothing can be the reach once this one is on record."""
        lower = sorted({tried for tried, _ in self.rows if tried < lag})[:-1]
        for old in self.weights.glob("*.safetensors"):
            if int(old.stem.split("-")[0]) in lower:
                old.unlink()

    def state(self) -> dict[str, Any]:
        """Members, rows and the attempt under way: what `restore` needs."""
        under_way = None
        if self.training is not None:
            under_way = {
                "lag": self.training.lag,
                "member": self.training.member.number,
                "ahead": not self.training.claims,
                "weights": self.training.member.state(),
                "state": self.training.state(),
            }
        kept = self.regime.carries_weights or self.ladder.train_to is not None
        carried = self.members if kept else {}
        states = {number: member.state() for number, member in carried.items()}
        return {
            "rows": [row.to_json() for row in self.rows.values()],
            "members": states | self._saved,
            "under_way": under_way,
            "ahead": [row.to_json() for row in self._ahead.values()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`; a member is built when its turn comes."""
        rows = [MemberRung.from_json(row) for row in state["rows"]]
        self.rows = {(row.lag, row.member): row for row in rows}
        self._saved = state["members"]
        self._cut_off = state["under_way"]
        gone = [MemberRung.from_json(row) for row in state.get("ahead", ())]
        self._ahead = {row.member: row for row in gone}


def _at(cut_off: dict[str, Any]) -> tuple[int, int, bool]:
    """The attempt that was cut off: at which lag, by which member, and whether ahead."""
    return cut_off["lag"], cut_off["member"], cut_off.get("ahead", False)


def with_spent(row: MemberRung, ahead: MemberRung) -> MemberRung:
    """The first rung's row, with what was spent ahead of it."""
    return replace(
        row,
        sequences=row.sequences + ahead.sequences,
        seconds=row.seconds + ahead.seconds,
        training_gflop=row.training_gflop + ahead.training_gflop,
    )


def trial_streams(config: TrialConfig, task: TaskConfig, seed: int) -> Streams:
    """The random streams of a configuration on a task, in a search of this seed."""
    return Streams(seed, digest([config.digest, task.identity]))


def owner_of(streams: Streams, lag: int, member: int) -> str:
    """What the weights of a member that solved ``lag`` are marked with.

    It tells them from any other member's, rung's, task's, configuration's and seed's.
    """
    return str(streams.seed_of("weights", lag, member))


def weights_file(folder: Path, lag: int, member: int) -> Path:
    """Where the weights with which ``member`` solved ``lag`` lie."""
    return folder / f"{lag}-{member}.safetensors"
