"""``CARD.md``: what an exported configuration is, for someone who meets it for the first time."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import yaml

from search.disk.certificates import read_certificate
from search.results.formats import other_runtimes
from search.results.use import front_matter, how_to_use
from search.results.words import judged_in_words, skill_in_words, small
from trainables.controls.seen import LOOKUP
from trainables.description import describe
from trainables.encoding.encoding import Encoding
from trainables.exports import exported
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.looks.sizes import sizes
from trainables.measure.records import Limits
from trainables.measure.reliability import lower_bound, upper_bound
from trainables.models.model import outline


def card_of(folder: Path) -> str:
    """The card of one exported folder, in Markdown, from what else lies in it."""
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    outcome = json.loads((folder / "outcome.json").read_text(encoding="utf-8"))
    encoding = _encoding(folder / exported.ENCODING)
    parts = [
        front_matter(outcome),
        _title(config["configuration"], outcome, exported.read(folder).learned),
        _measured(outcome),
        read_section(outcome),
        _certified(read_certificate(folder / "certificate.json")),
        how_to_use(encoding, outcome, config["plugins"]),
        _streamed(folder, encoding),
        other_runtimes(outcome, config["inputs"]),
        _curve(outcome, encoding),
        _horizon(outcome),
        _what(config["configuration"]),
    ]
    return "\n".join(part for part in parts if part)


def _title(configuration: dict[str, Any], outcome: dict[str, Any], learned: str) -> str:
    censored = ", so reach is censored" if outcome["censored"] else ""
    return f"""\
# {describe(configuration)}

{learned} on `{outcome["task"]}`:
{outcome["solved"]} of {outcome["members"]} independently trained members solved that lag
(quorum {outcome["quorum"]}). These weights are member {outcome["member"]}'s.

| | |
| --- | --- |
| success on held-out sequences at lag {outcome["lag"]} | {outcome["success_rate"]:.1%} of \
{outcome["test_sequences"]}, lower bound {outcome["lower_bound"]:.1%} |
| success asked for | {outcome["success"]:.0%} |
{single_answers(outcome)}\
{_control(outcome)}\
{_skill(outcome)}\
| how the trial ended | {outcome["ended_by"]}{censored} |
{_by_task(outcome.get("by_task"))}\
| parameters | {outcome["parameters"]:,} |
| state carried per sequence | {outcome["state_bytes"]:,} bytes |
| training | {outcome["training_sequences"]:,} sequences for this member, \
{outcome["training_gflop"]:,.0f} GFLOP for all |
| found by | search `{outcome["search"]}`, trial {outcome["trial"]}, seed {outcome["seed"]} |
| configuration | SHA-256 `{outcome["configuration_sha256"]}` |
"""


def single_answers(outcome: dict[str, Any]) -> str:
    """Of several answers a sequence, how many are wrong, each by itself."""
    if not outcome.get("several_answers"):
        return ""
    is_flip_flop = outcome["task"].startswith("flip_flop")
    what = "reads: the glitch rate" if is_flip_flop else "of those sequences"
    words = f"single answers wrong, of all {what}"
    return f"| {words} | {small(1 - outcome['answer_rate'])} |\n"


def _control(outcome: dict[str, Any]) -> str:
    """What whoever needs no memory is right on, of the same sequences; the member was better."""
    if not outcome.get("control"):
        return ""
    words = f"without memory ({outcome['control']}), on the same sequences"
    return f"| {words} | {outcome['control_rate']:.1%} |\n"


def _skill(outcome: dict[str, Any]) -> str:
    """What can be done at the shortest lag, and what the trial is limited by."""
    if outcome.get("skill") is None:
        return ""
    regime = outcome.get("regime")
    ladder = LadderConfig.model_validate(outcome["ladder"])
    rows = [f"| skill, {skill_in_words(ladder)} | {outcome['skill']:.1%} |"]
    if outcome.get("no_gap") is not None:
        rows.append(f"| the same weights at no gap | {outcome['no_gap']:.1%} |")
    if outcome.get("limited_by"):
        rows.append(f"| limited by | {outcome['limited_by']} |")
    if outcome.get("why"):
        rows.append(f"| why it ended there | {outcome['why']} |")
    if outcome.get("limits"):
        rows.append(f"| known before training, by limit | {_limits(outcome['limits'])} |")
    if regime:
        rows.append(f"| regime | {regime} |")
    return "\n".join(rows) + "\n"


def _limits(steps: dict[str, float | str | None]) -> str:
    """In steps of lag, the smallest first; then what has no end, and what is not known."""
    known = Limits.from_json(steps)
    words = [f"{name} {reach:,.0f}" for name, reach in known.finite.items()]
    for value, word in ((math.inf, "unlimited"), (None, "not known")):
        words += [f"{name} {word}" for name, reach in vars(known).items() if reach == value]
    return ", ".join(words)


def _by_task(reaches: str | None) -> str:
    return f"| reach by task, of the same trial | {reaches} |\n" if reaches else ""


def _measured(outcome: dict[str, Any]) -> str:
    return f"""\
## How it was measured

A sequence counts as a success only if every scored answer in it is right. A member solved a lag
when the exact one-sided 95 % lower bound of its success rate on held-out sequences, over all its
looks together, was at least {outcome["success"]:g}.{of_looks(outcome)}
The reach is the largest lag that the quorum solved, below the first that it did not.

This configuration is the pick of {outcome["trials_searched"]} trials, on the seeds it was picked
by: its reach is an estimate that flatters. It is not a certificate.
"""


def of_looks(outcome: dict[str, Any]) -> str:
    """What is to be known of the shares where looks end early, and where nobody trains."""
    ladder = LadderConfig.model_validate(outcome["ladder"])
    ends, judged = sizes(ladder.test_sequences), judged_in_words(ladder)
    early = (
        f" A look ends once it is decided, after {ends[0]} of {ends[-1]} sequences at the earliest:"
        "\nits share is of what was shown, and high where it was solved; the bound allows for it."
    )
    judged = f"\nHere {judged}." if judged else ""
    return (early if ladder.ends_of_a_look > 1 else "") + judged


def read_section(outcome: dict[str, Any]) -> str:
    """What the search read of the data; nothing where it generated, or said nothing."""
    lines = outcome.get("read", [])
    return "\n".join(["## What was read\n", *(f"- {line}" for line in lines), ""]) if lines else ""


def _certified(certificate: dict[str, Any] | None) -> str:
    if certificate is None:
        return """\
## Certificate

None yet. `longspan certify THIS_FOLDER` tries the configuration on members that the search never
used, and writes down what may be claimed.
"""
    rung = next((r for r in certificate["rungs"] if r["lag"] == certificate["lag"]), None)
    count = f" {rung['solved']} of {rung['tried']} did." if rung else ""
    return f"""\
## Certificate

**{certificate["claim"]}**{count} On members that the search never used; how, and under which
assumptions, is in CERTIFICATE.md.
"""


def _streamed(folder: Path, encoding: Encoding | None) -> str:
    if encoding is None:
        return ""
    config = exported.read(folder).config
    grows = outline(config.configuration.model, config).bytes_a_step
    carried = f"{grows:,} more bytes a row with each step" if grows else "the same at every length"
    return (
        "`stream = model.stream(batch_size)` takes rows as they come: `stream.step(values)` one"
        " step of each,\n`stream.predict()` their answers so far. What it carries is"
        f" {carried}.\n"
    )


def _curve(outcome: dict[str, Any], encoding: Encoding | None) -> str:
    points = outcome["forgetting_curve"]
    if not points:
        return "## Forgetting curve\n\nNot measured: the trial was stopped before its end.\n"
    chance = None if encoding is None else encoding.chance
    lines = [
        "## Forgetting curve\n",
        "![success rate by lag](forgetting_curve.png)\n",
        "Chance: " + ("not known.\n" if chance is None else f"{chance:.1%}.\n"),
        *_table(points, outcome.get("members_by_lag", [])),
    ]
    lines += worse_below_the_reach(outcome)
    untrained = outcome.get("extrapolated_lag")
    if untrained is not None:
        lines.append(
            f"\nExtrapolated lag, at which {outcome['success']:.0%} are right without training "
            f"there: {untrained or 'none'}."
        )
    return "\n".join(lines) + "\n"


def _table(points: list[dict[str, Any]], tried: list[dict[str, Any]]) -> list[str]:
    """Success by lag: of these weights, and of every member with those it had on that rung."""
    members = sorted({row["member"] for row in tried})
    shown = {(row["lag"], row["member"]): row for row in tried if row["test_sequences"]}
    curve = {point["lag"]: point for point in points}
    lines = [
        " | ".join(["| lag", "these weights", "", *(f"member {m}" for m in members)]) + " |",
        "| ---: | ---: | --- |" + " ---: |" * len(members),
    ]
    for lag in sorted(curve.keys() | {lag for lag, _ in shown}):
        cells = [str(lag), "", ""]
        if lag in curve:
            point = curve[lag]
            rate = point["successes"] / point["sequences"]
            cells = [str(lag), f"{rate:.1%}", "learned" if point["learned"] else "beyond"]
        for member in members:
            row = shown.get((lag, member))
            cells.append("" if row is None else f"{row['success_rate']:.1%}")
        lines.append("| " + " | ".join(cells) + " |")
    seen = {row["lag"]: row.get("seen", 0) for row in tried}
    tables = [f"{lag} ({share:.0%})" for lag, share in sorted(seen.items()) if share >= LOOKUP]
    if tables:
        lines.append(
            "\nA table of what training shows answers these rungs, of the test's inputs as many:"
            f" lag {', '.join(tables)}."
        )
    if members:
        lines.append(
            "\nThe members' columns are what each showed when it tried the rung, with the weights"
            " that it had there; these weights are one member's last, at every lag."
        )
    return lines


def worse_below_the_reach(outcome: dict[str, Any]) -> list[str]:
    """One sentence, if these weights do clearly worse at a shorter lag than at the reach."""
    learned = [point for point in outcome["forgetting_curve"] if point["learned"]]
    at = {point["lag"]: (point["successes"], point["sequences"]) for point in learned}
    if outcome["lag"] not in at:
        return []
    best = lower_bound(*at[outcome["lag"]])
    worse = {lag: hits / n for lag, (hits, n) in at.items() if upper_bound(hits, n) < best}
    if not worse:
        return []
    lag = min(worse, key=lambda lag: worse[lag])
    return [
        f"\nThese weights do worse at shorter lags than at their reach: {worse[lag]:.0%} at lag"
        f" {lag}. A member passed each rung with the weights that it had there, and what was"
        " trained last is best at the last."
    ]


def _encoding(file: Path) -> Encoding | None:
    return Encoding.model_validate_json(file.read_bytes()) if file.exists() else None


def _horizon(outcome: dict[str, Any]) -> str:
    norms = {(p["moment"], p["back"]): p["norm"] for p in outcome["gradient_horizon"]}
    if not norms:
        return ""
    farthest = max(back for _, back in norms)
    first, final = (f"{norms.get((moment, farthest), 0):.1e}" for moment in ("start", "end"))
    return f"""\
## Gradient horizon

![norm of the answer's gradient by steps back](gradient_horizon.png)

From {farthest} steps back on, the answer's gradient has norm {first} at first weights and {final}
at these: how much of a dependency that long training could see, and what it made of it.
"""


def _what(configuration: dict[str, Any]) -> str:
    return f"""\
## Configuration

```yaml
{yaml.safe_dump(configuration, sort_keys=False).rstrip()}
```
"""
