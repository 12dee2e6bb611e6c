"""`cluster.yaml` against an emulated EC2 and S3: what `ray up` asks for, as the file says it.

Machines are entries of the emulator, so ssh and rsync are stand-ins that note what they are told.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer
from ray.autoscaler._private.providers import _get_node_provider

from search.cluster.bucket_mirror import Mirror, fetch
from search.cluster.security_group import lay
from search.errors import UserError
from tests.cluster.test_mirror import contents, runs
from tests.waiting import HANGS

__all__ = ["runs"]

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]

ROOT = Path(__file__).parents[2]
REGION = "us-west-2"
ADDRESS = "100.64.7.9/32"

STAND_IN = """\
#!/bin/sh
echo "$(basename $0) $*" >> ~/sent
for word in "$@"; do
    case "$word" in */ray-bootstrap-*) cp "$word" ~/bootstrap.yaml ;; esac
done
"""


@dataclass(frozen=True)
class Cloud:
    """An emulated cloud.

    Attributes:
        home: of whoever runs `ray up`
        file: the cluster file, its lines marked EDIT edited
    """

    ec2: Any
    home: Path
    file: Path

    def ray(self, *words: str) -> str:
        """What a command prints; it must succeed."""
        path = f"{self.home}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["ray", *words],
            env={**os.environ, "HOME": str(self.home), "PATH": path},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=HANGS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def machines(self) -> dict[str, Any]:
        """What runs, by the kind of the file that it is of."""
        said = self.ec2.describe_instances()["Reservations"]
        found = [machine for part in said for machine in part["Instances"]]
        running = [machine for machine in found if machine["State"]["Name"] == "running"]
        return {tags(machine)["ray-user-node-type"]: machine for machine in running}


def tags(of: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in of["Tags"]}


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud in which the image and the profile of the file are there, and nothing runs."""
    home = tmp_path_factory.mktemp("home")
    (home / "bin").mkdir()
    for name in ("ssh", "rsync"):
        (home / "bin" / name).write_text(STAND_IN)
        (home / "bin" / name).chmod(0o755)
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text("0" * 64)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            host, port = server.get_host_and_port()
            patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
            patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
            patch.setenv("AWS_DEFAULT_REGION", REGION)
            patch.setenv("HOME", str(home))
            patch.setenv("RAY_AUTH_MODE", "token")
            patch.delenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", raising=False)
            ec2 = boto3.client("ec2")
            image = ec2.register_image(Name="ubuntu", RootDeviceName="/dev/sda1")["ImageId"]
            boto3.client("iam").create_instance_profile(InstanceProfileName="longspan")
            text = (ROOT / "cluster.yaml").read_text()
            text = text.replace("ami-00000000000000000", image)
            file = home / "cluster.yaml"
            file.write_text(text.replace("203.0.113.7/32", ADDRESS))
            group, _ = lay(file)
            file.write_text(file.read_text().replace("sg-00000000000000000", group))
            yield Cloud(ec2, home, file)
    finally:
        server.stop()


@pytest.fixture(scope="module")
def up(emulated: Cloud) -> Cloud:
    """The cluster after `ray up`, and after its head has asked for a worker."""
    emulated.ray("up", "-y", "--no-config-cache", str(emulated.file))
    sent_to_head = yaml.safe_load((emulated.home / "bootstrap.yaml").read_text())
    provider = _get_node_provider(
        sent_to_head["provider"], sent_to_head["cluster_name"], use_cache=False
    )
    asked = sent_to_head["available_node_types"]["gpu"]["node_config"]
    provider.create_node(asked, {"ray-node-type": "worker", "ray-user-node-type": "gpu"}, 1)
    return emulated


@pytest.mark.parametrize("kind", ["head", "gpu"])
def test_machines_are_what_the_file_says(up: Cloud, kind: str) -> None:
    config = yaml.safe_load(up.file.read_text())
    said = config["available_node_types"][kind]["node_config"]
    machine = up.machines()[kind]
    assert machine["InstanceType"] == said["InstanceType"]
    assert machine["ImageId"] == said["ImageId"]
    assert machine["IamInstanceProfile"]["Arn"].endswith("instance-profile/longspan")
    assert machine.get("InstanceLifecycle") == ("spot" if kind == "gpu" else None)
    assert [group["GroupId"] for group in machine["SecurityGroups"]] == said["SecurityGroupIds"]
    assert machine["Placement"]["AvailabilityZone"] in config["provider"]["availability_zone"]
    (subnet,) = up.ec2.describe_subnets(SubnetIds=[machine["SubnetId"]])["Subnets"]
    assert subnet["AvailabilityZone"] == machine["Placement"]["AvailabilityZone"]
    assert tags(machine).items() >= {"project": "longspan", "ray-cluster-name": "longspan"}.items()


@pytest.mark.parametrize("kind", ["head", "gpu"])
def test_a_volume_ends_with_its_machine(up: Cloud, kind: str) -> None:
    (disk,) = up.machines()[kind]["BlockDeviceMappings"]
    assert disk["Ebs"]["DeleteOnTermination"]
    (volume,) = up.ec2.describe_volumes(VolumeIds=[disk["Ebs"]["VolumeId"]])["Volumes"]
    assert (volume["Size"], volume["VolumeType"], volume["Encrypted"]) == (150, "gp3", True)
    assert tags(volume)["project"] == "longspan"


def test_resources_are_read_off_the_kind_of_machine(up: Cloud) -> None:
    """A worker's; on the head no trial runs, whatever it has."""
    sent_to_head = yaml.safe_load((up.home / "bootstrap.yaml").read_text())
    kinds = sent_to_head["available_node_types"]
    assert kinds["gpu"]["resources"].items() >= {"CPU": 4, "GPU": 1}.items()
    assert kinds["gpu"]["resources"]["memory"] > 2**33
    assert kinds["head"]["resources"] == {"CPU": 0}


def test_ssh_is_open_to_the_address_of_the_file_and_not_to_the_world(up: Cloud) -> None:
    (group,) = up.machines()["head"]["SecurityGroups"]
    each_other = ("-1", None, [], [group["GroupId"]])
    assert open_to(up, group["GroupId"]) == [("tcp", 22, [ADDRESS], []), each_other]
    others = up.ec2.describe_security_groups()["SecurityGroups"]
    assert "0.0.0.0/0" not in str([found["IpPermissions"] for found in others])


def open_to(cloud: Cloud, group: str) -> list[tuple[str, int | None, list[str], list[str]]]:
    (found,) = cloud.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    rules = sorted(found["IpPermissions"], key=lambda rule: rule["IpProtocol"], reverse=True)
    return [
        (
            rule["IpProtocol"],
            rule.get("FromPort"),
            [to["CidrIp"] for to in rule["IpRanges"]],
            [to["GroupId"] for to in rule["UserIdGroupPairs"]],
        )
        for rule in rules
    ]


def test_another_address_takes_the_place_of_the_first(emulated: Cloud, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(emulated.file.read_text().replace("Name: longspan\n", "Name: other\n"))
    first, _ = lay(other)
    other.write_text(other.read_text().replace(ADDRESS, "100.64.8.0/24"))
    assert lay(other) == (first, ["100.64.8.0/24"])
    assert open_to(emulated, first)[0][2] == ["100.64.8.0/24"]


def test_a_cloud_that_refuses_is_one_line(emulated: Cloud, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    config = yaml.safe_load(emulated.file.read_text())
    config["available_node_types"]["gpu"]["node_config"]["SubnetIds"] = ["subnet-0"]
    other.write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=r"other\.yaml: the cloud refuses: .*subnet-0") as no:
        lay(other)
    assert "\n" not in str(no.value)


def test_ray_down_leaves_no_machine_and_no_volume(up: Cloud) -> None:
    """The last of those that want it up."""
    up.ray("down", "-y", str(up.file))
    assert up.machines() == {}
    assert up.ec2.describe_volumes()["Volumes"] == []


def test_what_goes_into_a_bucket_comes_back(
    emulated: Cloud, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over S3's own protocol, with the credentials of the environment."""
    boto3.client("s3").create_bucket(
        Bucket="longspan", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    uri = "s3://longspan/runs"
    copy = Mirror(runs, uri)
    assert copy.update()
    (runs / "x" / "study.journal").write_text("1\n2\n")
    (runs / "x" / "trials" / "00000" / "weights" / "0").unlink()
    assert copy.update()
    (tmp_path / "new").mkdir()
    fetch(uri, tmp_path / "new")
    assert contents(tmp_path / "new") == contents(runs)
    assert (tmp_path / "new" / "mlflow.db").stat().st_size > 0
