"""What the documents name is there, and what is there is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trainables.models.cells import LAYERS
from trainables.models.front_ends import FRONT_ENDS
from trainables.models.hybrids import HYBRIDS
from trainables.models.positions import POSITIONS
from trainables.models.readouts import READOUTS
from trainables.models.residuals import RESIDUALS
from trainables.regimes import REGIMES

ROOT = Path(__file__).parents[1]
ARCHITECTURES = (ROOT / "docs" / "architectures.md").read_text()
KINDS = {
    kind
    for table in (LAYERS, FRONT_ENDS, POSITIONS, RESIDUALS, READOUTS, HYBRIDS, REGIMES)
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
    places = (models, tests, tests / "memory", ROOT)
    missing = {name for name in named if not any((place / name).exists() for place in places)}
    assert not missing


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("docs/*.md")), ROOT / "README.md"], ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"
