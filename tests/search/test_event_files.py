"""TensorBoard's event files: what they hold is read back, and a full disk ends no search."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tensorboardX
from tensorboardX.proto.event_pb2 import Event

from search.disk.folder import SearchFolder
from search.recording.event_files import FOLDER, EventFiles
from search.spec import Spec, take
from tests.search.review.trials import spec, trial
from trainables.measure.records import TracePoint

ASKED = take({**spec().model_dump(mode="json"), "tracking": {"tensorboard": True}})


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    folder = SearchFolder(tmp_path, "made")
    folder.create(ASKED.to_yaml())
    return folder


def events(folder: SearchFolder, trial: str) -> Iterator[Any]:
    """Every event of a trial; a record is its length, its bytes, and a checksum behind each."""
    (path,) = (folder.path / FOLDER / trial).glob("events.out.tfevents.*")
    content, place = path.read_bytes(), 0
    while place < len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        yield Event.FromString(content[place + 12 : place + 12 + length])
        place += 12 + length + 4


def scalars(folder: SearchFolder, trial: str, tag: str) -> list[tuple[int, float]]:
    return [
        (event.step, pytest.approx(value.simple_value))
        for event in events(folder, trial)
        for value in event.summary.value
        if value.tag == tag and not value.HasField("metadata")
    ]


def test_a_trial_that_ended_is_written_with_its_parameters(folder: SearchFolder) -> None:
    trace = tuple(TracePoint("recall", 8, 1, n, 2.0 / n, 0.5) for n in (32, 64))
    record = trial(3, 16)
    record = replace(record, report=replace(record.report, trace=trace))
    EventFiles(ASKED, folder)(record)
    assert scalars(folder, "00003", "reach") == [(0, 16.0)]
    assert scalars(folder, "00003", "by_lag/success") == [(8, 0.9), (16, 0.9)]
    assert scalars(folder, "00003", "by_sequence/loss_member_1") == [(32, 0.0625), (64, 0.03125)]
    hparams = [
        value.metadata.plugin_data
        for event in events(folder, "00003")
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == "hparams"
    ]
    told = b"".join(plugin.content for plugin in hparams)
    for word in (b"model/cell/kind", b"gru", b"training/learning_rate", b"ended by", b"failed a"):
        assert word in told


def test_only_who_asks_has_them_and_only_of_what_ended(folder: SearchFolder) -> None:
    EventFiles(spec(), folder)(trial(0, 16))
    EventFiles(ASKED, folder)(trial(0, 16, ended_by=None))
    assert not (folder.path / FOLDER).exists()
    assert Spec.model_fields["tracking"].default.tensorboard is False
    assert "tensorboard" not in spec().to_yaml()  # older searches resume with the spec they have


def test_a_trial_that_ends_again_is_replaced_and_a_known_one_is_made_up_for(
    folder: SearchFolder,
) -> None:
    files = EventFiles(ASKED, folder)
    files(trial(0, 16))
    files(trial(0, 32, ended_by="top"))
    assert scalars(folder, "00000", "reach") == [(0, 32.0)]
    EventFiles(ASKED, folder).start([trial(0, 8), trial(1, 8)])
    assert scalars(folder, "00000", "reach") == [(0, 32.0)]
    assert scalars(folder, "00001", "reach") == [(0, 8.0)]


def test_a_full_disk_is_told_once(
    folder: SearchFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: str) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tensorboardX, "SummaryWriter", full)
    files = EventFiles(ASKED, folder)
    files(trial(0, 16))
    files(trial(1, 16))
    (said,) = caplog.messages
    assert said == f"tracking.tensorboard: {folder.path / FOLDER}: No space left on device"
