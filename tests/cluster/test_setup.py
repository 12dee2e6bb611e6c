"""The setup commands of the cluster file, run by a shell in a home of their own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

FILE = Path(__file__).parents[2] / "cluster.yaml"

STAND_IN = """\
#!/bin/sh
echo "$(basename $0) $*" >> ~/asked
case "$*" in *"-m venv"*) mkdir -p ~/venv/bin; cp $0 ~/venv/bin/pip ;; esac
test ! -e ~/no_network
"""
"""For what would reach a package index."""


class Home:
    """A machine, as far as the setup commands see one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("sudo", "python3"):
            file = folder / "bin" / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(STAND_IN)
            file.chmod(0o755)
        (folder / ".ray").mkdir()
        (folder / ".ray" / "auth_token").write_text("0" * 64)
        (folder / "longspan").mkdir()
        for name in ("pyproject.toml", "constraints.txt"):
            (folder / "longspan" / name).write_text("one\n")

    def set_up(self) -> tuple[int, list[str]]:
        """Run the commands in their order.

        Returns:
            the exit code of the first that failed, or 0; and what was asked of the network
        """
        asked = self.folder / "asked"
        asked.write_text("")
        code = 0
        for command in yaml.safe_load(FILE.read_text())["setup_commands"]:
            environment = {
                "HOME": str(self.folder),
                "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            }
            code = code or subprocess.run(["bash", "-c", command], env=environment).returncode
        return code, asked.read_text().splitlines()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_bare_machine_is_installed_from_the_constraints(home: Home) -> None:
    code, asked = home.set_up()
    assert code == 0
    assert [line.split()[0] for line in asked] == ["sudo", "sudo", "python3", "pip"]
    assert "-c" in asked[-1]
    assert "constraints.txt" in asked[-1]


def test_a_machine_that_is_set_up_reaches_nothing_and_stays_as_it_is(home: Home) -> None:
    home.set_up()
    before = contents(home.folder)
    assert home.set_up() == (0, [])
    assert contents(home.folder) == before


def test_other_pins_are_installed(home: Home) -> None:
    home.set_up()
    (home.folder / "longspan" / "constraints.txt").write_text("two\n")
    code, asked = home.set_up()
    assert code == 0
    assert asked[-1].startswith("pip ")
    assert home.set_up() == (0, [])


def test_what_was_cut_off_is_begun_again(home: Home) -> None:
    (home.folder / "no_network").touch()
    assert home.set_up()[0] != 0
    (home.folder / "no_network").unlink()
    code, asked = home.set_up()
    assert code == 0
    assert asked[-1].startswith("pip ")


def test_token_and_secrets_are_for_their_owner_alone(home: Home) -> None:
    (home.folder / ".ray" / "auth_token").chmod(0o644)
    home.set_up()
    for name, mode in ((".ray/auth_token", 0o600), (".ray", 0o700), (".longspan", 0o700)):
        assert (home.folder / name).stat().st_mode & 0o777 == mode


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "asked"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
