"""One preparation for whatever runs in a worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from search.scheduling import preparation
from search.scheduling.preparation import prepare, prepare_for
from search.spec import ResourcesConfig, Spec

LSTM = {"model": {"cell": {"kind": "lstm"}, "hidden_size": 4}}


def spec(**resources: Any) -> Spec:
    return Spec.model_validate(
        {
            "name": "s",
            "space": "quick",
            "tasks": [{"kind": "recall"}],
            "search": {"seed": 5},
            "resources": resources,
        }
    )


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """As they were before."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_worker_does_what_the_spec_says() -> None:
    asked = spec(cpus=2, precision="bf16")
    trial, device = prepare(asked, LSTM)
    assert trial.config.model.hidden_size == 4
    assert (trial.tasks, trial.ladder, trial.seed) == (asked.tasks_by_name, asked.ladder, 5)
    assert (trial.precision, trial.curve, trial.shared_device) == ("bf16", True, False)
    assert device.type == "cpu"


@pytest.mark.parametrize(("cpus", "count"), [(0.5, 1), (1, 1), (3, 3)])
def test_it_computes_with_as_many_threads_as_it_was_given(cpus: float, count: int) -> None:
    torch.set_num_threads(2)
    prepare(spec(cpus=cpus), LSTM)
    assert torch.get_num_threads() == count


@pytest.mark.parametrize(
    ("gpus", "whole", "kind", "shared"),
    [
        (0, False, "cpu", False),
        (0.5, False, "cuda", True),
        (0.5, True, "cuda", False),
        (1, False, "cuda", False),
    ],
)
def test_its_device_and_whether_others_hold_some_of_it(
    gpus: float, whole: bool, kind: str, shared: bool
) -> None:
    trial, device = prepare(spec(gpus=gpus), LSTM, whole_device=whole)
    assert (device.type, trial.shared_device) == (kind, shared)


def test_a_member_of_a_certificate_has_a_seed_and_a_ladder_of_its_own() -> None:
    asked = spec()
    ladder = asked.ladder.model_copy(update={"members": 1, "quorum": 1})
    resources = ResourcesConfig(gpus=0.5, precision="bf16")
    trial, device = prepare_for(resources, LSTM, asked.tasks_by_name, ladder, 9, curve=False)
    assert (trial.ladder, trial.seed, trial.curve) == (ladder, 9, False)
    assert (trial.precision, device.type) == ("bf16", "cuda")


def test_its_kernels_are_built_before_a_trial_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(preparation.kernels, "describe", lambda: asked.append(True))
    prepare(spec(), LSTM)
    assert asked == [True]


def test_what_is_no_configuration_is_refused() -> None:
    with pytest.raises(ValidationError):
        prepare(spec(), {"model": {"hidden_size": -1}})


def test_nobody_prepares_a_worker_otherwise() -> None:
    """Threads, device and `TrialSpec` of a worker are made in one place.

    An estimate, which is made as if in one, is in another; a copy of the process, in which
    somebody's own code is tried, has none of its threads; and controls, beside Ray's start, one.
    """
    rooms = Path(__file__).parents[2] / "search"
    words = ("set_num_threads", "TrialSpec(", 'device("cuda"')
    found = {
        path.relative_to(rooms).as_posix()
        for path in rooms.rglob("*.py")
        if any(word in path.read_text() for word in words)
    }
    assert found == {
        "scheduling/preparation.py",
        "checking/controls.py",
        "commands/estimating/as_in_a_worker.py",
        "spec/trying.py",
    }
