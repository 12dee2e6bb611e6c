"""Machines that come for waiting trials, several at once, are taken away, and go when idle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import ray

from tests.cluster import autoscaled
from tests.cluster.hosts import missing
from tests.waiting import HANGS

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]

ALONE = """\
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /dev/shm
mkdir -p /tmp/ray {folder}/ray
mount --bind {folder}/ray /tmp/ray
mount -t tmpfs tmpfs {folder}/disk
mkdir {folder}/disk/upper {folder}/disk/work
cp {folder}/example.yaml {folder}/disk/upper
mount -t overlay overlay \\
    -o lowerdir={there},upperdir={folder}/disk/upper,workdir={folder}/disk/work {there}
ip link set lo up
cd {root}
{python} -m tests.cluster.autoscaled {folder}
"""
"""A machine of its own: Ray's utility stops every Ray that it sees, and lacks a file of Ray's."""

FAKE = Path(ray.__file__).parent / "autoscaler" / "_private" / "fake_multi_node"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was seen of a search that began without a worker."""
    if why := missing():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("autoscaled")
    environment = {
        **os.environ,
        "HOME": str(folder),
        "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": "/tmp/ray",  # short: the name of a socket has 107 bytes at most
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "RAY_AUTH_MODE": "disabled",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # there is no address but 127.0.0.1
        "TUNE_MAX_PENDING_TRIALS_PG": "100",  # as in cluster.yaml
    }
    (folder / "disk").mkdir()
    (folder / "example.yaml").write_text(autoscaled.EXAMPLE)
    script = ALONE.format(folder=folder, root=ROOT, python=sys.executable, there=FAKE)
    enter = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--pid", "--fork"]
    enter += ["--kill-child", "--mount", "--mount-proc", "--uts", "--ipc", "bash", "-c", script]
    done = subprocess.run(
        enter, env=environment, capture_output=True, text=True, timeout=HANGS, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    found: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return found


def test_machines_come_for_waiting_trials_several_at_once(seen: dict[str, Any]) -> None:
    """From none; all that trials wait for is asked for, and not one machine after the other."""
    assert seen["machines before"] == 0
    assert seen["waiting without a machine"] > 2
    assert seen["trials a machine at first"] == [2] * autoscaled.MOST  # half a device each


def test_it_goes_on_where_a_spot_machine_is_taken_away(seen: dict[str, Any]) -> None:
    """Both its trials go on; the script has waited for all machines to be given back."""
    assert seen["exit code"] == 0, seen["said"]
    assert len(seen["ended"]) == autoscaled.TRIALS
    assert not set(seen["ended"]) & {None, "error"}
    assert seen["losses"] >= 2
