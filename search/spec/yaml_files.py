"""Reading a YAML file that holds a mapping."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from search.errors import UserError
from trainables.messages import one_line

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_OTHER_BASE = re.compile(r"[-+]?(0[0-9_]*[0-9][0-9_]*|.*:.*)")
"""Octal by a leading zero alone, and to the base of sixty."""


def load_yaml(path: Path, what: str) -> dict[str, Any]:
    """The mapping in a YAML file.

    Args:
        path: of the file
        what: it is to be, with its article

    Raises:
        UserError: in one line, if it cannot be read, is no mapping, or has a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give {what} in YAML") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    return parse_yaml(text, path, what)


def parse_yaml(text: str, path: Path, what: str) -> dict[str, Any]:
    """The mapping in a text that stands for the file ``path``, as of `load_yaml`."""
    try:
        content = yaml.load(text, _Reader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not YAML: {one_line(error)}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: {what} is a mapping of keys, not {type(content).__name__}")
    return content


class _Reader(yaml.SafeLoader):
    """The safe loader, which of a key that stands there twice would keep the last.

    ``1e4`` is a number here, as in YAML 1.2. What YAML 1.1 reads as another number than anybody
    means, ``010`` (8) and ``1:30`` (90), is refused.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As the safe loader's, with all keys different."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"{key.value} stands there twice"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        """As the safe loader's, but for numbers of another base than they look."""
        if node.tag in _NUMBERS and _OTHER_BASE.fullmatch(node.value):
            problem = f"{node.value} is another number to YAML; quote text, write numbers plainly"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return super().construct_scalar(node)


def dump_yaml(content: Any) -> str:
    """YAML that `load_yaml` reads as it was: text that looks like a number to it is quoted."""
    return yaml.dump(content, Dumper=_Writer, sort_keys=False)


class _Writer(yaml.SafeDumper):
    """The safe dumper, to whom ``1e4`` is a number too."""


for _kind in (_Reader, _Writer):
    _kind.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+"),
        list("-+.0123456789"),
    )
