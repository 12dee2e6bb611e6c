"""The search: Ray Tune schedules, Optuna proposes, MLflow records; and the command line."""

import os

UNLESS_TOLD = {"RAY_USAGE_STATS_ENABLED": "0", "MLFLOW_DISABLE_TELEMETRY": "true"}
"""Ray and MLflow report to their makers unless told; here they do not, unless told to."""

# Ray on a laptop listens on 127.0.0.1 alone, and not on every network, if it finds this when it is
# imported. A cluster's machines have to reach each other.
if os.environ.get("LONGSPAN_RAY") != "cluster":
    UNLESS_TOLD["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"

for name, setting in UNLESS_TOLD.items():
    os.environ.setdefault(name, setting)
