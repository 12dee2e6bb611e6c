"""The cluster file for the cloud and the one for machines of one's own, made from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from search.cluster import connection
from search.cluster.connection import HOST_KEYS
from search.cluster.on_premises import EARLIER_AUTOSCALER, on_premises
from search.cluster.security_group import lay
from search.errors import UserError
from search.scheduling.machines import Machine, require, slots
from search.spec import ResourcesConfig
from tests.search.test_refusals import run

FILE = Path(__file__).parents[2] / "cluster.yaml"


@pytest.fixture
def cloud() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


def test_ray_accepts_the_one_for_machines_of_ones_own(cloud: dict[str, Any]) -> None:
    derived = on_premises(cloud, "10.0.0.1", ["10.0.0.2", "10.0.0.3"], "me", "~/.ssh/key")
    config = prepare_config(derived)
    validate_config(config)
    assert config["provider"]["head_ip"] == "10.0.0.1"
    assert config["max_workers"] == 2


def test_both_are_set_up_and_started_alike(cloud: dict[str, Any]) -> None:
    derived = on_premises(cloud, "10.0.0.1", ["10.0.0.2"], "me", None)
    for key in ("setup_commands", "worker_start_ray_commands", "file_mounts", "cluster_name"):
        assert derived[key] == cloud[key]
    (start,) = [c for c in derived["head_start_ray_commands"] if "ray start" in c]
    assert "--num-cpus=0" in start  # no trial on the head, as in the cloud
    told = start.replace(" --num-cpus=0", "").replace(f"{EARLIER_AUTOSCALER} ", "")
    assert told in cloud["head_start_ray_commands"]


def test_what_the_cloud_file_must_say(cloud: dict[str, Any]) -> None:
    """Tokens, spot machines from none, pending trials, and that no secret stands in it."""
    text = FILE.read_text()
    assert "export RAY_AUTH_MODE=token" in text
    assert "export TUNE_MAX_PENDING_TRIALS_PG=" in text
    assert cloud["idle_timeout_minutes"]
    assert "cache_stopped_nodes" in cloud["provider"]
    (worker,) = [
        k for n, k in cloud["available_node_types"].items() if n != cloud["head_node_type"]
    ]
    assert worker["min_workers"] == 0
    assert worker["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    assert not [word for word in ("password=", "PASSWORD=", "SECRET", "AWS_ACCESS") if word in text]


def test_a_file_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_text("name: x\n")
    options = ["--head", "10.0.0.1", "--worker", "10.0.0.2", "--user", "me"]
    assert run(monkeypatch, "on-premises", str(tmp_path / "c.yaml"), *options) == 2
    assert "not a cluster file" in capsys.readouterr().err
    assert run(monkeypatch, "status", "x", "--cluster", str(tmp_path / "c.yaml")) == 2
    assert "is not a cluster file" in capsys.readouterr().err


def test_without_a_token_nothing_is_asked_of_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert run(monkeypatch, "logs", "x", "--cluster", str(FILE)) == 2
    assert "ray get-auth-token --generate" in capsys.readouterr().err


def test_slots_are_counted_machine_by_machine() -> None:
    """Two halves of different GPUs are no GPU."""
    machines = [Machine(cpus=0, gpus=0), Machine(cpus=4, gpus=1, count=3)]
    assert slots(machines, ResourcesConfig(cpus=1)) == 12
    assert slots(machines, ResourcesConfig(cpus=1, gpus=0.4)) == 6
    assert slots(machines, ResourcesConfig(cpus=3)) == 3


def test_what_no_machine_holds_is_refused() -> None:
    machines = [Machine(cpus=2, gpus=0), Machine(cpus=4, gpus=1, count=3)]
    require(machines, ResourcesConfig(cpus=4, gpus=1))
    with pytest.raises(UserError, match=r"resources\.gpus: 2 is not allowed; .* at most 1"):
        require(machines, ResourcesConfig(cpus=1, gpus=2))
    with pytest.raises(UserError, match=r"resources\.cpus: 5 is not allowed; .* at most 4"):
        require(machines, ResourcesConfig(cpus=5))


def test_host_keys_are_looked_at_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By ssh's own words: a key never seen is kept, another one in its place is not taken."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(HOST_KEYS, raising=False)
    known = f'UserKnownHostsFile="{tmp_path}/.longspan/known_hosts"'
    assert connection._host_key_options() == ["StrictHostKeyChecking=accept-new", known]
    monkeypatch.setenv(HOST_KEYS, "yes")
    assert connection._host_key_options() == ["StrictHostKeyChecking=yes", known]
    monkeypatch.setenv(HOST_KEYS, "no")
    assert connection._host_key_options()[1] == 'UserKnownHostsFile="/dev/null"'
    monkeypatch.setenv(HOST_KEYS, "off")
    with pytest.raises(UserError, match="LONGSPAN_HOST_KEYS: off is not allowed; allowed: accept"):
        connection._host_key_options()


@pytest.mark.parametrize(
    ("cidr", "said"),
    [
        ("203.0.113.7/32", "is nobody's; put the address there that you will come from"),
        ("0.0.0.0/0", "is open to 4,294,967,296; allowed: 65,536 at most"),
        ("::/0", "is no range of IPv4"),
        ("here", "is no range of IPv4"),
    ],
)
def test_whom_a_cluster_lets_in_has_to_be_said(tmp_path: Path, cidr: str, said: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(FILE.read_text().replace("203.0.113.7/32", f'"{cidr}"'))
    with pytest.raises(UserError, match=said) as no:
        lay(file)
    assert "\n" not in str(no.value)


def test_a_file_without_rules_or_of_another_cloud_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(FILE.read_text().replace("IpPermissions", "IpRules"))
    with pytest.raises(UserError, match=r"provider\.security_group: GroupName and IpPermissions"):
        lay(file)
    file.write_text(FILE.read_text().replace("type: aws", "type: local"))
    with pytest.raises(UserError, match="not a cluster file for AWS"):
        lay(file)
