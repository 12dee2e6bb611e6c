"""What MLflow holds of certificates: on the run of the trial that each is about.

It follows from the certificates on disk alone, times included: sent again, nothing doubles.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

from search.certifying.certificate import markdown
from search.disk.certificates import certificates
from search.disk.folder import SearchFolder
from search.recording.points import Point, by_lag, metric_key
from search.spec import Spec


def send_certificates(
    client: MlflowClient, runs: Mapping[int, str], spec: Spec, folder: SearchFolder
) -> None:
    """Bring the trials' runs up to date with the search's certificates.

    Metrics ``by_lag/certified_fraction`` and ``certified_lag``; the tag ``certified`` names
    what each seed showed; the certificates themselves are artifacts.
    """
    words: dict[int, list[str]] = defaultdict(list)
    for found in certificates(folder.path):
        run_id = runs.get(found["trial"])
        if run_id is None:
            continue
        ended = found["ended_ms"]
        batch = [Metric(p.key, p.value, ended, p.step) for p in points(found, spec)]
        client.log_batch(run_id, metrics=batch)
        words[found["trial"]].append(summary(found, spec))
        client.set_tag(run_id, "certified", "; ".join(words[found["trial"]]))
        where = f"certificates/seed-{found['seed']}-{found['task']}"
        client.log_dict(run_id, found, f"{where}.json")
        client.log_text(run_id, markdown(found), f"{where}.md")


def points(found: Mapping[str, Any], spec: Spec) -> Iterator[Point]:
    """A certificate's metrics."""
    for rung in found["rungs"]:
        share = rung["solved"] / rung["tried"]
        yield Point(by_lag("certified_fraction", found["task"], spec), share, rung["lag"])
    yield Point(metric_key("certified_lag", found["task"], spec), float(found["lag"]), 0)


def summary(found: Mapping[str, Any], spec: Spec) -> str:
    """A certificate in a few words."""
    plan = found["plan"]
    on = f" on {found['task']}" if len(spec.tasks) > 1 else ""
    return (
        f"lag {found['lag'] or 'none'}{on} (reliability {plan['reliability']:g}, confidence "
        f"{plan['confidence']:g}, seed {found['seed']})"
    )
