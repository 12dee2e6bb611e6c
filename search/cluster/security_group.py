"""Who may reach a cluster in the cloud: a security group with the rules of the cluster file alone.

Ray makes one that opens ssh to the world, whatever the file says, unless it is given one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from search.errors import UserError
from trainables.messages import one_line

EXAMPLES = tuple(
    ipaddress.IPv4Network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
)
"""Addresses that nobody has (RFC 5737): one stands where the user's own belongs."""

WIDEST = 2**16
"""Addresses that a rule may open to."""

Rule = Mapping[str, Any]


def lay(file: Path) -> tuple[str, list[str]]:
    """Make the security group of a cluster file, or bring its rules to what the file says.

    Returns:
        its id, and the addresses that it is open to

    Raises:
        UserError: in one line, if the file says none or one open to all, or the cloud refuses.
    """
    config = _read(file)
    name, rules = _said(file, config)
    addresses = [_require_narrow(file, cidr) for rule in rules for cidr in _addresses(rule)]
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise UserError("security-group: boto3 is missing: pip install '.[cluster]'") from None
    try:
        ec2 = boto3.client("ec2", region_name=config["provider"].get("region"))
        return _upsert(ec2, config, name, rules), addresses
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"{file}: the cloud refuses: {one_line(error, 200)}") from None


def _read(file: Path) -> Mapping[str, Any]:
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{file}: {one_line(error)}") from None
    provider = config.get("provider") if isinstance(config, dict) else None
    if not isinstance(provider, dict) or provider.get("type") != "aws":
        raise UserError(f"{file}: not a cluster file for AWS (provider: type: aws)")
    return dict(config)


def _said(file: Path, config: Mapping[str, Any]) -> tuple[str, Sequence[Rule]]:
    said = config["provider"].get("security_group") or {}
    name, rules = said.get("GroupName"), said.get("IpPermissions")
    if not isinstance(name, str) or not isinstance(rules, list) or not rules:
        raise UserError(
            f"{file}: provider.security_group: GroupName and IpPermissions must be there, as in "
            "Longspan's own cluster.yaml"
        )
    return name, rules


def _addresses(rule: Rule) -> list[str]:
    ranges = rule.get("IpRanges") or [{}]
    return [found.get("CidrIp", found) for found in [*ranges, *rule.get("Ipv6Ranges", ())]]


def _require_narrow(file: Path, cidr: str) -> str:
    at = f"{file}: provider.security_group: {cidr}"
    try:
        network = ipaddress.IPv4Network(cidr)
    except (ValueError, TypeError):
        raise UserError(f"{at} is no range of IPv4; allowed: such as 198.51.100.7/32") from None
    if any(network.subnet_of(example) for example in EXAMPLES):
        raise UserError(f"{at} is nobody's; put the address there that you will come from")
    if network.num_addresses > WIDEST:
        raise UserError(f"{at} is open to {network.num_addresses:,}; allowed: {WIDEST:,} at most")
    return cidr


def _upsert(ec2: Any, config: Mapping[str, Any], name: str, rules: Sequence[Rule]) -> str:
    vpc = _vpc(ec2, config)
    filters = [{"Name": "group-name", "Values": [name]}, {"Name": "vpc-id", "Values": [vpc]}]
    there = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    if there:
        group, earlier = there[0]["GroupId"], there[0]["IpPermissions"]
        if earlier:
            ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=earlier)
    else:
        said = {"GroupName": name, "Description": "Longspan: each other, and who may use ssh"}
        group = ec2.create_security_group(VpcId=vpc, **said)["GroupId"]
    each_other = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[each_other, *rules])
    return str(group)


def _vpc(ec2: Any, config: Mapping[str, Any]) -> str:
    kinds = config.get("available_node_types", {}).values()
    subnets = [subnet for kind in kinds for subnet in kind["node_config"].get("SubnetIds", ())]
    if subnets:
        return str(ec2.describe_subnets(SubnetIds=subnets[:1])["Subnets"][0]["VpcId"])
    default = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not default:
        raise UserError("available_node_types: SubnetIds: needed where there is no default VPC")
    return str(default[0]["VpcId"])
