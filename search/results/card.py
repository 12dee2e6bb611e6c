"""``CARD.md``: what an exported configuration is, for someone who meets it for the first time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from search.disk.certificates import read_certificate
from trainables.config import describe


def card_of(folder: Path) -> str:
    """The card of one exported folder, in Markdown, from what else lies in it."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    outcome = json.loads((folder / "outcome.json").read_text())
    parts = [
        _title(config["configuration"], outcome),
        _measured(outcome),
        _certified(read_certificate(folder / "certificate.json")),
        _curve(outcome),
        _horizon(outcome),
        _use(config["plugins"]),
        _what(config["configuration"]),
    ]
    return "\n".join(part for part in parts if part)


def _title(configuration: dict[str, Any], outcome: dict[str, Any]) -> str:
    at_least = "at least " if outcome["censored"] else ""
    return f"""\
# {describe(configuration)}

Learned a dependency of **{at_least}{outcome["lag"]} steps** on `{outcome["task"]}`:
{outcome["solved"]} of {outcome["members"]} independently trained members solved that lag
(quorum {outcome["quorum"]}). These weights are member {outcome["member"]}'s.

| | |
| --- | --- |
| success on held-out sequences at lag {outcome["lag"]} | {outcome["success_rate"]:.1%} of \
{outcome["test_sequences"]}, lower bound {outcome["lower_bound"]:.1%} |
| success asked for | {outcome["success"]:.0%} |
| how the trial ended | {outcome["ended_by"]}{", so reach is censored" if at_least else ""} |
{_by_task(outcome.get("by_task"))}\
| parameters | {outcome["parameters"]:,} |
| state carried per sequence | {outcome["state_bytes"]:,} bytes |
| training | {outcome["training_sequences"]:,} sequences for this member, \
{outcome["training_gflop"]:,.0f} GFLOP for all |
| found by | search `{outcome["search"]}`, trial {outcome["trial"]}, seed {outcome["seed"]} |
| configuration | SHA-256 `{outcome["configuration_sha256"]}` |
"""


def _by_task(reaches: str | None) -> str:
    return f"| reach by task, of the same trial | {reaches} |\n" if reaches else ""


def _measured(outcome: dict[str, Any]) -> str:
    return f"""\
## How it was measured

A sequence counts as a success only if every scored answer in it is right. A member solved a lag
when the one-sided 95 % Clopper-Pearson lower bound of its success rate on held-out sequences, over
all its looks together, was at least {outcome["success"]:g}. The reach is the largest lag that the
quorum solved, below the first that it did not.

This configuration is the pick of {outcome["trials_searched"]} trials, on the seeds it was picked
by: its reach is an estimate that flatters. It is not a certificate.
"""


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


def _curve(outcome: dict[str, Any]) -> str:
    points = outcome["forgetting_curve"]
    if not points:
        return "## Forgetting curve\n\nNot measured: the trial was stopped before its end.\n"
    lines = [
        "## Forgetting curve\n",
        "![success rate by lag](forgetting_curve.png)\n",
        "| lag | success | |",
        "| ---: | ---: | --- |",
    ]
    for p in points:
        rate = p["successes"] / p["sequences"]
        lines.append(f"| {p['lag']} | {rate:.1%} | {'learned' if p['learned'] else 'beyond'} |")
    untrained = outcome.get("extrapolated_lag")
    if untrained is not None:
        lines.append(
            f"\nExtrapolated lag, at which {outcome['success']:.0%} are right without training "
            f"there: {untrained or 'none'}."
        )
    return "\n".join(lines) + "\n"


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


def _use(plugins: list[str]) -> str:
    named = f", plugins={plugins}" if plugins else ""
    options = "".join(f" --plugin {plugin}" for plugin in plugins)
    return f"""\
## How to load

```python
import trainables

model = trainables.load("this folder"{named})  # a torch.nn.Module
answers = model(inputs, scored)  # inputs (B, T) or (B, T, F); scored (B, S); answers (B, S, C)
```

`longspan verify THIS_FOLDER{options}` measures the claim again, on fresh sequences, from the
weights alone.
"""


def _what(configuration: dict[str, Any]) -> str:
    return f"""\
## Configuration

```yaml
{yaml.safe_dump(configuration, sort_keys=False).rstrip()}
```
"""
