"""Reading a spec from its YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from search.errors import UserError
from search.spec.spec import Spec
from search.spec.yaml_files import load_yaml
from trainables.parts import one_line


def read(path: Path) -> Spec:
    """The spec in a YAML file, with its paths made absolute and its YAML space taken in.

    Relative paths count from the spec's own folder, or, where nothing is there, from the current
    folder. Modules are imported from both.

    Raises:
        UserError: in one line, if the file or a key is not as it should be.
    """
    content = load_yaml(path, "a spec")
    _take_in_space(content, path.parent)
    folders = content.get("import_from") or [".", Path.cwd()]
    if isinstance(folders, list) and (content.get("plugins") or ":" in str(content.get("space"))):
        located = [str(_located(Path(str(folder)), path.parent)) for folder in folders]
        content["import_from"] = list(dict.fromkeys(located))
    for task in content.get("tasks") or []:
        data = task.get("path") if isinstance(task, dict) else None
        if isinstance(data, str) and "://" not in data:  # as a bucket's address has
            task["path"] = str(_located(Path(data), path.parent))
    try:
        return Spec.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {one_line(error)}") from None


def _take_in_space(content: dict[str, Any], folder: Path) -> None:
    """Put a YAML space's content into the spec, so that nothing depends on its file."""
    space = content.get("space")
    if (
        isinstance(space, str)
        and space.endswith((".yaml", ".yml"))
        and content.get("choices") is None
    ):
        content["choices"] = load_yaml(_located(Path(space), folder), "a space")


def _located(data: Path, folder: Path) -> Path:
    beside = folder / data
    return (beside if beside.exists() else data).absolute()
