"""``protocol: paper`` draws what the paper draws and asks what it asks, to an independent witness.

Each is compared with a slow generator written from its paper (`tests.trainables.tasks.papers`), and
with an oracle that sees back to the evidence, or one step less.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from tests.trainables.tasks.oracles import CASES, HIDDEN, Case
from tests.trainables.tasks.papers import PAPERS, Paper
from trainables.controls.measuring import measure
from trainables.tasks import TASKS
from trainables.tasks.answer import NO_CLASS, ClassAnswer, asked
from trainables.tasks.task import Batch, Task

FALSE_ALARM = 1e-6
SEQUENCES = 600

each_paper = pytest.mark.parametrize("paper", PAPERS, ids=str)
scored_anew = pytest.mark.parametrize(
    "paper", [paper for paper in PAPERS if "protocol" in paper.config], ids=str
)


def task_of(paper: Paper) -> Task:
    part: Any = TASKS[paper.kind]
    task: Task = part(part.Config(**paper.config))
    return task


def sample(paper: Paper, sequences: int = SEQUENCES) -> Batch:
    return task_of(paper).sample(paper.lag, sequences, torch.Generator().manual_seed(1))


def rows_of(batch: Batch) -> list[tuple[list[Any], dict[int, float]]]:
    """Each sequence with its answers by step, those that are asked."""
    there = asked(batch.targets).tolist()
    return [
        (row, {step: target for step, target, is_asked in zip(*each, strict=True) if is_asked})
        for row, *each in zip(
            batch.inputs.tolist(), batch.scored.tolist(), batch.targets.tolist(), there, strict=True
        )
    ]


def alike(ours: list[float], theirs: list[float]) -> float:
    """Probability of as large a difference of two samples by chance."""
    values = sorted(set(ours) | set(theirs))
    if len(values) == 1:
        return 1.0
    if len(values) > 100:
        return float(stats.ks_2samp(ours, theirs).pvalue)
    counts = [[sample.count(value) for value in values] for sample in (ours, theirs)]
    return float(stats.chi2_contingency(np.array(counts)).pvalue)


@each_paper
def test_sequences_answers_and_distances_are_distributed_as_the_papers(paper: Paper) -> None:
    """Length, steps asked, how far back the evidence lies, symbols, classes."""
    chance = Random(0)
    drawn = [paper.drawn(chance) for _ in range(SEQUENCES)]
    ours = rows_of(sample(paper))

    def told(rows: list[tuple[list[Any], dict[int, float]]]) -> list[list[float]]:
        distances = [
            float(step - evidence)
            for row, answers in rows
            for step in answers
            if (evidence := paper.evidence(row, step)) is not None
        ]
        steps = [float(step) for _, answers in rows for step in answers]
        targets = [round(float(target), 6) for _, answers in rows for target in answers.values()]
        symbols = [
            float(value)
            for row, _ in rows
            for value in np.ravel(np.array(row)[:: max(1, len(row) // 8)])
        ]
        return [[float(len(row)) for row, _ in rows], steps, distances, targets, symbols]

    for mine, theirs in zip(told(ours), told(drawn), strict=True):
        assert alike(mine, theirs) > FALSE_ALARM


ORACLES = {(case.kind, case.config.get("marks"), case.config.get("items")): case for case in CASES}


def answer_to(paper: Paper, seen: np.ndarray, step: int) -> float:
    """What the paper's rule gives for what is seen; 0 where that is too little."""
    if paper.kind == "copying":
        symbol = seen[step - 40] if step >= 40 else HIDDEN
        return max(int(symbol) - 1, 0 if step < 40 else 1)
    if paper.kind == "selective_copying":
        shown = [int(symbol) for symbol in seen if symbol > 1]
        return shown[step - 24] - 2 if len(shown) >= 24 - step else 0
    if paper.kind == "associative_recall":
        for place in range(0, 8, 2):
            if seen[place] == seen[step] and seen[place + 1] != HIDDEN:
                return int(seen[place + 1]) - 32
        return 0
    if paper.kind == "flip_flop":
        told = [place for place in range(0, step, 2) if seen[place + 1] != HIDDEN]
        known = [place for place in told if seen[place] in (0, 1)]
        return int(seen[known[-1] + 1]) - 3 if known else 0
    key = (paper.kind, paper.config.get("marks"), paper.config.get("items"))
    case: Case = ORACLES[key]
    return case.answer(seen, step, paper.lag)


def shown_from(row: list[int], step: int, first: int) -> np.ndarray:
    """The steps from ``first`` up to the scored one; the others are hidden."""
    seen = np.full(len(row), HIDDEN)
    seen[first : step + 1] = row[first : step + 1]
    return seen


@scored_anew
def test_with_all_inputs_the_rule_is_right_and_without_the_evidence_it_is_chance(
    paper: Paper,
) -> None:
    """Every answer, by an oracle that sees everything, and one that begins a step too late."""
    right, blank, right_blind = 0, [], []
    for row, answers in rows_of(sample(paper)):
        for step, target in answers.items():
            right += answer_to(paper, shown_from(row, step, 0), step) == target
            evidence = paper.evidence(row, step)
            if evidence is None:
                blank.append(target == 0)
                continue
            blind = answer_to(paper, shown_from(row, step, evidence + 1), step)
            right_blind.append(blind == target)
    assert right == sum(len(answers) for _, answers in rows_of(sample(paper)))
    assert all(blank)
    count = int(sum(right_blind))
    assert stats.binomtest(count, len(right_blind), paper.chance).pvalue > FALSE_ALARM


@scored_anew
def test_ours_is_written_as_before_and_the_papers_by_name(paper: Paper) -> None:
    """A configuration that names no protocol keeps its digest, and with it its seeds."""
    config: Any = TASKS[paper.kind].Config
    assert "protocol" not in config().model_dump(mode="json")
    written = config(**paper.config).model_dump(mode="json")
    assert written["protocol"] == "paper"
    assert config.model_validate(written) == config(**paper.config)


@scored_anew
def test_a_paper_is_no_leak_only_because_its_answers_need_less_than_the_lag(paper: Paper) -> None:
    """Controls count a sequence where every answer is right, and no lag is promised."""
    found = measure(task_of(paper), paper.lag)
    assert not found.promised
    assert found.complaint(0.95) is None


def test_induction_trains_at_256_whatever_the_lag() -> None:
    """Gu & Dao (2023): what is tested at other lengths is extrapolation."""
    part: Any = TASKS["induction"]
    task, source = part(part.Config(protocol="paper")), torch.Generator().manual_seed(0)
    for lag in (8, 128, 1024):
        lengths = [
            task.split(name).sample(lag, 2, source).inputs.shape[1]
            for name in ("train", "selection", "test")
        ]
        assert lengths == [256, 2 * lag, 2 * lag]
    ours = part(part.Config())
    assert ours.split("train").sample(8, 2, source).inputs.shape[1] == 16


def test_the_glitch_rate_is_over_all_reads() -> None:
    """One read wrong: the sequence is no success, and one answer of all those asked is wrong."""
    paper = next(paper for paper in PAPERS if paper.kind == "flip_flop")
    batch, answer = sample(paper, 64), ClassAnswer(2)
    there = asked(batch.targets)
    assert there.sum(1).unique().numel() > 1
    given = torch.nn.functional.one_hot(batch.targets.clamp(min=0), 2).float()
    assert answer.right(given, batch.targets).all()
    given[3, -1] = 1 - given[3, -1]
    wrong = ~answer.right(given, batch.targets)
    assert wrong.nonzero().tolist() == [[3, there.shape[1] - 1]]


def test_what_is_not_asked_is_neither_learned_from_nor_wrong() -> None:
    """The loss is the mean over what is asked, whatever stands in the other places."""
    answer = ClassAnswer(3)
    targets = torch.tensor([[NO_CLASS, 2], [0, 1]])
    given = torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(0))
    logs = given.log_softmax(-1)
    wanted = -torch.stack([logs[0, 1, 2], logs[1, 0, 0], logs[1, 1, 1]])
    assert torch.allclose(answer.loss(given, targets), wanted.mean())
    each = torch.stack([wanted[0], wanted[1:].mean()])
    assert torch.allclose(answer.losses(given, targets), each)
    assert answer.right(given, targets)[0, 0]


@pytest.mark.parametrize("kind", ["flip_flop", "associative_recall"])
def test_a_row_of_ones_own_is_answered_at_its_last_step(kind: str) -> None:
    """Answers lie inside the paper's row; ours has all of them at its end."""
    part: Any = TASKS[kind]
    assert part(part.Config(protocol="paper")).encoding.answers == 1
    ours = part(part.Config())
    assert ours.encoding.answers == ours.sample(8, 1, torch.Generator()).scored.shape[1]
