"""The data of a search as MLflow has it: a dataset input of each of its runs."""

from __future__ import annotations

import json
from collections.abc import Iterable

from mlflow.entities import Dataset, DatasetInput, InputTag

from search.disk.folder import SearchFolder
from search.disk.kept_tasks import kept_task, kept_tasks
from trainables.encoding.identity import DataIdentity
from trainables.tasks.accounts.account import Account

DIGEST = 32
"""Characters of a fingerprint that MLflow has room for."""


def dataset_inputs(folder: SearchFolder, tasks: Iterable[str]) -> list[DatasetInput]:
    """Of every task that reads data, which; none of a search that kept nothing."""
    found = []
    for name in tasks:
        kept = kept_task(folder, name)
        if kept is not None and kept.data is not None:
            context = InputTag("mlflow.data.context", f"training and testing: {name}")
            found.append(DatasetInput(_dataset(kept.data), [context]))
    return found


def accounts(folder: SearchFolder, tasks: Iterable[str]) -> dict[str, Account]:
    """What was read, by task, of each that reads data."""
    found = {name: kept.account for name, kept in kept_tasks(folder, tasks).items()}
    return {name: account for name, account in found.items() if account is not None}


def _dataset(data: DataIdentity) -> Dataset:
    """Named by its files, told by its rows; where they lie is nobody else's business."""
    said = data.model_dump(mode="json", include={"columns", "features", "classes"})
    return Dataset(
        name=", ".join(data.files)[:500],
        digest=data.fingerprint[:DIGEST],
        source_type="local",
        source=json.dumps({"files": data.files[:50], "fingerprint": data.fingerprint}),
        schema=json.dumps({"longspan": said})[:60_000],
        profile=json.dumps({"num_rows": data.rows}),
    )
