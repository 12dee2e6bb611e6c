"""Certificates on disk: plain JSON that carries its checksum, found out where it is damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.certify import _certify
from search.certifying.candidates import Candidate
from search.certifying.certificate import certificate, markdown
from search.certifying.live_table import Display
from search.certifying.members import Climbed, Job
from search.certifying.store import Store
from search.commands import console
from search.disk.certificates import certificates, read_certificate, standing
from search.errors import UserError
from search.spec import CertifyConfig, ResourcesConfig
from tests.search.test_damage import bit_flipped, cut_short, emptied, torn
from trainables.files.whole_files import DamagedFileError, read_json, write_json
from trainables.measure.certificate import Plan, plan_for
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.records import MemberRung
from trainables.tasks.recall import Recall

PLAN = plan_for(0.5, 0.5, 0)
CANDIDATE = Candidate(
    search="s",
    trial=0,
    configuration={"training": {"regime": {"kind": "scratch"}}},
    sha256="d" * 64,
    task="recall",
    task_config=Recall.Config(),
    ladder=LadderConfig(start=8, stop=8),
    search_seed=0,
    reach=8,
)


def decided(root: Path, seed: int = 0) -> tuple[Store, Path]:
    """A certificate of members that all learned lag 8, and its file."""
    store = Store(root, seed)
    store.path.mkdir(parents=True)
    store.fix(CertifyConfig(), [CANDIDATE], PLAN)
    for member in range(PLAN.members):
        job = Job(CANDIDATE, member, seed, 8, store.folder(CANDIDATE, member), ResourcesConfig())
        store.keep(job, Climbed(member, job.root, 8, 8, "top", None, "cpu", ()))
    found = certificate(store, CANDIDATE, PLAN)
    store.certify(CANDIDATE, found, markdown(found))
    return store, store.path / CANDIDATE.label / "certificate.json"


def again(store: Store) -> list[dict[str, Any]]:
    """What certifying once more gives; every member has ended, so that none is run."""
    done = _certify(store, [CANDIDATE], CertifyConfig(), ResourcesConfig(), Display(console))
    assert isinstance(done.plan, Plan)
    return list(done.certificates)


def test_a_member_comes_back_as_it_was(tmp_path: Path) -> None:
    """With its rows; what a later version wrote is refused in one line, and is not run again."""
    store, row = Store(tmp_path, 0), MemberRung("recall", 8, 0, "solved", 0.9, 0.8, sequences=16)
    job = Job(CANDIDATE, 0, 0, 8, store.folder(CANDIDATE, 0), ResourcesConfig())
    climbed = Climbed(0, job.root, 8, 8, "top", None, "cpu", (row,))
    store.keep(job, climbed)
    assert store.members(CANDIDATE) == [climbed]
    file = store.folder(CANDIDATE, 0).with_suffix(".json")
    found = read_json(file)
    assert found["rows"][0]["solved"] is True
    write_json(file, {**found, "rows": [{**found["rows"][0], "mood": 1}]})
    with pytest.raises(UserError, match=r"000\.json: MemberRung: 'mood' is not known") as error:
        store.members(CANDIDATE)
    assert "\n" not in str(error.value)


def test_a_stranger_reads_it_as_json(tmp_path: Path) -> None:
    _, file = decided(tmp_path)
    plain = json.loads(file.read_text())
    assert len(plain.pop("sha256")) == 64
    assert plain == read_certificate(file) == standing(tmp_path)["d" * 64, "recall"]
    assert plain["lag"] == 8


def test_one_of_the_version_before_is_taken_as_it_is(tmp_path: Path) -> None:
    store, file = decided(tmp_path)
    plain = json.loads(file.read_text())
    del plain["sha256"]
    file.write_text(json.dumps(plain, indent=2))
    assert read_certificate(file) == plain
    assert again(store) == [plain]


def another_lag(content: bytes) -> bytes:
    """One bit: JSON as before, and a better claim."""
    assert b'"lag": 8,' in content
    return content.replace(b'"lag": 8,', b'"lag": 9,', 1)


DAMAGES = [torn, cut_short, emptied, bit_flipped, another_lag]


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_one_is_named_and_not_shown(
    tmp_path: Path, how: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    _, file = decided(tmp_path)
    _, other = decided(tmp_path, seed=1)
    file.write_bytes(how(file.read_bytes()))
    with pytest.raises(DamagedFileError) as caught:
        read_certificate(file)
    assert str(caught.value).startswith(f"{file}: damaged")
    assert "\n" not in str(caught.value)
    assert list(certificates(tmp_path)) == [read_certificate(other)]
    (line,) = caplog.messages
    assert str(file) in line


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_one_is_made_again_of_its_members_and_kept_aside(
    tmp_path: Path, how: Callable[[bytes], bytes]
) -> None:
    store, file = decided(tmp_path)
    before = read_certificate(file)
    assert before is not None
    damaged = how(file.read_bytes())
    file.write_bytes(damaged)
    (found,) = again(store)
    times = {"ended_ms", "wall_seconds"}
    assert {k: v for k, v in found.items() if k not in times} == {
        k: v for k, v in before.items() if k not in times
    }
    assert file.with_name("certificate.json.damaged").read_bytes() == damaged
    assert again(store) == [found], "one that is whole is not made again"


def test_one_that_is_whole_is_not_made_again_with_the_damaged_one(tmp_path: Path) -> None:
    both = [CANDIDATE, replace(CANDIDATE, trial=1)]
    store, files = Store(tmp_path, 0), []
    store.path.mkdir(parents=True)
    store.fix(CertifyConfig(), both, PLAN)
    for candidate in both:
        for member in range(PLAN.members):
            job = Job(candidate, member, 0, 8, store.folder(candidate, member), ResourcesConfig())
            store.keep(job, Climbed(member, job.root, 8, 8, "top", None, "cpu", []))
        found = {**certificate(store, candidate, PLAN), "ended_ms": 1}
        store.certify(candidate, found, markdown(found))
        files.append(store.path / candidate.label / "certificate.json")
    whole = files[0].read_bytes()
    files[1].write_bytes(torn(files[1].read_bytes()))
    done = _certify(store, both, CertifyConfig(), ResourcesConfig(), Display(console))
    assert files[0].read_bytes() == whole
    assert [found["trial"] for found in done.certificates] == [0, 1]
    assert done.certificates[1]["ended_ms"] > 1


@pytest.mark.parametrize("how", [torn, cut_short, emptied, bit_flipped])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_damaged_plan_is_refused_by_name(
    tmp_path: Path, how: Callable[[bytes], bytes], seed: int
) -> None:
    """Its own members would lack what was fixed; others' certificates could not name it."""
    store, _ = decided(tmp_path)
    plan = store.path / "plan.json"
    plan.write_bytes(how(plan.read_bytes()))
    with pytest.raises(UserError) as caught:
        again(Store(tmp_path, seed))
    assert str(caught.value).startswith(f"{plan}: damaged")
    assert "another --seed" in str(caught.value)
    assert not (tmp_path / "certificates" / "seed-1" / CANDIDATE.label).exists()
