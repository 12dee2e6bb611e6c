"""A search, its export and its certificate, with faults in the midst of each, against none.

    python -m benchmarks.faults [FAULT ...] [--to DIR]

Each fault befalls a run of its own; what is there in the end must be what a run in peace leaves:
every trial's outcome and every member of the certificate, field by field apart from times, and
exports that are whole. Nothing may be said by a traceback. Prints a table; exits with 1 if
anything was not met well.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import trainables
from benchmarks.chaos import _timeless
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.disk.mlflow_database import FILE, damage
from trainables.exports import exported

SPEC = """\
name: s
space: quick
tasks: [{kind: recall}]
ladder: {start: 4, stop: 8, members: 2, quorum: 2, sequences: 1500, test_sequences: 128}
search: {trials: 6, sampler: random, scheduler: none, seed: 3}
controls: off
"""
TRIALS = 6
CERTIFY = ("certify", "s", "--reliability", "0.5", "--confidence", "0.8", "--failures", "0")
EVER_CHANGING = ("started_ms", "ended_ms", "wall_seconds", "device_seconds", "seconds", "sha256")
HANGS = 600.0


class Faults:
    """Runs of one small search in folders of their own, beneath ``root``."""

    def __init__(self, root: Path) -> None:
        self.root, self.complaints = root, list[str]()
        self.spec = root / "s.yaml"
        self.spec.write_text(SPEC)
        self.peace = root / "peace"
        self._said = 0
        if not self.peace.exists():
            self.ends("search", str(self.spec), runs=self.peace)
            self.ends(*CERTIFY, runs=self.peace)

    def start(self, *words: str, runs: Path) -> subprocess.Popen[str]:
        """A command in a session of its own, its output in a file."""
        self._said += 1
        command = [str(Path(sys.executable).parent / "longspan"), *words, "--runs", str(runs)]
        with (self.root / f"{self._said}.log").open("w") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, text=True, start_new_session=True
            )

    def ends(self, *words: str, runs: Path, codes: tuple[int, ...] = (0,)) -> float:
        """Run a command to its end; the seconds that it took."""
        started = time.monotonic()
        self.ended(self.start(*words, runs=runs), codes)
        return time.monotonic() - started

    def ended(self, process: subprocess.Popen[str], codes: tuple[int, ...]) -> None:
        """Wait for a command; complain of another code, a traceback, or none at all."""
        try:
            code = process.wait(HANGS)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            strike(process, signal.SIGKILL)
        said = (self.root / f"{self._said}.log").read_text(errors="replace")
        if code not in codes or "Traceback" in said:
            self.complaints.append(f"{process.args}: {code}: {said[-300:]}")

    def copy(self, name: str) -> Path:
        """A copy of the finished search."""
        return shutil.copytree(self.peace, self.root / name, ignore=_sockets)

    def compare(self, runs: Path) -> None:
        """Complain of trials that are not as in peace, and of a database that is not whole."""
        found, expected = outcome(runs), outcome(self.peace)
        for number in expected:
            if found.get(number) != expected[number]:
                self.complaints.append(f"{runs.name}: trial {number} differs")
        if complaints := Ledger(SearchFolder(runs, "s")).complaints:
            self.complaints += complaints
        if damage(runs / FILE) is not None:
            self.complaints.append(f"{runs.name}: MLflow's database is damaged")

    def until(self, process: subprocess.Popen[str], runs: Path, trials: int) -> None:
        """Wait until so many trials have ended."""
        while process.poll() is None:
            ledger = Ledger(SearchFolder(runs, "s")) if (runs / "s").is_dir() else None
            if ledger is not None and ledger.ended >= trials:
                return
            time.sleep(0.1)


def _sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not os.path.exists(os.path.join(folder, name))]  # noqa: PTH110, PTH118 - of plain names


def outcome(runs: Path) -> dict[int, Any]:
    """What became of each trial, without times and the workers that it lost."""
    return {n: _timeless(r.to_json()) for n, r in Ledger(SearchFolder(runs, "s")).records.items()}


def strike(process: subprocess.Popen[str], how: signal.Signals) -> None:
    """Send a signal to all processes of a command's session."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[3]) == process.pid:
                os.kill(int(stat.parent.name), how)
    process.poll()


def exports(faults: Faults) -> int:
    """Killed at ten moments; what is there under its name is whole, and a second try completes."""
    seconds = faults.ends("export", "s", "--to", str(faults.root / "whole"), runs=faults.peace)
    for number in range(10):
        to = faults.root / f"export-{number}"
        process = faults.start(
            "export", "s", "--top", "3", "--to", str(to), "--runs", str(faults.peace),
            runs=faults.peace,
        )  # fmt: skip
        time.sleep(seconds * (0.55 + 0.05 * number))
        strike(process, signal.SIGKILL)
        process.wait()
        for folder in to.glob("[0-9]*") if to.exists() else ():
            if not exported.read(folder).checked:
                faults.complaints.append(f"{folder}: is not whole")
            trainables.load(folder)
        faults.ends("export", "s", "--top", "3", "--to", str(to / "again"), runs=faults.peace)
    faults.compare(faults.peace)
    return 10


def certificates(faults: Faults) -> int:
    """Killed at four moments, each time gone on with; its members are those in peace."""
    runs = faults.copy("certify")
    shutil.rmtree(runs / "s" / "certificates")
    struck = 0
    for solved in (0, 1, 2, 3):
        process = faults.start(*CERTIFY, runs=runs)
        while process.poll() is None:
            members = list(runs.glob("s/certificates/seed-0/*/members/*.json"))
            if len(members) >= solved and (runs / "s" / "certificates").exists():
                time.sleep(0.5 * solved)
                break
            time.sleep(0.05)
        struck += process.poll() is None
        strike(process, signal.SIGKILL)
        process.wait()
    faults.ends(*CERTIFY, runs=runs, codes=(0, 1))
    if certificate(runs) != certificate(faults.peace):
        faults.complaints.append("the certificate is another")
    return struck


def certificate(runs: Path) -> Any:
    """The certificate, without times."""
    (file,) = runs.glob("s/certificates/seed-0/*/certificate.json")
    return _untimed(json.loads(file.read_text()))


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _untimed(v) for k, v in value.items() if k not in EVER_CHANGING}
    return [_untimed(entry) for entry in value] if isinstance(value, list) else value


def resumes(faults: Faults) -> int:
    """A search and three resumes of it, killed with all their processes."""
    runs, command = faults.root / "resume", ("search", str(faults.spec))
    for trials in (1, 2, 3, 4):
        process = faults.start(*command, runs=runs)
        faults.until(process, runs, trials)
        strike(process, signal.SIGKILL)
        process.wait()
        command = ("resume", "s")
    faults.ends("resume", "s", runs=runs)
    faults.compare(runs)
    return 4


def databases(faults: Faults) -> int:
    """Killed ten times while MLflow's tables are made; then they are made."""
    runs = faults.root / "database"
    runs.mkdir()
    make = (
        "from pathlib import Path; from search.recording.whole_database import make_whole; "
        f"make_whole(Path({str(runs / FILE)!r}))"
    )
    struck = 0
    for number in range(10):
        with subprocess.Popen([sys.executable, "-c", make], start_new_session=True) as process:
            while process.poll() is None and not list(runs.glob(f".{FILE}.*.new")):
                time.sleep(0.01)
            time.sleep(0.15 * number)
            struck += process.poll() is None
            process.kill()
        if (runs / FILE).exists():
            faults.complaints += [found for found in (damage(runs / FILE),) if found]
            (runs / FILE).unlink()
    if subprocess.run([sys.executable, "-c", make], check=False).returncode:
        faults.complaints.append("MLflow's database could not be made after the kills")
    return struck


def signals(faults: Faults) -> int:
    """A driver that is told to end (SIGTERM, SIGHUP) does, and goes on when it is resumed.

    One that is stopped with all its processes for a while goes on by itself.
    """
    for how in (signal.SIGTERM, signal.SIGHUP):
        runs = faults.root / how.name
        process = faults.start("search", str(faults.spec), runs=runs)
        faults.until(process, runs, 1)
        process.send_signal(how)
        faults.ended(process, (130,))
        faults.ends("resume", "s", runs=runs)
        faults.compare(runs)
    for name, seconds in (("all", 20.0), ("driver", 20.0)):
        runs = faults.root / f"stopped-{name}"
        process = faults.start("search", str(faults.spec), runs=runs)
        faults.until(process, runs, 1)
        for each in (signal.SIGSTOP, signal.SIGCONT):
            if name == "all":
                strike(process, each)
            else:
                process.send_signal(each)
            time.sleep(seconds if each is signal.SIGSTOP else 0)
        faults.ended(process, (0,))
        faults.compare(runs)
    return 4


DELETED = (
    ("s/spec.yaml", "s/search.json", "s/outcomes/00000.parquet", "s/study.journal"),
    (FILE, "s/trials/00000/record.json", "s/encoding"),
)
"""What goes at once while a search runs."""


def deletions(faults: Faults) -> int:
    """Files that go while a search runs: it ends well or in one line, and a resume completes it."""
    for number, names in enumerate(DELETED):
        runs = faults.root / f"deleted-{number}"
        process = faults.start("search", str(faults.spec), runs=runs)
        faults.until(process, runs, 2)
        for gone in (runs / name for name in names):
            shutil.rmtree(gone) if gone.is_dir() else gone.unlink(missing_ok=True)
        faults.ended(process, (0, 2))
        faults.ends("resume", "s", runs=runs)
        faults.compare(runs)
    return sum(map(len, DELETED))


def memory(faults: Faults) -> int:
    """/dev/shm of 64 and of 8 MiB: the search is as in peace, or is refused in one line."""
    for size in (64, 8):
        runs = faults.root / f"shm-{size}"
        words = (
            f"mount -t tmpfs -o size={size}m tmpfs /dev/shm && exec {sys.executable} -m search.cli"
        )
        words = words.replace("-m search.cli", "-c 'from search.cli import main; main()'")
        command = ["unshare", "-m", "sh", "-c", f"{words} search {faults.spec} --runs {runs}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANGS, check=False)
        print(f"/dev/shm of {size} MiB: {done.returncode}: {done.stderr[-200:]}", flush=True)
        if "Traceback" in done.stderr or done.returncode not in (0, 2):
            faults.complaints.append(f"/dev/shm of {size} MiB: {done.returncode}: {done.stderr}")
        elif done.returncode == 0:
            faults.compare(runs)
    return 2


FAULTS: dict[str, Callable[[Faults], int]] = {
    each.__name__: each
    for each in (exports, certificates, resumes, databases, signals, deletions, memory)
}


def main() -> int:
    """The faults that are asked for, or all of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=", ".join(FAULTS))
    parser.add_argument("--to", type=Path, help="a folder; a temporary one without it")
    asked = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as temporary:
        root = (asked.to or Path(temporary)).absolute()
        root.mkdir(parents=True, exist_ok=True)
        faults = Faults(root)
        for name in asked.faults or FAULTS:
            started, before = time.monotonic(), len(faults.complaints)
            tried = FAULTS[name](faults)
            print(f"| {name} | {tried} | {time.monotonic() - started:.0f} s |", flush=True)
            for complaint in faults.complaints[before:]:
                print(f"NOT AS IN PEACE: {name}: {complaint}", flush=True)
        bad = len(faults.complaints)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
