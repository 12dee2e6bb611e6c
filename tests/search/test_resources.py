"""What a trial is given, what ``auto`` makes of it, and what happens where it is too little."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
import torch
from pydantic import ValidationError

from search.disk.folder import SearchFolder
from search.errors import UserError
from search.scheduling import GIB, resources
from search.scheduling import worker as ray_trainable
from search.scheduling.machines import Machine, require, slots
from search.scheduling.ray_session import RaySession, local_ray
from search.scheduling.resources import largest, of_trial, options, resolve, share
from search.spec import ResourcesConfig, Spec
from search.spec.spaces import find_space
from tests.search.listening import listening
from tests.search.test_ray_trainable import LSTM
from trainables.models.model import outline
from trainables.tasks import TASKS
from trainables.training.probe import Peak

CONTENT: dict[str, Any] = {
    "name": "s",
    "space": "quick",
    "tasks": [{"kind": "recall"}],
    "ladder": {"start": 4, "stop": 64, "members": 1, "quorum": 1, "sequences": 64},
}
LAPTOP = RaySession([Machine(cpus=2, gpus=0, memory=8)], None)
WITH_DEVICE = RaySession([Machine(cpus=2, gpus=1, memory=8)], None)


def spec_with(**asked: Any) -> Spec:
    return Spec.model_validate({**CONTENT, "resources": asked})


def resolved(session: RaySession, folder: Path, **asked: Any) -> ResourcesConfig:
    spec = spec_with(**asked)
    return resolve(spec, SearchFolder(folder, "s"), find_space(spec), session)


@pytest.mark.parametrize(
    "wrong", [{"gpus": "some"}, {"gpus": -1}, {"memory": 0}, {"precision": "fp8"}, {"tpus": 1}]
)
def test_what_is_no_resource_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        spec_with(**wrong)


def test_numbers_are_taken_as_they_are(tmp_path: Path) -> None:
    """Without Ray: nothing is probed."""
    assert resolved(LAPTOP, tmp_path, cpus=2, gpus=0.5) == ResourcesConfig(cpus=2, gpus=0.5)
    assert resolved(LAPTOP, tmp_path, gpus="auto") == ResourcesConfig(gpus=0)


@pytest.mark.slow
def test_a_laptops_ray(tmp_path: Path) -> None:
    """Memory is what the largest took and a quarter more; nobody from outside can knock.

    The probe itself, in a worker; torch alone takes some hundred MiB.
    """
    with local_ray() as session:
        found = resolved(session, tmp_path, memory="auto")
        assert {at for at, _ in listening(os.getpid())} == {"127.0.0.1"}
        with local_ray() as within:
            assert within == session
        assert ray.is_initialized(), "it is the outer block's to end"
    assert isinstance(found.memory, float)
    assert 0.2 < found.memory < 4


def test_another_ray_of_this_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    others = SimpleNamespace(namespace="a user's")
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "get_runtime_context", lambda: others)
    monkeypatch.setattr(ray, "shutdown", lambda: pytest.fail("it is not a search's to end"))
    with pytest.raises(UserError, match=r"started by something else.*ray\.shutdown"), local_ray():
        pass


def probing(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    """Ray, standing in: the probe's answer is known."""

    class Remote:
        def remote(self, *_: Any) -> None:
            return None

    def get(*_: Any, **__: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(resources.ray, "remote", lambda **_: lambda _: Remote())
    monkeypatch.setattr(resources.ray, "get", get)
    monkeypatch.setattr(resources.ray, "cancel", lambda *_, **__: None)


def test_the_part_of_a_device_follows_from_the_peak(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    probing(monkeypatch, (Peak(host=2 * GIB, device=6 * GIB), 24 * GIB))
    found = resolved(WITH_DEVICE, tmp_path, gpus="auto", memory="auto")
    assert found == ResourcesConfig(gpus=1 / 3, memory=2.5)


@pytest.mark.parametrize(
    ("needed", "part"), [(23, 1), (30, 1), (9, 1 / 2), (5, 1 / 3), (1, 1 / 8), (0, 1 / 8)]
)
def test_as_many_share_a_device_as_fit(needed: int, part: float) -> None:
    """With a quarter more each, and half a GiB for the process; at most eight."""
    assert share(needed * GIB, 24 * GIB) == pytest.approx(part)


def test_a_probe_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    probing(monkeypatch, resources.ray.exceptions.RayTaskError("f", "a\nKeyError: it", KeyError()))
    with pytest.raises(UserError, match=r"resources: auto: the probe failed: .*give numbers") as no:
        resolved(WITH_DEVICE, tmp_path, gpus="auto")
    assert "\n" not in str(no.value)


def test_the_largest_of_the_space_is_probed() -> None:
    spec = spec_with()
    space = find_space(spec)
    task = TASKS["recall"](spec.tasks[0])
    drawn = resources.draw(space, resources.DRAWS)
    sizes = [outline(config.model, task).num_parameters for config in drawn]
    assert outline(largest(spec, space)[-1].model, task).num_parameters == max(sizes)


def test_ray_is_asked_for_what_the_spec_says() -> None:
    asked = ResourcesConfig(cpus=2, gpus=0.5, memory=1.5, accelerator="A10G")
    whole = {"CPU": 2, "memory": 1.5 * GIB, "accelerator_type:A10G": 0.001}
    assert of_trial(asked, whole_device=False).bundles == [{**whole, "GPU": 0.5}]
    assert of_trial(asked, whole_device=True).bundles == [{**whole, "GPU": 1.0}]
    as_task = {"num_cpus": 2, "num_gpus": 0.5, "memory": 1.5 * GIB, "accelerator_type": "A10G"}
    assert options(asked) == as_task


def test_memory_bounds_the_slots_and_too_much_is_refused() -> None:
    assert slots(LAPTOP.machines, ResourcesConfig(cpus=0.5, memory=3)) == 2
    with pytest.raises(UserError, match=r"resources\.memory: 9 is not allowed; .* at most 8"):
        require(LAPTOP.machines, ResourcesConfig(memory=9))


# Out of a device's memory


def run_out(monkeypatch: pytest.MonkeyPatch, folder: Path, gpus: float, alone: bool) -> list[Any]:
    """What Tune is told by a trial whose model does not fit."""

    def too_small(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    told: list[Any] = []
    monkeypatch.setattr("trainables.training.climber.Climber._member", too_small)
    monkeypatch.setattr(ray_trainable.tune, "report", told.append)
    monkeypatch.setattr(ray_trainable.torch, "device", lambda _: torch.ones(()).device)
    spec = spec_with(gpus=gpus).model_dump(mode="json")
    config = {"number": 0, "configuration": LSTM, "whole_device": alone}
    ray_trainable.train(config, spec, str(folder))
    return told


def test_on_a_shared_device_it_is_raised_and_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        run_out(monkeypatch, tmp_path, gpus=0.5, alone=False)
    assert not list(tmp_path.rglob("checkpoint*"))


@pytest.mark.parametrize(("gpus", "alone"), [(0.5, True), (1, False), (0, False)])
def test_alone_on_a_device_it_is_the_outcome(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gpus: float, alone: bool
) -> None:
    told = run_out(monkeypatch, tmp_path, gpus, alone)
    assert json.loads(told[-1]["report"])["ended_by"] == "memory"
