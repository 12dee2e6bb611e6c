"""What a search keeps of its tasks from its start: their encoding, and which data they draw from.

``encoding/TASK.json`` in its folder. So its best can be exported when the data is gone, and data
that has become another is noticed. A search of the version before keeps nothing, and goes on so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace

from pydantic import TypeAdapter

from search.disk.folder import SearchFolder
from search.errors import UserError
from trainables.encoding.encoding import Encoding
from trainables.encoding.identity import DataIdentity
from trainables.files.whole_files import DamagedFileError, read_json, write_json
from trainables.messages import one_line
from trainables.tasks.accounts.account import Account
from trainables.tasks.task import ClassAnswer, NumberAnswer, Reals, Symbols, Task

OPTION = "--other-data"


@dataclass(frozen=True)
class KeptTask:
    """A task as the search began with it.

    Attributes:
        data: which data it drew from last; None if it generates
        earlier: data that it drew from before, and that somebody meant to be replaced
        account: what was read of it; None where it generates, or of an earlier version
    """

    encoding: Encoding
    inputs: Symbols | Reals
    answer: ClassAnswer | NumberAnswer
    data: DataIdentity | None = None
    earlier: tuple[DataIdentity, ...] = ()
    account: Account | None = None

    @property
    def class_symbols(self) -> tuple[int, ...]:
        """The symbol that each class is; empty unless every class is one."""
        return self.encoding.class_symbols

    @classmethod
    def of(cls, task: Task) -> KeptTask:
        """What is to be kept of a task."""
        return cls(task.encoding, task.inputs, task.answer, task.data, account=task.account)


_KEPT = TypeAdapter(KeptTask)


def keep_tasks(folder: SearchFolder, tasks: Mapping[str, Task]) -> None:
    """Write down what the search begins with."""
    for name, task in tasks.items():
        _write(folder, name, KeptTask.of(task))


def kept_task(folder: SearchFolder, name: str) -> KeptTask | None:
    """What was kept of the task of that name; None by the version before.

    Raises:
        UserError: in one line, if it is damaged.
    """
    file = folder.encodings / f"{name}.json"
    try:
        return _KEPT.validate_python(read_json(file))
    except FileNotFoundError:
        return None
    except (DamagedFileError, ValueError) as error:
        raise UserError(f"{file}: {one_line(error)}") from None


def kept_tasks(folder: SearchFolder, names: Iterable[str]) -> dict[str, KeptTask]:
    """What was kept of the tasks, by name; of a search of the version before nothing was."""
    found = {name: kept_task(folder, name) for name in names}
    return {name: kept for name, kept in found.items() if kept is not None}


def kept_encodings(folder: SearchFolder, names: Iterable[str]) -> dict[str, Encoding]:
    """The encodings of the tasks that were kept, by name."""
    return {name: kept.encoding for name, kept in kept_tasks(folder, names).items()}


def require_same_data(
    folder: SearchFolder, tasks: Mapping[str, Task], is_meant: bool
) -> dict[str, DataIdentity]:
    """Refuse tasks whose data is not what the search drew from, unless that ``is_meant``.

    Returns:
        of each task with other data, which: to be recorded by `record_other_data`

    Raises:
        UserError: in one line that says what differs.
    """
    found: dict[str, DataIdentity] = {}
    for name, task in tasks.items():
        kept, now = kept_task(folder, name), task.data
        if kept is None:
            continue
        differs = require_data(name, kept.data, now, is_meant)
        if differs and now is not None:
            found[name] = now
        try:
            task.under(kept.encoding)
        except ValueError as error:
            raise UserError(f"{name}: {one_line(error)}") from None
    return found


def require_data(
    name: str, kept: DataIdentity | None, now: DataIdentity | None, is_meant: bool
) -> str | None:
    """How the data that is there differs from what was kept; None if not.

    Raises:
        UserError: in one line, if it differs and that is not meant.
    """
    differs = kept.differences(now) if kept is not None and now is not None else None
    if differs is not None and not is_meant:
        raise UserError(
            f"{name}: the data is another than was measured: {differs}; {OPTION} goes on all the"
            " same, and that is recorded"
        )
    return differs


def record_other_data(folder: SearchFolder, found: Mapping[str, DataIdentity]) -> None:
    """Write down that the search goes on with other data."""
    for name, now in found.items():
        kept = kept_task(folder, name)
        if kept is not None and kept.data is not None:
            _write(folder, name, replace(kept, data=now, earlier=(*kept.earlier, kept.data)))


def _write(folder: SearchFolder, name: str, kept: KeptTask) -> None:
    folder.encodings.mkdir(parents=True, exist_ok=True)
    plain = {
        "encoding": kept.encoding.model_dump(mode="json"),
        "inputs": asdict(kept.inputs),
        "answer": asdict(kept.answer),
        "data": None if kept.data is None else kept.data.model_dump(mode="json"),
        "account": None if kept.account is None else asdict(kept.account),
        "earlier": [data.model_dump(mode="json") for data in kept.earlier],
    }
    write_json(folder.encodings / f"{name}.json", plain)
