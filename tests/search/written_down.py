"""A search that ended, written down without running it: three trials, each to be exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from search.checking.preflight import check_tasks
from search.disk import outcomes
from search.disk.folder import SearchFolder
from search.disk.kept_tasks import keep_tasks
from tests.search.review.trials import spec, trial
from trainables.config import TrialConfig
from trainables.files import weights
from trainables.files.whole_files import write_json
from trainables.measure.plain import digest
from trainables.models.model import build
from trainables.tasks.recall import Recall
from trainables.training.climber import weights_file

REACHES = (32, 64, 16)
"""By trial: the second is the best."""


def written_down(runs: Path, **parts: Any) -> SearchFolder:
    """The search ``made``, of models with these ``parts``."""
    folder, made = SearchFolder(runs, "made"), spec()
    made = made.model_copy(update={"search": made.search.model_copy(update={"trials": 3})})
    folder.create(made.to_yaml())
    keep_tasks(folder, check_tasks(made))
    for number, reach in enumerate(REACHES):
        record = trial(number, reach)
        if parts:
            given = {**record.configuration, "model": {**record.configuration["model"], **parts}}
            plain = TrialConfig.model_validate(given).model_dump(mode="json")
            record = replace(record, configuration=plain, digest=digest(plain))
        config = TrialConfig.model_validate(record.configuration)
        model = build(config.model, Recall(Recall.Config()), seed=number)
        for member in (0, 1):
            file = weights_file(folder.trial(number) / "weights" / "recall", reach, member)
            file.parent.mkdir(parents=True, exist_ok=True)
            weights.write(file, model.state_dict())
        write_json(folder.trial(number) / "record.json", record.to_json())
        outcomes.write(folder.outcomes, number, record.digest, record.rows)
    return folder
