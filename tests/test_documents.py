"""What the documents name is there, and what is there is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from search.cli import app
from trainables.learning.optimisers import OPTIMISERS
from trainables.learning.schedules import SCHEDULES
from trainables.models.cells import LAYERS
from trainables.models.front_ends import FRONT_ENDS
from trainables.models.hybrids import HYBRIDS
from trainables.models.positions import POSITIONS
from trainables.models.readouts import READOUTS
from trainables.models.residuals import RESIDUALS
from trainables.models.starts import STARTS
from trainables.regimes import REGIMES

ROOT = Path(__file__).parents[1]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
ARCHITECTURES = (ROOT / "docs" / "architectures.md").read_text()
PATTERNS = {"trainables/models/cells/KIND.py", "trainables/tasks/KIND.py", "spaces/NAME.py"}
"""Files that a contributor is to write."""

KINDS = {
    kind
    for table in (
        LAYERS,
        FRONT_ENDS,
        POSITIONS,
        RESIDUALS,
        READOUTS,
        HYBRIDS,
        STARTS,
        REGIMES,
        OPTIMISERS,
        SCHEDULES,
    )
    for kind in table
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_remedy_stands_in_the_table(kind: str) -> None:
    assert f"`{kind}`" in ARCHITECTURES


def test_every_file_that_the_table_names_is_there() -> None:
    models, tests = ROOT / "trainables" / "models", ROOT / "tests" / "trainables" / "models"
    named = set(re.findall(r"`([\w./]+\.py)`", ARCHITECTURES))
    named |= set(re.findall(r"`([\w./]+\.py):?`?", ARCHITECTURES))
    assert len(named) > 30
    learning = ROOT / "tests" / "trainables" / "learning"
    places = (models, tests, tests / "memory", learning, ROOT / "trainables", ROOT)
    missing = {name for name in named if not any((place / name).exists() for place in places)}
    assert not missing


def mapped() -> list[str]:
    """Every path on the map: a root, and folders and files below the last one."""
    (drawn,) = re.findall(r"```\n(longspan/.*?)```", CONTRIBUTING, flags=re.DOTALL)
    found, root = [], ""
    for line in drawn.splitlines():
        place = line.split()[0]
        root = root if line.startswith(" ") else place
        names = re.findall(r"\w+\.py", line)
        found += [root + name for name in names or [place]] if place != root else [root]
    return found


def test_the_map_is_the_tree() -> None:
    """Every room is on it, and all that is on it is there."""
    there = {
        f"{file.parent.relative_to(ROOT)}/"
        for root in ("longspan", "search", "spaces", "trainables")
        for file in ROOT.glob(f"{root}/**/__init__.py")
    }
    assert {place for place in mapped() if place.endswith("/")} == there
    assert not [place for place in mapped() if not (ROOT / place).exists()]


def test_what_contributing_names_is_there() -> None:
    roots = ("search", "spaces", "trainables", "tests", "docs")
    named = re.findall(rf"`((?:{'|'.join(roots)})/[\w./]*)`", CONTRIBUTING)
    assert len(named) > 15
    assert not [path for path in named if not (ROOT / path).exists() and path not in PATTERNS]


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("docs/*.md")), ROOT / "README.md"], ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize(
    "page", [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))], ids=str
)
def test_no_table_is_cut_in_two(page: Path) -> None:
    """Behind an empty line a table begins anew: with a head, and dashes under it."""
    cut = re.findall(r"\|\n\n(\|.*)\n(?!\|[ :|-]+\n)", page.read_text())
    assert not cut


def test_every_command_stands_on_its_page() -> None:
    page = (ROOT / "docs" / "commands.md").read_text()
    rows = re.findall(r"^\| `longspan ([a-z\\|-]+)", page, flags=re.MULTILINE)
    named = [name for row in rows for name in row.split("\\|")]
    there = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert sorted(named) == sorted(there)
