"""MLflow's table of a search's runs: the longest reach first, and the columns that tell why.

A view that MLflow shares lies in a tag of the experiment, and is opened by its key in the address.
"""

from __future__ import annotations

import json

from search.disk.mlflow_database import filter_of, view_key

VIEW_TAG = "mlflow.sharedViewState."
COLUMNS = {
    "tags.`trial`": 46,
    "metrics.`reach`": 75,
    "metrics.`progress`": 72,
    "tags.`ended_by`": 112,
    "tags.`cell`": 90,
    "tags.`front_end`": 76,
    "tags.`readout`": 72,
    "tags.`regime`": 95,
    "metrics.`parameters`": 86,
    "metrics.`training_gflop`": 104,
}
"""In their order, and how wide: all are seen in a window of 1500 pixels."""
ALWAYS = {"attributes.`Run Name`": 235, "runDateAndNestInfo": 107}
"""Columns that MLflow always shows, before these."""


def view(search: str | None = None) -> tuple[str, str]:
    """A tag of the experiment and its value: the view of one search, by its identity, or of all."""
    state = {
        "searchFilter": filter_of(search) if search else "",
        "orderByKey": "metrics.`reach`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(COLUMNS),
        "columnOrder": [*ALWAYS, *COLUMNS],
        "columnWidths": {**ALWAYS, **COLUMNS},
    }
    return VIEW_TAG + view_key(search), json.dumps(state)
