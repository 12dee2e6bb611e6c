"""What the site has and docs/ has not: pages above it, and references made from the code."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pydantic import BaseModel

from search.spec import Spec
from trainables.learning.optimisers import OPTIMISERS
from trainables.learning.schedules import SCHEDULES
from trainables.models.cells import LAYERS
from trainables.models.front_ends import FRONT_ENDS
from trainables.models.hybrids import HYBRIDS
from trainables.models.positions import POSITIONS
from trainables.models.readouts import READOUTS
from trainables.models.residuals import RESIDUALS
from trainables.tasks import TASKS

ROOT = Path(__file__).parents[1]
ABOVE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages that lie above docs/, and what they are called in the site."""

SHOWN = ("examples/read_onnx.py", "examples/tour.ipynb", "examples/data/README.md")
"""Other files that pages lead to."""

PARTS: Mapping[str, Mapping[str, Any]] = {
    "Tasks": TASKS,
    "Layers (`model/cell`)": LAYERS,
    "In front (`model/front_end`)": FRONT_ENDS,
    "Positions (`model/positions`)": POSITIONS,
    "Residual paths (`model/residual`)": RESIDUALS,
    "Read-outs (`model/readout`)": READOUTS,
    "Hybrids (`model/hybrid`)": HYBRIDS,
    "Optimisers (`training/optimiser`)": OPTIMISERS,
    "Schedules (`training/schedule`)": SCHEDULES,
}

MADE = "Made from the models that read them; [the spec](../spec.md) says what they mean."

PYTHON = """\
# Python

## From a script or a notebook

::: longspan

## Exports

::: trainables.exports.predicting.Predictor
"""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made."""
    made = {name: (ROOT / above).read_text(encoding="utf-8") for above, name in ABOVE.items()}
    made |= {"reference/spec.md": reference(), "reference/python.md": PYTHON}
    made |= {name: (ROOT / name).read_text(encoding="utf-8") for name in SHOWN}
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Let links that leave docs/ lead to where their target lies in the site."""
    up = "../" * page.file.src_uri.count("/")
    outside = page.file.src_uri in ABOVE.values()

    def moved(link: re.Match[str]) -> str:
        target, _, anchor = link[1].partition("#")
        if "://" in target or not target:
            return link[0]
        path = target.removeprefix("../")
        if outside or target.startswith("../"):
            path = ABOVE.get(path, path.removeprefix("docs/"))
        else:
            return link[0]
        path = path if "." in Path(path).name else f"{path}/README.md"
        return f"]({up}{path}{'#' if anchor else ''}{anchor})"

    return re.sub(r"\]\(([^)\s]+)\)", moved, markdown)


def reference() -> str:
    """Every key of a spec, and of every part that it or a space chooses, from the models."""
    sections = dict(within(Spec, ""))
    lines = ["# Keys of the spec", "", MADE, "", "## The spec", "", *table(Spec), ""]
    for name, model in sections.items():
        lines += [f"## `{name}`", "", *table(model), ""]
    for title, parts in PARTS.items():
        lines += [f"## {title}", ""]
        for kind, part in parts.items():
            lines += [f"### `{kind}`", "", first_line(part), "", *table(part.Config), ""]
    return "\n".join(lines)


def within(model: type[BaseModel], above: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """The sections below a model, by their path, and those below them."""
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *typing.get_args(field.annotation)]
        for section in filter(_is_model, kinds):
            yield f"{above}{name}", section
            yield from within(section, f"{above}{name}.")


def first_line(part: Any) -> str:
    """What a part is, in the first paragraph of its docstring."""
    said = (part.__doc__ or "").strip().partition("\n\n")[0]
    return " ".join(said.split()).replace("``", "`")


def table(model: type[BaseModel]) -> Iterator[str]:
    """A row a key: what it is, what is allowed, what stands there if nothing is said."""
    rows = [(name, field) for name, field in model.model_fields.items() if name != "kind"]
    if not rows:
        yield "No keys of its own."
        return
    yield "| key | type | default | allowed |"
    yield "| --- | --- | --- | --- |"
    for name, field in rows:
        default = "required"
        if not field.is_required():
            default = f"`{_plain(field.get_default(call_default_factory=True))}`"
        allowed = ", ".join(_bounds(field.metadata)).replace("|", "\\|")
        yield f"| `{name}` | {_type(field.annotation)} | {default} | {allowed} |"


def _bounds(metadata: list[Any]) -> Iterator[str]:
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    words |= {"min_length": "length at least", "max_length": "length at most", "pattern": "matches"}
    for bound in metadata:
        for key, word in words.items():
            value = getattr(bound, key, None)
            if value is not None:
                yield f"{word} `{value}`"


def _plain(value: Any) -> str:
    if isinstance(value, BaseModel):
        return "as below"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _type(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _type(typing.get_args(annotation)[0])
    if origin is typing.Literal:
        return ", ".join(f"`{word}`" for word in typing.get_args(annotation))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type(part) for part in typing.get_args(annotation)))
    if origin in (list, tuple):
        parts = [part for part in typing.get_args(annotation) if part is not ...]
        return "list of " + " or ".join(dict.fromkeys(map(_type, parts)))
    if origin is dict:
        return "mapping"
    if annotation is type(None):
        return "null"
    if _is_model(annotation):
        return "section"
    words = {int: "integer", float: "number", str: "text", bool: "yes or no"}
    return words.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
