"""Specs as people mistype them and as disks tear them: read, refused in one line, or put back."""

from __future__ import annotations

import copy
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from benchmarks.hostile.tried import Tried
from search import spec as specs
from search.disk.folder import SearchFolder
from search.errors import UserError

MUTATED = 1000
EXAMPLES = Path(__file__).parents[2] / "examples"

ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2,
        1e30,
        2**64,
        -(2**70),
        0.5,
        1e-300,
        float("nan"),
        float("inf"),
    ),
    *(
        "",
        " ",
        "no",
        "1e4",
        "~",
        "é漢",
        "a" * 5000,
        "../../etc",
        "x\ny",
        "{}",
        "[]",
        "!!python/none",
    ),
    *([], {}, [[]], [None], {"kind": None}, {"kind": "no such"}, [1, "a", {}], {1: 2}),
)


def run(seed: int) -> list[Tried]:
    """`MUTATED` specs that were mistyped, and a search's own spec cut at every byte.

    What went wrong is printed.
    """
    return [_mutated(seed), _truncated()]


def _mutated(seed: int) -> Tried:
    random_ = random.Random(seed)
    originals = [file.read_text(encoding="utf-8") for file in sorted(EXAMPLES.glob("*.yaml"))]
    good = 0
    with tempfile.TemporaryDirectory() as root:
        for number in range(MUTATED):
            text = random_.choice(CHANGES)(random_.choice(originals), random_)
            file = Path(root) / f"{number}.yaml"
            file.write_text(text, encoding="utf-8")
            met = _met(file)
            good += met is None
            if met:
                print(f"mutated spec {number}: {met}\n{text[:300]}", file=sys.stderr)
    return Tried("specs mistyped", MUTATED, good)


def _met(file: Path) -> str | None:
    """What was not met well; None if it was refused in one line, or reads the same once written."""
    try:
        read = specs.read(file)
        again = file.with_suffix(".again.yaml")
        again.write_text(read.to_yaml(), encoding="utf-8")
        return None if specs.read(again) == read else "is another spec once written and read again"
    except UserError as error:
        return None if "\n" not in str(error) else f"several lines: {error}"
    except Exception as error:  # a traceback is what is looked for
        return f"{type(error).__name__}: {error}"


def _truncated() -> Tried:
    given = {"name": "s", "space": "quick", "tasks": [{"kind": "recall"}]}
    with tempfile.TemporaryDirectory() as root:
        folder = SearchFolder(Path(root), "s")
        folder.create(specs.take(given).to_yaml())
        whole = folder.spec.read_bytes()
        good = 0
        for end in range(len(whole)):
            folder.spec.write_bytes(whole[:end])
            folder.require()
            good += folder.spec.read_bytes() == whole
            for kept in folder.path.glob("*.damaged*"):
                kept.unlink()
    return Tried("a search's spec cut at every byte", len(whole), good)


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with each of its keys."""
    keys = (
        list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    )
    for key in keys:
        yield node, key
        yield from _places(node[key])


def _changed(
    change: Callable[[Any, Any, random.Random], None],
) -> Callable[[str, random.Random], str]:
    def changed(text: str, random_: random.Random) -> str:
        content = copy.deepcopy(yaml.safe_load(text))
        change(*random_.choice(list(_places(content))), random_)
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)

    return changed


def _replace(node: Any, key: Any, random_: random.Random) -> None:
    node[key] = random_.choice(ODD)


def _delete(node: Any, key: Any, random_: random.Random) -> None:
    del node[key]


def _misspell(node: Any, key: Any, random_: random.Random) -> None:
    if isinstance(node, dict):
        node[f"{key}{random_.choice('sx_ ')}"] = node.pop(key)
    else:
        node.append(node[key])


def _flip(text: str, random_: random.Random) -> str:
    place = random_.randrange(len(text))
    return text[:place] + random_.choice("\x00\t:{}[]'\"#&*!|>%@`é-") + text[place + 1 :]


def _twice(text: str, random_: random.Random) -> str:
    return text + random_.choice(text.splitlines()) + "\n"


CHANGES = (
    _changed(_replace),
    _changed(_replace),
    _changed(_delete),
    _changed(_misspell),
    _flip,
    _twice,
)
"""How a spec is mistyped; values twice as often."""
