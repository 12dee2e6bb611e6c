"""MLflow's table of a search's runs: the longest reach first, and the columns that tell why.

A view that MLflow shares lies in a tag of the experiment, and is opened by its key in the address.
"""

from __future__ import annotations

import json

from search.disk.mlflow_database import filter_of, view_key

VIEW_TAG = "mlflow.sharedViewState."
COLUMNS = (
    "metrics.`reach`",
    "metrics.`progress`",
    "tags.`ended_by`",
    "tags.`cell`",
    "tags.`front_end`",
    "tags.`readout`",
    "tags.`regime`",
    "metrics.`parameters`",
    "metrics.`training_gflop`",
)
WIDTHS = {"metrics.`reach`": 90, "metrics.`progress`": 100, "tags.`ended_by`": 130}
NARROW = 110
NAME = ("attributes.`Run Name`", 300)


def view(search: str | None = None) -> tuple[str, str]:
    """A tag of the experiment and its value: the view of one search, by its identity, or of all."""
    name, width = NAME
    columns = {column: WIDTHS.get(column, NARROW) for column in COLUMNS}
    state = {
        "searchFilter": filter_of(search) if search else "",
        "orderByKey": COLUMNS[0],
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(columns),
        "columnOrder": [name, *columns],
        "columnWidths": {name: width, **columns},
    }
    return VIEW_TAG + view_key(search), json.dumps(state)
