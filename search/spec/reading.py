"""Reading a spec: its outline is looked at, the modules that it names are loaded, then its tasks.

The tasks bring torch with them, so they are imported once the outline stands: a slip of the pen is
answered at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from search.errors import UserError
from search.spec.sections import Outline
from search.spec.task_keys import require_task_keys
from search.spec.yaml_files import load_yaml, parse_yaml
from trainables.messages import one_line

if TYPE_CHECKING:
    from search.spec.spec import Spec


def read(path: Path, text: str | None = None) -> Spec:
    """The spec in a YAML file, with its paths made absolute and its YAML space taken in.

    Where a ``text`` is given, it is read in place of what the file holds. Relative paths count from
    the spec's own folder, or, where nothing is there, from the current folder. Modules are imported
    from both.

    Raises:
        UserError: in one line, if the file or a key is not as it should be.
    """
    return _take(_content(path, text), path.parent, str(path))


def outline(path: Path, text: str | None = None) -> Outline:
    """The spec in a YAML file, or in its ``text``, but for its tasks: they stay as written.

    Where a ``text`` is given, it is read in place of what the file holds.

    Raises:
        UserError: in one line, if the file or a key is not as it should be.
    """
    return _outline(_content(path, text), str(path))


def take(content: Mapping[str, Any]) -> Spec:
    """The spec in a mapping, as `read` takes it from a file in the current folder.

    Raises:
        UserError: in one line, if a key is not as it should be.
    """
    return _take(dict(content), Path.cwd(), "spec")


def _content(path: Path, text: str | None) -> dict[str, Any]:
    return load_yaml(path, "a spec") if text is None else parse_yaml(text, path, "a spec")


def _outline(content: Mapping[str, Any], origin: str) -> Outline:
    try:
        return Outline.model_validate(content)
    except ValueError as error:
        raise UserError(f"{origin}: {one_line(error)}") from None


def _take(content: dict[str, Any], folder: Path, origin: str) -> Spec:
    try:
        require_task_keys(_outline(content, origin))
    except ValueError as error:
        raise UserError(f"{origin}: {error}") from None
    _take_in_space(content, folder)
    folders = content.get("import_from") or [".", Path.cwd()]
    if isinstance(folders, list) and (content.get("plugins") or _functions(content)):
        located = [str(_located(Path(str(each)), folder)) for each in folders]
        content["import_from"] = list(dict.fromkeys(located))
    try:
        _try_modules(content)
        return _with_files_located(revive(content), folder)
    except ValueError as error:
        raise UserError(f"{origin}: {one_line(error)}") from None


def _functions(content: Mapping[str, Any]) -> Mapping[str, str]:
    """What is a ``module:function``, by its key."""
    search = content.get("search")
    sampler = search.get("sampler") if isinstance(search, Mapping) else None
    named = {"space": content.get("space"), "search.sampler": sampler}
    return {key: name for key, name in named.items() if isinstance(name, str) and ":" in name}


def _try_modules(content: Mapping[str, Any]) -> None:
    """Refuse modules that would end or hang this process, before it imports them."""
    from search.spec.trying import try_imports

    modules = _modules_of(content)
    own = {key: [name.partition(":")[0]] for key, name in _functions(content).items()}
    for key, names in {"plugins": modules.plugins, **own}.items():
        try:
            try_imports(names, modules.import_from)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None


def revive(content: Mapping[str, Any]) -> Spec:
    """A spec from its plain form, in whatever process: its plugins are loaded, it is validated.

    Raises:
        ValueError: if a plugin cannot be loaded, or a key is not as it should be.
    """
    from search.spec.spec import Spec
    from trainables.plugins import load_plugins

    modules = _modules_of(content)
    try:
        load_plugins(modules.plugins, modules.import_from)
    except ValueError as error:
        raise ValueError(f"plugins: {error}") from None
    return Spec.model_validate(content)


def _modules_of(content: Mapping[str, Any]) -> _Modules:
    try:
        return _Modules.model_validate(content)
    except ValidationError:
        return _Modules()  # whose keys are refused when the spec is validated, with all others


class _Modules(BaseModel):
    """Of a spec, the modules that its other keys may need."""

    import_from: list[str] = []
    plugins: list[str] = []


def _with_files_located(spec: Spec, folder: Path) -> Spec:
    """The spec with its tasks' files by absolute paths; a bucket's address is one already."""
    from search.spec.spec import Spec

    tasks = [
        task.with_files(_located(task.files, folder)) if isinstance(task.files, Path) else task
        for task in spec.tasks
    ]
    return Spec.model_validate({**dict(spec), "tasks": tasks})


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
    from trainables.tasks.layouts.lakes import PREFIX, is_delta
    from trainables.tasks.layouts.patterns import alternatives, is_pattern, matches, together

    several = alternatives(data)
    if len(several) > 1:
        return together([_located(each, folder) for each in several])
    if is_delta(data):
        return Path(f"{PREFIX}{_located(Path(str(data).removeprefix(PREFIX)), folder)}")
    data = data.expanduser()
    beside = folder / data
    is_there = bool(matches(beside)) if is_pattern(beside) else beside.exists()
    return (beside if is_there else data).absolute()
