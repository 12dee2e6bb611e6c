"""The process that a layer is judged in: it says what it finds as it goes, a line of JSON each.

``python -m search.certifying.judging.judged DESCRIPTOR REQUEST``, the second a file.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from search.certifying.candidates import of_trial
from search.certifying.certificate import certificate
from search.certifying.climbing import Certification, run_members
from search.certifying.judging.request import OF_THE_LAYER, Request
from search.certifying.members import Climbed, Job, run_member
from search.certifying.store import Store, now_ms
from search.checking.preflight import check_tasks
from search.disk.record import Record
from search.disk.versions import versions
from search.errors import UserError
from search.proposing.draws import nested
from search.scheduling import GIB
from search.scheduling.preparation import prepare
from search.spec import Spec, read
from search.spec.yaml_files import dump_yaml
from trainables.config import TrialConfig
from trainables.measure.certificate import plan_for
from trainables.measure.ladder import passed_rungs
from trainables.measure.report import Report
from trainables.messages import named, one_line
from trainables.models.cells import LAYERS
from trainables.models.layer import Layer
from trainables.models.model import outline
from trainables.models.promises import BrokenPromiseError
from trainables.plugins import load_plugins
from trainables.tasks.task import Task
from trainables.training.held_out.curve import extrapolated_lag
from trainables.trial import run_trial

DIES_WITH_PARENT = 1
"""prctl(2): PR_SET_PDEATHSIG."""

CELL = "model/cell"


class Tell(Protocol):
    """Where what is found is said."""

    def __call__(self, **found: Any) -> None:
        """Take some of it; what comes later stands in the place of what was said before."""


class Teller:
    """Tells whoever has the other end, so that it is known whatever becomes of this process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __call__(self, **found: Any) -> None:
        """Write it as a line."""
        line = memoryview(json.dumps(found).encode() + b"\n")
        while line:
            line = line[os.write(self._descriptor, line) :]


def main() -> None:
    """Judge what the request asks for, held by its limits."""
    request = Request.model_validate_json(Path(sys.argv[2]).read_bytes())
    _be_held(request.memory)
    judge(request, Teller(int(sys.argv[1])))


def judge(request: Request, tell: Tell) -> None:
    """Tell what is found of a layer as it is found, the verdict last."""
    try:
        _judge(request, tell)
    except UserError as error:
        tell(verdict="bad input", reason=str(error))
    except BrokenPromiseError as error:
        tell(verdict="refused", reason=one_line(error))
    except BaseException as error:  # whatever the layer's own code raises; an exit as well
        tell(verdict="error", reason=named(error))


def _be_held(memory: float) -> None:
    """Take no more memory than that, in GiB, and end when whoever asked has ended."""
    most = int(memory * GIB)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIES_WITH_PARENT, signal.SIGKILL)


def _judge(request: Request, tell: Tell) -> None:
    tell(stage="task", versions=versions())
    spec = read(Path(request.origin), dump_yaml(request.spec)).as_begun
    ((name, task),) = check_tasks(spec).items()
    tell(task={"name": name, **spec.tasks_by_name[name].portable.model_dump(mode="json")},
         ladder=spec.ladder.model_dump(mode="json"), seed=spec.search.seed)  # fmt: skip
    tell(stage=OF_THE_LAYER)
    config = _configuration(request, _kind(request))
    tell(configuration=config.model_dump(mode="json"), configuration_sha256=config.digest)
    tell(sizes=_sizes(config, task, spec.ladder.stop))
    tell(stage="ladder")
    record = _climbed(spec, config, Path(request.folder), tell)
    tell(curve=[vars(point) for point in record.report.curve],
         extrapolated_lag=extrapolated_lag(record.report.curve, spec.ladder.success),
         limited_by=record.limited_by(spec.ladder))  # fmt: skip
    if record.reach and request.certify:
        tell(stage="certificate")
        found = _certified(spec, record, task, Path(request.folder), tell)
        tell(certificate=found, verdict="holds" if found["lag"] else "fails")
    elif not record.reach and record.ended_by in ("memory", "time"):
        tell(verdict="limit", reason=f"{record.ended_by} ran out on the first rung")
    else:
        tell(verdict="holds" if record.reach else "fails")


def _kind(request: Request) -> str:
    """The kind of the layer, whose module is imported if it has one.

    Raises:
        UserError: in one line, if there is no such layer.
    """
    module, colon, name = request.layer.rpartition(":")
    if not colon:
        if name in LAYERS:
            return name
        raise UserError(
            f"layer: {name!r} is not known; allowed: {', '.join(LAYERS)}, or MODULE:LAYER"
        )
    try:
        (loaded,) = load_plugins([module], request.import_from)
    except ValueError as error:
        raise UserError(f"layer: {one_line(error)}") from None
    brought: Mapping[str, type[Layer]] = getattr(loaded, "LAYERS", {})
    for kind, layer in brought.items():
        if name in (kind, layer.__name__):
            return kind
    raise UserError(
        f"layer: {module!r} has no {name!r} in LAYERS; allowed: {', '.join(brought) or 'none'}"
    )


def _configuration(request: Request, kind: str) -> TrialConfig:
    """The whole configuration: the layer, and what was set besides.

    Raises:
        UserError: in one line, if there is none with these settings.
    """
    if f"{CELL}/kind" in request.settings or CELL in request.settings:
        raise UserError(f"--set: {CELL}/kind is the layer that is judged; it is not set")
    try:
        return TrialConfig.model_validate(nested({f"{CELL}/kind": kind, **request.settings}))
    except ValidationError as error:
        raise UserError(f"--set: {one_line(error)}") from None
    except (TypeError, AttributeError):
        raise UserError("--set: a path stands there, and another that lies below it") from None


def _sizes(config: TrialConfig, task: Task, lag: int) -> dict[str, float]:
    """What a model takes on the ladder's longest sequences."""
    model, length = outline(config.model, task), task.length(lag)
    return {
        "parameters": model.num_parameters,
        "state_bytes": model.state_bytes(length),
        "flops_per_step": model.flops(length, 1) / length,
    }


def _climbed(spec: Spec, config: TrialConfig, folder: Path, tell: Tell) -> Record:
    """The layer's trial, which begins with the probe of what every model promises."""
    plain = config.model_dump(mode="json")
    known = Record(0, {}, plain, config.digest, started_ms=now_ms())

    def tell_so_far(report: Report, checkpoint: Path | None) -> None:
        tell(**_said(replace(known, report=report, ended_by=report.ended_by), spec))

    trial, device = prepare(spec, plain)
    ended = run_trial(trial, folder / "trial", tell_so_far, device)
    return replace(known, report=ended, ended_by=ended.ended_by, ended_ms=now_ms())


def _said(record: Record, spec: Spec) -> dict[str, Any]:
    """What a trial has shown so far."""
    rows, ladder = record.rows, spec.ladder
    passed = passed_rungs(rows, ladder.rungs, ladder.rule)
    rungs = [
        {"lag": lag, "passed": lag in passed, "solved": sum(r.solved for r in tried),
         "tried": len(tried)}
        for lag in ladder.rungs
        if (tried := [row for row in rows if row.lag == lag])
    ]  # fmt: skip
    return {
        "reach": record.reach,
        "censored": record.censored,
        "progress": record.progress,
        "skill": record.skill,
        "no_gap": record.no_gap,
        "ended_by": record.ended_by,
        "rungs": rungs,
        "members": [row.to_json() for row in rows],
        "training_gflop": record.report.training_gflop,
    }


def _certified(spec: Spec, record: Record, task: Task, folder: Path, tell: Tell) -> dict[str, Any]:
    """The certificate of what was reached, by fresh members that climb one after another."""
    config, store = spec.certify, Store(folder, spec.search.seed)
    candidate = replace(of_trial(spec, record, task.config.kind), data=task.data, to=config.to)
    plan = plan_for(config.reliability, config.confidence, config.failures)
    reached: dict[str, dict[int, int]] = {candidate.label: {}}

    def keep(job: Job, climbed: Climbed) -> None:
        store.keep(job, climbed)
        tell(fresh_members=[*reached[candidate.label].values(), climbed.reach])

    members = Certification([candidate], plan, store.seed, spec.resources, store.folder)
    with store.locked():
        store.fix(config, [candidate], plan)
        run_members(members, reached, _OneByOne(), keep)
        return certificate(store, candidate, plan)


class _OneByOne:
    """A pool in which members run in this process, one at a time."""

    slots = 1

    def __init__(self) -> None:
        self._job: Job | None = None

    def start(self, job: Job) -> None:
        """Take it up; it runs when it is asked for."""
        self._job = job

    def stop(self, job: Job) -> None:
        """Give up what has not run."""
        self._job = None

    def next(self) -> tuple[Job, Climbed]:
        """Run the member that was taken up."""
        assert self._job is not None
        job, self._job = self._job, None
        return job, run_member(job)


if __name__ == "__main__":
    main()
