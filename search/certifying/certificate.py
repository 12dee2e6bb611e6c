"""The certificate: what was shown of a candidate, how, and under which assumptions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from search.certifying.candidates import Candidate
from search.certifying.store import Store, now_ms, stores
from search.disk.versions import versions
from trainables.measure.certificate import Plan, Verdict, certified_lag, verdicts
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.reliability import lower_bound


def certificate(store: Store, candidate: Candidate, plan: Plan) -> dict[str, Any]:
    """The certificate of a decided candidate, as plain values."""
    members = store.members(candidate)
    found = verdicts(candidate.lags, plan, {m.member: m.reach for m in members})
    lag = certified_lag(found)
    started, ended = (store.fixed or {})["started_ms"], now_ms()
    return {
        "claim": claim(candidate, plan, lag),
        "lag": lag,
        "search": candidate.search,
        "trial": candidate.trial,
        "configuration_sha256": candidate.sha256,
        "configuration": candidate.configuration,
        "task": candidate.task,
        "task_parameters": candidate.task_config.portable.model_dump(mode="json"),
        "data": None if candidate.data is None else candidate.data.fingerprint,
        "other_data": candidate.other_data,
        "ladder": candidate.ladder.model_dump(mode="json"),
        "search_reach": candidate.reach,
        "plan": {
            "reliability": plan.reliability,
            "confidence": plan.confidence,
            "candidates": plan.candidates,
            "turn": plan.turn,
            "candidate_confidence": plan.candidate_confidence,
            "members": plan.members,
            "failures": plan.failures,
        },
        "rungs": [_rung(v, plan) for v in found],
        "members": [
            {"member": m.member, "seed": m.seed, "goal": m.goal, "reach": m.reach,
             "ended_by": m.ended_by, "error": m.error, "device": m.device,
             "kernels": m.kernels, "environment": m.environment}
            for m in members
        ],
        "seed": store.seed,
        "search_seed": candidate.search_seed,
        "others": others(store, candidate),
        "assumptions": assumptions(candidate),
        "versions": versions(),
        "started_ms": started,
        "ended_ms": ended,
        "wall_seconds": (ended - started) / 1000,
        "device_seconds": sum(row.seconds for m in members for row in m.rows),
        "training_gflop": sum(row.training_gflop for m in members for row in m.rows),
    }  # fmt: skip


def conclude(store: Store, candidates: Sequence[Candidate], plan: Plan) -> None:
    """Write the certificates of decided candidates, and what their members measured."""
    for candidate in candidates:
        if not store.certificate(candidate.label):
            found = certificate(store, candidate, plan)
            store.certify(candidate, found, markdown(found))
    store.write_outcomes(candidates)
    store.clear(candidates)


def claim(candidate: Candidate, plan: Plan, lag: int) -> str:
    """The claim in one sentence."""
    if not lag:
        return f"Nothing is claimed: lag {candidate.lags[0]} on {candidate.task} was not shown."
    together = f", together with {plan.candidates - 1} others" if plan.candidates > 1 else ""
    if plan.turn:
        together += ", and with all that this search has claimed or will, one after another"
    confidence = f"{100 * plan.confidence:.4g} %"
    learns = f"learns {candidate.task} at lag {lag}"
    if not candidate.ladder.trains_at(lag):
        learns = (
            f"learns {candidate.task} at lags up to {candidate.ladder.trained_rungs[-1]} and, not "
            f"trained on any longer, succeeds at lag {lag}"
        )
    return (
        f"A freshly initialised and trained member of this architecture {learns} with probability "
        f"at least {plan.reliability:g}, at {confidence} confidence{together}."
    )


def _rung(found: Verdict, plan: Plan) -> dict[str, Any]:
    """A rung's count; a bound only where the whole plan was run, for there alone it is exact."""
    bound = None
    if found.passed:
        bound = lower_bound(found.solved, found.tried, plan.candidate_confidence)
    return {
        "lag": found.lag,
        "tried": found.tried,
        "solved": found.solved,
        "passed": found.passed,
        "lower_bound": bound,
    }


def others(store: Store, candidate: Candidate) -> list[dict[str, Any]]:
    """Every certificate of this configuration and task with another seed, decided or not."""
    found = []
    for other in stores(store.root):
        for chosen in (other.fixed or {})["candidates"]:
            same = (chosen["sha256"], chosen["task"]) == (candidate.sha256, candidate.task)
            if same and other.seed != store.seed:
                decided = other.certificate(chosen["label"])
                found.append({"seed": other.seed, "lag": decided["lag"] if decided else None})
    return found


def assumptions(candidate: Candidate) -> list[str]:
    """What the claim takes for granted."""
    ladder = candidate.ladder
    regime = candidate.configuration["training"]["regime"]["kind"]
    found = [
        f"Members are independent: each has first weights, data order and noise from a seed of its "
        f"own, derived from the search's seed ({candidate.search_seed}), the configuration, the "
        "certificate's seed and the member's number. The search drew from none of these streams.",
        f"'Learns lag L' means: solves every rung of the ladder from {ladder.start} up to L, in "
        f"the regime `{regime}`, each within {ladder.sequences} training sequences"
        + (f" and {ladder.gflop:g} GFLOP" if ladder.gflop else "")
        + (f" and {ladder.seconds:g} s, which depends on the machine" if ladder.seconds else "")
        + ". Lags between rungs were not tested, nor any "
        f"below {candidate.lags[0]} or beyond {candidate.lags[-1]}; the search's estimate was "
        f"{candidate.reach}.",
        *_judged_only(ladder),
        f"'Solves' means that held-out sequences established a success rate of {ladder.asked} "
        "by the 95 % criterion. That criterion itself errs in at most 5 % of the attempts of a "
        "member just below the rate; the claim is about passing it.",
        "The plan was fixed before the first member was run. "
        + (
            f"Lag {candidate.lags[0]} alone was tested."
            if candidate.only
            else "The rungs are tested in a fixed order, from the first upwards to the first that "
            "is not passed."
        ),
        "A member that stalled, that ran out of budget, time or memory, whose loss was not finite, "
        "or that ended by an error, counts as one that did not learn the lag.",
        "The members ran on the devices listed, with the versions listed.",
    ]
    if candidate.task_config.files is not None:
        fresh = candidate.certified_task != candidate.task_config
        found.append(
            "Every member was tested on the same held-out rows: the claim is about training "
            "again, given these rows, and does not cover the luck of which rows were held out. "
            + ("The search never saw them." if fresh else "The search used them too.")
            + " Members that err on the same rows are called solved together: if all are just "
            "below the rate, all pass with up to 5 %, and not with the product of as many errors."
        )
    if candidate.other_data:
        found.append(
            f"The members learned from other data than the search measured: {candidate.other_data}."
        )
    return found


def _judged_only(ladder: LadderConfig) -> Iterator[str]:
    """What is said of rungs that nobody trains on."""
    if ladder.train_to is not None:
        last = ladder.trained_rungs[-1]
        yield (
            f"Members trained on rungs up to {last} (`train_to`). Above, each "
            "was judged by one look at every rung, with the weights it had then."
        )
        if ladder.trains_out(last):
            yield f"At {last} each trained until it was done, and was looked at once (`train_out`)."


def markdown(content: Mapping[str, Any]) -> str:
    """The certificate for people."""
    plan, lag = content["plan"], content["lag"]
    needed = plan["members"] - plan["failures"]
    parts = [
        f"# Certificate: {f'lag {lag}' if lag else 'none'}\n\n{content['claim']}\n",
        f"Plan: at least {needed} of {plan['members']} fresh members, fixed beforehand; "
        f"{plan['candidates']} candidate(s) share {_share(plan)}. Curtailed: a rung ends at "
        f"failure {plan['failures'] + 1}.\n",
        rung_table(content["rungs"]),
        f"The search's estimate was {content['search_reach']}.\n",
        _others(content["others"]),
        "## Assumptions\n\n" + "\n".join(f"- {line}" for line in content["assumptions"]) + "\n",
        _origin(content),
        _members(content["members"]),
    ]
    return "\n".join(part for part in parts if part)


def _share(plan: Mapping[str, Any]) -> str:
    turn = plan.get("turn", 0)
    return f"1/{turn * (turn + 1)} of the error, being turn {turn}" if turn else "the error"


def rung_table(found: Sequence[Mapping[str, Any]]) -> str:
    """The rungs as a Markdown table."""
    lines = ["| lag | learned by | lower bound | |", "| ---: | ---: | ---: | --- |"]
    for rung in found:
        bound = "" if rung["lower_bound"] is None else f"{rung['lower_bound']:.2f}"
        word = "passed" if rung["passed"] else "failed"
        lines.append(f"| {rung['lag']} | {rung['solved']} of {rung['tried']} | {bound} | {word} |")
    return "\n".join(lines) + "\n"


def _others(found: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return ""
    words = [
        f"seed {o['seed']}: {'not decided' if o['lag'] is None else 'lag ' + str(o['lag'])}"
        for o in found
    ]
    return (
        f"Certificates of this configuration with other seeds: {'; '.join(words)}. Each errs on "
        "its own; the best of several is no certificate.\n"
    )


def _origin(content: Mapping[str, Any]) -> str:
    parameters = ", ".join(f"{k}: {v}" for k, v in content["task_parameters"].items())
    names = ", ".join(f"{k} {v}" for k, v in content["versions"].items())
    return f"""\
## Origin

| | |
| --- | --- |
| configuration | SHA-256 `{content["configuration_sha256"]}` |
| found by | search `{content["search"]}`, trial {content["trial"]}, seed {content["search_seed"]} |
| task | {content["task"]} ({parameters}) |
| certificate's seed | {content["seed"]} |
| wall time, breaks included | {content["wall_seconds"]:.0f} s |
| device time of all members | {content["device_seconds"]:.0f} s |
| training | {content["training_gflop"]:,.0f} GFLOP |
| versions | {names} |
"""


def _members(found: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "## Members\n",
        "| member | seed | sent to | learned | ended by | device |",
        "| ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for m in found:
        ended = m["ended_by"] + (f" ({m['error']})" if m["error"] else "")
        lines.append(
            f"| {m['member']} | {m['seed']} | {m['goal']} | {m['reach']} | {ended} | "
            f"{m['device']} |"
        )
    return "\n".join(lines) + "\n"
