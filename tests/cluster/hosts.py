"""Three machines in one: network namespaces on a bridge, each with a home and sshd of its own.

What a host shares with the real machine is its files; its processes, network, home, shared memory
and temporary folder are its own. Killing all that runs in one is its loss.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import HANGS

BRIDGE = "longspan0"
SUBNET = "10.213.47"
HOME = Path(pwd.getpwuid(os.geteuid()).pw_dir)
LOCK = Path(tempfile.gettempdir(), f"{BRIDGE}.lock")
NEEDED = (
    "ip",
    "unshare",
    "nsenter",
    "setpriv",
    "sshd",
    "ssh",
    "ssh-keygen",
    "rsync",
    "bash",
    "mount",
)


def missing() -> str | None:
    """Why there can be no hosts here; None if there can."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    absent = [name for name in NEEDED if _which(name) is None]
    if absent:
        return f"needs {', '.join(absent)} (Debian: openssh-server rsync iproute2)"
    tried = subprocess.run(
        ["unshare", "--net", "--pid", "--mount", "--fork", "true"], capture_output=True, text=True
    )
    return f"no namespaces: {tried.stderr.strip()}" if tried.returncode else None


def _which(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


@dataclass(frozen=True)
class Host:
    """One machine.

    Attributes:
        process: what everything on the host descends from, as seen from outside
        link: its network's other end, outside
    """

    name: str
    ip: str
    folder: Path
    process: int
    link: str

    def processes(self) -> dict[int, str]:
        """The command lines of what runs on the host, by process id as seen from outside."""
        space = Path(f"/proc/{self.process}/ns/net").readlink()
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (entry / "ns" / "net").readlink() == space:
                    words = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(entry.name)] = words.decode().strip()
        return found

    def run(self, script: str) -> None:
        """Run a script among the host's files."""
        enter = ["nsenter", "--target", str(self.process), "--mount"]
        environment = os.environ | {"HOME": str(HOME)}
        subprocess.run([*enter, "bash", "-ec", script], check=True, env=environment)

    @contextlib.contextmanager
    def cut_off(self) -> Iterator[None]:
        """Nothing reaches it or comes from it during the block."""
        _ip("link", "set", self.link, "down")
        try:
            yield
        finally:
            _ip("link", "set", self.link, "up")


START = """\
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs {folder}/disk
mkdir -p {folder}/disk/upper {folder}/disk/work {folder}/disk/tmp
chmod 1777 {folder}/disk/tmp
mount -t overlay overlay \
    -o lowerdir={home},upperdir={folder}/disk/upper,workdir={folder}/disk/work {home}
mkdir -p /tmp/ray
mount --bind {folder}/disk/tmp /tmp/ray
ip link set lo up
ip route add default via {gateway}
hostname {name}
rm -rf {home}/.ray {home}/.longspan
mkdir -p -m 700 {home}/.ssh /run/sshd
cp {key}.pub {home}/.ssh/authorized_keys
printf 'case $- in *i*) ;; *) return;; esac\\n' > {home}/.bashrc
{prepare}
exec {sshd} -D -e -f /dev/null -h {key} -o StrictModes=no -o UsePAM=no -o PidFile=none \\
    -o AuthorizedKeysFile={home}/.ssh/authorized_keys -o PermitRootLogin=yes
"""


@contextlib.contextmanager
def three_hosts(folder: Path, prepare: str) -> Iterator[list[Host]]:
    """Three hosts, up until the block ends; then nothing of them is left.

    Args:
        folder: an empty one, for keys, overlays and logs
        prepare: shell commands run on each before its sshd, such as what its image would hold
    """
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    with contextlib.ExitStack() as stack:
        lock = stack.enter_context(LOCK.open("a"))
        fcntl.flock(lock, fcntl.LOCK_EX)  # names and addresses are those of any other run
        _ip("link", "delete", BRIDGE)  # of a run that was killed
        stack.callback(_ip, "link", "delete", BRIDGE)
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{SUBNET}.1/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        yield [
            stack.enter_context(_host(f"longspan-{n}", n, folder, key, prepare)) for n in (1, 2, 3)
        ]


@contextlib.contextmanager
def _host(name: str, number: int, folder: Path, key: Path, prepare: str) -> Iterator[Host]:
    ip, inside, outside = f"{SUBNET}.{number + 10}", "eth0", f"longspan{number}"
    where = folder / name
    (where / "disk").mkdir(parents=True)
    _ip("netns", "delete", name)
    _ip("link", "delete", outside)
    _ip("netns", "add", name)
    try:
        _ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
        _ip("link", "set", outside, "master", BRIDGE, "up")
        _ip("-n", name, "addr", "add", f"{ip}/24", "dev", inside)
        _ip("-n", name, "link", "set", inside, "up")
        script = START.format(
            folder=where,
            home=HOME,
            key=key,
            name=name,
            prepare=prepare,
            sshd=_which("sshd"),
            gateway=f"{SUBNET}.1",
        )
        enter = ["setpriv", "--pdeathsig", "KILL"]  # hosts go with the tests, however those end
        enter += ["ip", "netns", "exec", name, "unshare", "--pid", "--fork", "--kill-child"]
        enter += ["--mount", "--mount-proc", "--uts", "--ipc", "bash", "-c", script]
        with (where / "log").open("wb") as log:
            shell = subprocess.Popen(enter, stdout=log, stderr=log, start_new_session=True)
        try:
            _await_sshd(ip, shell, where / "log")
            yield Host(name, ip, where, shell.pid, outside)
        finally:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    finally:
        _ip("netns", "delete", name)


def _await_sshd(ip: str, shell: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + HANGS
    while True:
        try:
            socket.create_connection((ip, 22), timeout=1).close()
            return
        except OSError:
            if shell.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{ip} did not come up: {log.read_text()}") from None
            time.sleep(0.1)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode and "delete" not in arguments:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr}")
