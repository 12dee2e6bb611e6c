"""What an export from a stranger must be before it may cost anything: no more than its weights do.

Files and no pipes, of bounded sizes; claims within reason; parts that fit each other; weights whose
shapes, which stand at the file's head, are the model's, before that is built.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from trainables.encoding.answers import ClassAnswers, ColumnsAnswers
from trainables.encoding.encoding import LONGEST_ROW, Encoding
from trainables.encoding.steps import NumberSteps, TokenSteps
from trainables.files import weights
from trainables.files.bounded import read_bounded
from trainables.messages import named, one_line
from trainables.models.config import ModelConfig
from trainables.models.model import outline
from trainables.tasks.task import ClassAnswer, Interface, NumberAnswer, Reals, Symbols

LARGEST_YAML = 2**18
LARGEST_JSON = 2**26
"""Bytes; a vocabulary and an example are in the JSON, and a configuration in the YAML."""

MOST_VALUES = 100_000
"""In a YAML file, each counted as often as its aliases repeat it."""

MOST_SUCCESS = 0.999999
"""Past it a claim cannot be measured: it takes three million sequences that are all right."""


def parsed_yaml(file: Path) -> Any:
    """What a YAML file holds.

    Raises:
        ValueError: in one line, if it cannot be read, is no YAML, or larger than is allowed.
    """
    return _parsed(file, LARGEST_YAML, _plain_yaml, "YAML")


def parsed_json(file: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ValueError: as `parsed_yaml`.
    """
    return _parsed(file, LARGEST_JSON, json.loads, "JSON")


def _parsed(file: Path, most: int, parse: Callable[[str], Any], language: str) -> Any:
    try:
        text = read_bounded(file, most).decode("utf-8")
    except FileNotFoundError:
        raise ValueError(f"{file}: no such file; not an exported folder") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: cannot be read: {error}") from None
    try:
        return parse(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{file}: not {language}: {one_line(error)}") from None


def _plain_yaml(text: str) -> Any:
    """By the safe loader, of a text whose aliases do not blow it up."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _values(node, {}) > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES:,} values once its aliases are followed")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values it holds, with those that aliases repeat; ``known`` by identity."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = MOST_VALUES + 1  # while it is looked into: one that holds itself
        pairs = node.value if isinstance(node, yaml.MappingNode) else [(v,) for v in node.value]
        known[id(node)] = 1 + sum(_values(part, known) for pair in pairs for part in pair)
    return known[id(node)]


def require_claim(outcome: Any, file: Path) -> None:
    """Refuse an outcome that claims nothing, or what cannot be measured.

    Raises:
        ValueError: in one line.
    """
    claim = outcome if isinstance(outcome, dict) else {}
    lag, success = claim.get("lag"), claim.get("success")
    if type(lag) is not int or not 1 <= lag <= LONGEST_ROW:
        raise ValueError(
            f"{file}: lag: {_short(lag)} is not allowed; it is an integer, 1 to {LONGEST_ROW}"
        )
    if type(success) is not float or not 0 < success <= MOST_SUCCESS:
        raise ValueError(
            f"{file}: success: {_short(success)} is not allowed; it lies between 0 and"
            f" {MOST_SUCCESS}"
        )
    for key in ("encoding_sha256", "search", "task"):
        if not isinstance(claim.get(key), str | None):
            raise ValueError(f"{file}: {key}: {_short(claim[key])} is not allowed; a text")


def _short(value: Any) -> str:
    text = one_line(repr(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def require_fitting(encoding: Encoding, config: Interface, kind: str, file: Path) -> None:
    """Refuse an encoding that gives the model what it does not take, or another task's.

    Raises:
        ValueError: in one line.
    """
    if encoding.task != kind:
        raise ValueError(f"{file}: it is of {encoding.task}, and the task is {kind}")
    steps, answer = encoding.steps, encoding.answer
    shown: Symbols | Reals
    if isinstance(steps, NumberSteps):
        shown = Reals(steps.shown)
    elif isinstance(steps, TokenSteps):
        shown = Symbols(len(steps.vocabulary) + steps.has_blank)
    elif steps.kind == "symbols":
        shown = Symbols(len(steps.names))
    else:
        shown = Reals(len(steps.names))
    if shown != config.inputs:
        raise ValueError(f"{file}: it gives {shown}, and the model takes {config.inputs}")
    if isinstance(answer, ClassAnswers):
        fits = config.answer == ClassAnswer(len(answer.names))
    elif isinstance(answer, ColumnsAnswers):
        fits = config.answer == ClassAnswer(max(answer.counts), answer.counts)
    else:
        fits = isinstance(config.answer, NumberAnswer)
    if not fits:
        raise ValueError(f"{file}: {answer.kind} answers are not those of {config.answer}")


def require_shapes(config: ModelConfig, interface: Interface, file: Path, about: Path) -> None:
    """Refuse weights that are not this model's by what stands at their file's head.

    Raises:
        ValueError: in one line; ``about`` is named where no model can be built at all.
    """
    try:
        own = outline(config, interface).state_dict()
    except Exception as error:  # whatever a layer says of sizes that nothing has
        raise ValueError(f"{about}: no such model can be built: {named(error)}"[:300]) from None
    expected = {name: (tuple(t.shape), weights.dtype_name(t.dtype)) for name, t in own.items()}
    given = weights.outline(file)
    _require_same(given, expected, file)


def _require_same(
    given: Mapping[str, weights.Shape], expected: Mapping[str, weights.Shape], file: Path
) -> None:
    for name in sorted(expected.keys() | given.keys()):
        if given.get(name) == expected.get(name):
            continue
        if name not in given:
            said = f"{name} is not there"
        elif name not in expected:
            said = f"{_short(name)} is none of its"
        else:
            (shape, kind), (own, wanted) = given[name], expected[name]
            said = f"{name} is {kind} {list(shape)}, not {wanted} {list(own)}"
        raise ValueError(f"{file}: not this configuration's weights: {said}")
