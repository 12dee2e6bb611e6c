"""What a process and all it has started listen on, as the kernel tells it."""

from __future__ import annotations

import contextlib
import ipaddress
import struct
from pathlib import Path

LISTENS = "0A"


def listening(process: int) -> set[tuple[str, int]]:
    """Addresses and ports of the TCP sockets that are listened on; IPv4 in IPv6 as IPv4."""
    own = {inode for member in [process, *descendants(process)] for inode in _sockets(member)}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/self/net", table).read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == LISTENS and words[9] in own:
                address, _, port = words[1].partition(":")
                found.add((_readable(address), int(port, 16)))
    return found


def descendants(process: int) -> set[int]:
    """Everything that a process has started, and what that has started."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(entry.name)] = int(_after_name(entry / "stat").split()[1])
    found: set[int] = set()
    while more := {p for p, parent in parents.items() if parent in found | {process}} - found:
        found |= more
    return found


def _after_name(stat: Path) -> str:
    return stat.read_text().rpartition(")")[2]


def _sockets(process: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for link in Path("/proc", str(process), "fd").iterdir():
            with contextlib.suppress(OSError):
                name = str(link.readlink())
                if name.startswith("socket:["):
                    found.add(name[8:-1])
    return found


def _readable(words: str) -> str:
    """From the kernel's hexadecimal, in which each four bytes are a number of this machine."""
    numbers = [int(words[n : n + 8], 16) for n in range(0, len(words), 8)]
    address = ipaddress.ip_address(struct.pack(f"={len(numbers)}I", *numbers))
    inner = getattr(address, "ipv4_mapped", None)
    return str(inner or address)
