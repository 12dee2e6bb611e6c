"""An estimate in words, for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from search.commands.estimating.costs import LIKELY, TRIED
from search.commands.estimating.estimate import Choice, Estimate
from search.scheduling import GIB
from search.spec import Spec
from trainables.messages import duration
from trainables.models.room import USED
from trainables.tasks.task import ClassAnswer, Symbols, Task


def lines(spec: Spec, tasks: Mapping[str, Task], found: Estimate) -> Iterator[tuple[str, str]]:
    """What an estimate says: what each line is about, and what it says of that."""
    for name, task in tasks.items():
        yield name, _sequences(task, spec)
    ladder, trials = spec.ladder, spec.search.trials
    yield "trials", f"{trials:,}, {found.side_by_side:,} side by side"
    lags = ", ".join(f"{lag:,}" for lag in ladder.rungs)
    last = ladder.trained_rungs[-1]
    judged = "" if ladder.train_to is None else f", trained to {last:,}"
    judged += ", there until done" if ladder.trains_out(last) else ""
    yield "rungs", f"lags {lags}{judged}; {ladder.members} members on each"
    yield "training", _range([share * found.gflop for share in LIKELY], found.gflop, _gflop)
    if found.seconds is None:
        yield "time", "not known: a trial asks for a device that this machine does not have"
    else:
        yield "time", _range(found.seconds.likely, found.seconds.at_most, duration)
    yield from _budgets(spec)
    yield "memory", _memory(spec, found)
    dearest = sorted(found.by_lag.items(), key=lambda one: -one[1])[:3]
    yield "by lag", ", ".join(f"{lag:,}: {share:.0%}" for lag, share in dearest) + " of the cost"
    for choice in found.choices:
        yield "depends on", _choice(choice)


def rests_on(found: Estimate) -> str:
    """What the estimate rests on."""
    said = (
        "At most: every member of every trial uses its whole budget on every rung. Likely: "
        f"{LIKELY[0]:.0%} to {LIKELY[1]:.0%} of that training, as 96 measured configurations on "
        "three small ladders did (together a tenth), and tests of "
        f"{TRIED[0]:.0%} to {TRIED[1]:.0%} of all rungs, as they were tried on"
    )
    if found.ends_early:
        said += ", each look until it is decided, as ladder.looks: sequential has it, and not whole"
    said += ". Cost by counting operations of random draws."
    if found.trained_out:
        said += (
            " Whoever comes to the longest lag trained on uses its whole budget there "
            f"(ladder.train_out), {found.trained_out:.0%} of the most: where many do, that is more "
            "than is called likely."
        )
    if found.tried:
        timed = ", ".join(
            f"{rate.kind} at lag {rate.lags[0]:,} and {rate.lags[1]:,}"
            for rate in list(found.tried.values())[:4]
        )
        more = f" and {len(found.tried) - 4} more" if len(found.tried) > 4 else ""
        said += (
            f" Time from training steps taken now, one process alone: {timed}{more}, kinds with "
            f"{found.tried_share:.0%} of the cost. Ray's start and controls are not in it."
        )
    return said


def _sequences(task: Task, spec: Spec) -> str:
    """What the data holds, as a model meets it."""
    shown = task.inputs
    inputs = f"{shown.vocabulary} symbols" if isinstance(shown, Symbols) else (
        f"{shown.features} numbers a step" if shown.features > 1 else "1 number a step"
    )  # fmt: skip
    asked = task.answer
    answers = f"{asked.outputs} classes" if isinstance(asked, ClassAnswer) else "numbers"
    first, last = (task.length(lag) for lag in (spec.ladder.start, spec.ladder.stop))
    made = "" if task.account else "made as they are needed: "
    return f"{made}sequences of {inputs}, {first:,} to {last:,} steps; answers are {answers}"


def _budgets(spec: Spec) -> Iterator[tuple[str, str]]:
    if spec.search.hours is not None:
        yield "ends after", f"{duration(3600 * spec.search.hours)} (search.hours)"
    if spec.search.gflop is not None:
        yield "ends after", f"{_gflop(spec.search.gflop)} (search.gflop)"


def _memory(spec: Spec, found: Estimate) -> str:
    top = spec.ladder.trained_rungs[-1]
    needed = f"a training step at lag {top:,} takes up to {_gib(found.memory_bytes)}"
    if found.memory_bytes <= USED * found.memory_of_a_trial:
        return f"{needed}; a trial has {_gib(found.memory_of_a_trial)}"
    return (
        f"{needed} of whole sequences; a trial has {_gib(found.memory_of_a_trial)}: recurrences "
        "are trained in segments, what cannot be cut ends by `memory`"
    )


def _choice(choice: Choice) -> str:
    times = list(choice.times.items())
    shown = times if len(times) <= 4 else [*times[:3], times[-1]]
    each = [f"{value} {factor:.3g}x" for value, factor in shown]
    if len(times) > 4:
        each.insert(3, "…")
    return f"{choice.parameter}: {', '.join(each)}"


def _range(likely: Sequence[float], most: float, said: Callable[[float], str]) -> str:
    low, high = map(said, likely)
    return f"likely {low} to {high}, at most {said(most)}"


def _gflop(gflop: float) -> str:
    rounded = float(f"{gflop:.2g}")
    return f"{rounded:,.0f} GFLOP" if rounded >= 10 else f"{rounded:g} GFLOP"


def _gib(size: float) -> str:
    return f"{size / GIB:.2g} GiB" if size < 100 * GIB else f"{size / GIB:,.0f} GiB"
