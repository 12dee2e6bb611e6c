"""The description of a trial's run, in the Markdown that MLflow shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from search.disk.record import Record
from search.recording.notes.tables import spaced
from search.results.words import skill_in_words
from search.spec import Spec
from trainables.description import describe
from trainables.measure.records import MemberRung, of_task

NOTE_TAG = "mlflow.note.content"
LONGEST = 5000
"""Characters of a tag that every MLflow server takes."""
NOT_TRAINED = "without training"
"""Of a rung on which a member was judged with the weights that it had."""

OF_METRICS = (
    "Metrics `by_lag/...` are charts over lag, `by_steps_back/...` over steps back: their latest "
    "value is that at the longest. Of `by_sequence/...`, over training sequences, success and loss "
    "are of the rung in `lag` beside them, in training; each rung ends with what the last look at "
    "the member showed."
)


def trial_note(record: Record, spec: Spec, pictures: Mapping[str, str]) -> str:
    """What the trial was, what came of it, its members rung by rung, and its pictures.

    The ``pictures`` are by what they show, each an address.
    """
    shown = [f"![{words}]({address})" for words, address in pictures.items()]
    tables = list(_members(record, spec))
    whole = "\n\n".join([_outcome(record, spec), *tables, OF_METRICS, *shown])
    return whole if len(whole) <= LONGEST else "\n\n".join([_outcome(record, spec), *shown])


def _outcome(record: Record, spec: Spec) -> str:
    trained = f", trained by regime {record.regime}" if record.regime else ""
    sentences = [f"Trial {record.number}: **{describe(record.configuration)}**{trained}."]
    if record.error:
        return f"{sentences[0]} It failed: {record.error}"
    reach = record.tasks_text or record.reach_text
    sentences.append(f"Reach **{reach}**, ended: {record.end_text}.")
    limit = record.limited_by(spec.ladder)
    if record.skill is not None:
        limited = f"; it is limited by {limit}" if limit else ""
        gap = "" if record.no_gap is None else f", at no gap {record.no_gap:.1%}"
        skill = f"{record.skill:.1%}{gap}{limited}"
        sentences.append(f"Skill, {skill_in_words(spec.ladder)}: {skill}.")
    return " ".join(sentences)


def _members(record: Record, spec: Spec) -> Iterator[str]:
    """A table a task: a line a rung, a column a member; bold where it solved the rung."""
    for task in record.report.reaches:
        rows = of_task(record.rows, task)
        if not rows:
            continue
        found = {(row.lag, row.member): row for row in rows}
        members = sorted({row.member for row in rows})
        ends_early = spec.ladder.ends_of_a_look > 1
        on = f" on {task}" if len(spec.tasks) > 1 else ""
        lines = [f"| lag{on} | " + " | ".join(f"member {member}" for member in members) + " |"]
        lines.append("|---" * (len(members) + 1) + "|")
        for lag in sorted({row.lag for row in rows}):
            cells = [_cell(found.get((lag, member)), ends_early) for member in members]
            lines.append(f"| {lag} | " + " | ".join(cells) + " |")
        yield spaced("\n".join(lines))


def _cell(row: MemberRung | None, ends_early: bool) -> str:
    if row is None:
        return ""
    of = f" of {row.test_sequences:,}" if ends_early else ""
    rate = f"{row.success_rate:.1%}{of}" if row.looks else "-"
    end = NOT_TRAINED if row.ended_by == "untrained" else row.ended_by
    if row.solved:
        return f"**{rate}**" if row.sequences else f"**{rate}** ({NOT_TRAINED})"
    return f"{rate} ({end})"


def picture_address(run_id: str, name: str) -> str:
    """Where MLflow's server has a run's picture, seen from its pages."""
    return f"get-artifact?path={quote(name)}&run_uuid={run_id}"
