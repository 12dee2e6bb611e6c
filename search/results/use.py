"""The parts of a card that tell how a model is used, and what programs read of it.

The format is that of model cards on Hugging Face: YAML between two lines of dashes, then Markdown.
"""

from __future__ import annotations

import textwrap
from typing import Any

import yaml

from trainables.encoding.answers import ClassAnswers, ColumnsAnswers, NumberAnswers
from trainables.encoding.encoding import Encoding
from trainables.encoding.steps import NumberSteps, PlainSteps, SymbolSteps, TokenSteps

MOST_SHOWN = 400
"""Values of the example that a card shows; of a longer one it says where it lies."""


def front_matter(outcome: dict[str, Any]) -> str:
    """What programs read of the card, as Hugging Face's format has it."""
    metric = {
        "type": "accuracy",
        "name": f"sequences with every answer right, at lag {outcome['lag']}",
        "value": round(outcome["success_rate"], 4),
    }
    result = {
        "task": {"type": "sequence-modeling", "name": f"{outcome['task']} at a lag"},
        "dataset": {"type": outcome["task"], "name": _dataset(outcome), "split": "test"},
        "metrics": [metric],
    }
    name = f"{outcome['search']}-trial-{outcome['trial']:05d}-{outcome['task']}"
    content = {
        "library_name": "longspan",
        "pipeline_tag": "other",
        "tags": ["pytorch", "sequence-model", "long-range-dependencies", outcome["task"]],
        "model-index": [{"name": name, "results": [result]}],
    }
    return f"---\n{yaml.safe_dump(content, sort_keys=False)}---\n"


def _dataset(outcome: dict[str, Any]) -> str:
    data = outcome.get("data")
    if not data:
        return f"{outcome['task']}"
    return f"{', '.join(data['files'][:3])} ({data['fingerprint'][:12]})"


def how_to_use(encoding: Encoding | None, outcome: dict[str, Any], plugins: list[str]) -> str:
    """How to load it, give it rows and read its answers; the code runs in the card's folder."""
    named = f", plugins={plugins}" if plugins else ""
    options = "".join(f" --plugin {plugin}" for plugin in plugins)
    data = " --data FILE" if outcome.get("data") else ""
    parts = ["## How to use\n", _code(encoding, named)]
    if encoding is not None:
        parts += [_rows(encoding, outcome), _shown(encoding)]
    parts.append(
        "Whoever trains on calls `model(inputs, scored)`: inputs (B, T) of symbols or (B, T, F) of"
        " numbers, encoded; scored (B, S); it gives (B, S, C).\n"
    )
    parts.append(
        f"`longspan verify THIS_FOLDER{data}{options}` measures the claim again, on held-out"
        " sequences, from the weights alone.\n"
    )
    return "\n".join(parts)


def _code(encoding: Encoding | None, plugins: str) -> str:
    lines = ["import trainables", "", f'model = trainables.load("."{plugins})  # this folder']
    if encoding is None:
        lines.append("answers = model(inputs, scored)")
    else:
        lines += _example(encoding)
        lines.append("model.predict(rows)  # an answer for each row")
        if not isinstance(encoding.answer, NumberAnswers):
            lines.append(
                "model.predict_proba(rows)  # of each class of model.encoding.answer.names"
            )
    return "\n".join(["```python", *lines, "```", ""])


def _example(encoding: Encoding) -> list[str]:
    """The lines that bring a row, or a table of rows."""
    if encoding.example is None:
        return [f"rows = [{_generated(encoding)}]"]
    size = len(encoding.example) * encoding.steps.features
    if size > MOST_SHOWN:
        return [f"rows = {{{encoding.column!r}: [model.encoding.example]}}  # a table's column"]
    by_column = encoding.in_columns(encoding.example)
    these = "these columns" if len(by_column) > 1 else "this column"
    columns = ", ".join(f"{name!r}: [\n{_filled(row)}\n]" for name, row in by_column.items())
    return [
        f"# a real row, held out; or a DataFrame or Arrow table with {these}",
        f"rows = {{{columns}}}",
    ]


def _filled(row: Any) -> str:
    return textwrap.fill(
        repr(row), 96, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
    )


def _generated(encoding: Encoding) -> str:
    steps = encoding.steps
    length = max(4, encoding.answers)
    if isinstance(steps, SymbolSteps):
        return repr([steps.names[min(1, len(steps.names) - 1)]] * length)
    return repr([[0.0] * steps.features] * length)


def _rows(encoding: Encoding, outcome: dict[str, Any]) -> str:
    rate = f"{outcome['success_rate']:.1%} of {outcome['test_sequences']} held-out rows"
    lines = ["Rows may differ in length, and are given as they are: nothing is scaled beforehand."]
    if "group_by" in encoding.columns:
        lines.append(f"The file has a step a row: give `table{encoding.together}`.")
    if encoding.each_step:
        lines.append(
            "A row is answered at each of its steps, with a list; which of them are asked for, the"
            f" labels said. At lag {outcome['lag']}, {rate} were right in all that were."
        )
    elif encoding.after_gap:
        of = encoding.answer.columns if isinstance(encoding.answer, ColumnsAnswers) else ()
        order = f" ({', '.join(f'`{name}`' for name in of)})" if of else ""
        several = f"s, {encoding.answers} of them{order}, are" if encoding.is_several else " is"
        lines.append(
            f"The answer{several} asked for {outcome['lag']} steps of filler after the row, the lag"
            f" at which {rate} were right; `predict(rows, gap=STEPS)` asks at another."
        )
    elif encoding.task == "stream":
        lines.append("The answer is the step that follows the row's last.")
    else:
        lines.append(
            f"The answer is asked for at the row's own end; at lag {outcome['lag']},"
            f" {rate} were right."
        )
    padding = encoding.padding
    if padding is not None:
        lines.append(
            f"Shorter rows begin with filler, up to {padding.steps_at(outcome['lag'])} steps."
        )
    return textwrap.fill(" ".join(lines), 98, break_on_hyphens=False) + "\n"


def _shown(encoding: Encoding) -> str:
    """What the encoding holds, as a table."""
    steps, answer = encoding.steps, encoding.answer
    columns = ", ".join(f"`{name}`" for name in encoding.channels)
    named = "columns" if len(encoding.channels) > 1 else "column"
    rows = {named: columns, "a step": _step(steps)}
    if encoding.fields:
        rows["fields of a step"] = ", ".join(f"`{name}`" for name in encoding.fields)
    rows["missing values"] = _missing(steps)
    if encoding.filler is not None:
        rows["filler"] = encoding.filler.kind
    if isinstance(answer, ColumnsAnswers):
        for name, names in zip(answer.columns, answer.names, strict=True):
            rows[f"classes of `{name}`"] = _listed([repr(each) for each in names])
    elif isinstance(answer, ClassAnswers):
        rows["classes"] = _listed([repr(name) for name in answer.names])
    else:
        rows["answer"] = f"a number, {answer.offset:.6g} + {answer.scale:.6g} x output"
        if answer.tolerance is not None:
            rows["right if off by less than"] = f"{answer.tolerance:g}"
    rows["encoding"] = f"SHA-256 `{encoding.digest}` (encoding.json)"
    lines = [f"| {_in_cell(key)} | {_in_cell(value)} |" for key, value in rows.items()]
    return "\n".join(["| | |", "| --- | --- |", *lines]) + "\n"


def _in_cell(text: str) -> str:
    """As it is shown in a table of Markdown, whose cells a bar would end."""
    return text.replace("|", "\\|")


SCALES = {
    "standard": "mean and deviation",
    "robust": "median and spread of the quartiles",
    "none": "not scaled:",
}


def _missing(steps: NumberSteps | TokenSteps | SymbolSteps | PlainSteps) -> str:
    """Which values a row may lack, and what is put there."""
    missing = steps.missing if isinstance(steps, NumberSteps) else None
    if missing is None:
        return "refused"
    which = _listed([v if isinstance(v, str) else f"{v:g}" for v in missing.values])
    filled = _listed([f"{number:.6g}" for number in missing.fill])
    indicator = "; a feature more says which" if missing.indicator else ""
    return f"{which}: filled with {filled}{indicator}"


def _step(steps: NumberSteps | TokenSteps | SymbolSteps | PlainSteps) -> str:
    if isinstance(steps, NumberSteps):
        pairs = zip(steps.mean, steps.deviation, strict=True)
        means = _listed([f"{mean:.6g} ± {deviation:.6g}" for mean, deviation in pairs])
        return f"{_numbers(steps.features)}; {SCALES[steps.scale]} {means}"
    if isinstance(steps, TokenSteps):
        return f"one of {len(steps.vocabulary)} symbols: {_listed([*map(repr, steps.vocabulary)])}"
    if isinstance(steps, SymbolSteps):
        return f"one of {len(steps.names)} symbols: {_listed([*map(repr, steps.names)])}"
    return f"{_numbers(steps.features)}: {', '.join(steps.names)}"


def _numbers(count: int) -> str:
    return "1 number" if count == 1 else f"{count} numbers"


def _listed(words: list[str], most: int = 12) -> str:
    return ", ".join(words[:most]) + (", .." if len(words) > most else "")
