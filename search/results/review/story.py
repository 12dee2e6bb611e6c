"""What a search has to tell, in sentences: what won and why to believe it, and what to try next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from search.disk.certificates import claimed, standing_of, words_of
from search.disk.folder import SearchFolder
from search.disk.ranking import fronts, rank
from search.disk.record import ENDS, Record
from search.errors import UserError
from search.results.words import skill_in_words
from search.spec import Spec
from trainables.description import describe
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.skill import BY_SKILL

LATE = 0.25
"""A best that came in this last part of the trials was perhaps not the last to come."""


def what_won(
    records: Sequence[Record], spec: Spec, certificates: Sequence[Mapping[str, Any]]
) -> str:
    """A paragraph: the best, how far it is ahead, and how far to trust it."""
    ranked = _ranked(records, certificates)
    if not ranked:
        return (
            f"No trial has passed the first rung, lag {spec.ladder.start}: nothing was learned "
            "reliably."
        )
    best = ranked[0]
    ladder = spec.ladder
    sentences = [
        f"Trial {best.number} ({describe(best.configuration)}) learned "
        f"{', '.join(spec.tasks_by_name)} over {_steps(best)} steps: {ladder.quorum} of "
        f"{ladder.members} members, each from first weights of its own, answered at least "
        f"{ladder.success:.0%} of sequences right (95 % confidence).",
        _judged(best, ladder),
        _skill(best, ladder),
        _ahead(ranked),
        _on_the_front(ranked, spec.search.objectives),
        _trust(best, sum(record.finished for record in records), certificates),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _judged(best: Record, ladder: LadderConfig) -> str:
    trained = ladder.trained_rungs[-1]
    if best.reach <= trained:
        return ""
    return f"They trained on lags up to {trained}; above, they were judged without training."


def _skill(best: Record, ladder: LadderConfig) -> str:
    if best.skill is None:
        return ""
    limit = best.limited_by(ladder)
    end = f"; it is limited by {limit}" if limit else ""
    if (why := best.why(limit)) and limit != BY_SKILL:
        end += f", and of the limits known before training its {why} ends there"
    regime = f", trained by regime {best.regime}" if best.regime else ""
    gap = "" if best.no_gap is None else f" ({best.no_gap:.1%} at no gap)"
    return f"Its skill, {skill_in_words(ladder)}, is {best.skill:.1%}{gap}{regime}{end}."


def _ahead(ranked: Sequence[Record]) -> str:
    best, others = ranked[0], ranked[1:]
    if not others:
        return "It is the only one that passed a rung."
    equal = sum(record.reach == best.reach for record in others)
    if equal:
        one = "One other trial has" if equal == 1 else f"{equal} other trials have"
        return f"{one} the same reach, so which is best among them is not decided."
    return f"The next reached {_steps(others[0])} (trial {others[0].number})."


def _on_the_front(ranked: Sequence[Record], aims: Sequence[str]) -> str:
    """Who else is best where there are several aims: nobody is as good in all of them."""
    if len(aims) < 2:
        return ""
    found = fronts(ranked, aims)
    on = [str(record.number) for record in ranked if found.get(record.number) == 1]
    if len(on) == 1:
        return f"No other is as good in {_listed(aims)}: it is alone on the first front."
    return f"By {_listed(aims)} together, trials {_some(on)} are on the first front."


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _trust(best: Record, trials: int, certificates: Sequence[Mapping[str, Any]]) -> str:
    claim = _certified(best, certificates)
    if claim:
        return f"Its certificate, on members that the search never used, says: {claim}"
    return (
        f"It is the best of {trials} trials on the seeds it was chosen by, so its reach flatters; "
        "a certificate does not."
    )


def _certified(best: Record, certificates: Sequence[Mapping[str, Any]]) -> str:
    """What its certificate claims: of several tasks the worst; empty where there is none."""
    stand = standing_of(certificates)
    of_it = [found for (sha256, _), found in stand.items() if sha256 == best.digest]
    return min(of_it, key=lambda found: found["lag"])["claim"] if of_it else ""


def _ranked(records: Iterable[Record], certificates: Sequence[Mapping[str, Any]]) -> list[Record]:
    """Those that passed a rung, as the leaderboard has them."""
    found = rank(records, claimed(words_of(certificates)))
    return [record for record in found if record.reach > 0]


def how_it_ended(records: Sequence[Record]) -> list[str]:
    """A line for each way to end, those that failed by error apart by the error; none twice."""
    counts = Counter(record.ended_by or "running" for record in records if not record.error)
    lines = [f"{count} {ENDS.get(end, end)}" for end, count in counts.most_common()]
    errors = Counter(record.error for record in records if record.error)
    return lines + [f"{count} failed by error: {error}" for error, count in errors.most_common()]


def what_next(
    records: Sequence[Record],
    spec: Spec,
    folder: SearchFolder,
    certificates: Sequence[Mapping[str, Any]],
    asks_space: bool = True,
) -> Iterator[tuple[str, str]]:
    """What these outcomes ask for, each a sentence and a command or key, the weightiest first.

    What was never tried only where the space may be asked for what it offers.
    """
    ladder, resume = spec.ladder, folder.command("resume")
    ended = [record for record in records if record.finished and record.reported]
    best = next(iter(_ranked(ended, certificates)), None)
    if folder.ended_early:
        key = folder.ended_early.partition(":")[0].removeprefix("search.")
        yield f"A budget ended the search: {folder.ended_early}.", f"{resume} --{key} {key.upper()}"
    if best is not None and not _certified(best, certificates):
        yield (
            "The best has no certificate: fresh members say what may be claimed.",
            folder.command("certify"),
        )
    top = sum(record.ended_by == "top" for record in ended)
    if top:
        yield (
            f"{_trials(top)} passed the ladder's top: a longer one tells them apart.",
            f"{resume} --stop {4 * ladder.stop}",
        )
    if best is None and ended:
        shorter = max(2, ladder.start // 4)
        yield (
            f"Nothing passed lag {ladder.start}: start lower, or let members train longer.",
            f"ladder: {{start: {shorter}, {_budget(ladder)}}}",
        )
    if best is not None and best.number >= (1 - LATE) * len(records) and len(records) > 4:
        yield (
            f"The best came late, as trial {best.number} of {len(records)}: go on.",
            f"{resume} --trials {2 * spec.search.trials}",
        )
    never = _never_tried(spec, ended) if asks_space else ""
    if never:
        yield f"Never tried: {never}.", f"{resume} --trials {2 * spec.search.trials}"
    starved = [record for record in ended if _last_end(record) == "budget"]
    if 2 * len(starved) > len(ended):
        yield (
            f"{_trials(len(starved))} ended where training ran out of budget, not learning.",
            f"ladder: {{{_budget(ladder)}}}",
        )
    judged = [record for record in ended if _last_end(record) == "untrained"]
    if judged:
        yield (
            f"{_trials(len(judged))} ended on a rung that nobody trained on: training there may "
            "take them farther.",
            f"ladder: {{train_to: {min(4 * ladder.trained_rungs[-1], ladder.stop)}}}",
        )
    if best is not None and _split(best):
        yield (
            "The best's members disagree on its failing rung: more of them narrow that down.",
            f"ladder: {{members: {2 * ladder.members - 1}, quorum: {2 * ladder.quorum - 1}}}",
        )
    crowded = sum(record.ended_by == "memory" for record in ended)
    if crowded:
        yield (
            f"{_trials(crowded)} ran out of memory.",
            "resources: {memory: auto}, or a smaller batch_size in the space",
        )
    failed = sum(record.ended_by == "error" for record in records)
    if failed:
        yield f"{_trials(failed)} failed; the errors stand above.", folder.command("trials")
    left = spec.search.trials - sum(record.finished for record in records)
    if left > 0 and not folder.ended_early and not folder.busy:
        yield f"The search was stopped with {_trials(left).lower()} to go.", resume


def _never_tried(spec: Spec, ended: Sequence[Record]) -> str:
    """Choices of the space that no trial made, in words; nothing where its module is not here."""
    from search.proposing.draws import untried  # optuna takes long to import
    from search.spec.spaces import find_space

    if not ended:
        return ""
    try:
        found = untried(find_space(spec), [record.parameters for record in ended])
    except UserError:
        return ""
    words = [f"{name} {_some(left)}" for name, left in found.items()]
    return _some(words, "; ", 3)


def _some(words: Sequence[Any], separator: str = ", ", most: int = 6) -> str:
    """The first of them, and how many more there are."""
    more = len(words) - most
    return separator.join([*map(str, words[:most]), *([f"{more} more"] if more > 0 else [])])


def _budget(ladder: LadderConfig) -> str:
    """Four times what a member may use on a rung, as keys of a spec."""
    gflop = "" if ladder.gflop is None else f", gflop: {4 * ladder.gflop:g}"
    return f"sequences: {4 * ladder.sequences}{gflop}"


def _steps(record: Record) -> str:
    return f"at least {record.reach}" if record.censored else str(record.reach)


def _trials(count: int) -> str:
    return "One trial" if count == 1 else f"{count} trials"


def _last_end(record: Record) -> str | None:
    """How the last attempt of a trial ended that failed a rung."""
    unsolved = [row.ended_by for row in record.rows if not row.solved]
    return unsolved[-1] if unsolved and record.ended_by == "failed_rung" else None


def _split(record: Record) -> bool:
    """Whether, on the lag that the trial failed, some members passed and some did not."""
    if record.ended_by != "failed_rung" or not record.rows:
        return False
    last = max(row.lag for row in record.rows)
    return len({row.solved for row in record.rows if row.lag == last}) == 2
