"""Plotly's pictures as PNGs: every kind is drawn, and what is not known is refused."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest

from search.results.review import still
from search.results.review.figures import KINDS, figure
from search.results.review.still import png
from tests.search.review.conftest import MADE
from tests.search.review.trials import spec, trial

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("kind", KINDS)
def test_every_picture_of_the_report_is_drawn(kind: str) -> None:
    found = png(figure(kind, MADE, spec(), None, top=5), kind)
    assert found.startswith(PNG)
    assert len(found) > 5000


def test_every_point_is_drawn_hollow_or_filled_as_in_plotly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a member did not solve is hollow, and nothing is left out."""
    drawn: dict[bool, int] = {True: 0, False: 0}
    plot = still.Axes.plot

    def counted(axes: still.Axes, x: list[float], *rest: object, **how: object) -> object:
        if "mfc" in how:
            drawn[how["mfc"] == "white"] += len(x)
        return plot(axes, x, *rest, **how)

    monkeypatch.setattr(still.Axes, "plot", counted)
    png(figure("members_by_rung", [trial(0, 16)], spec(), 0, top=1), "members")
    assert drawn == {True: 2, False: 4}  # two members: solved at 8 and 16, not at 32


def test_what_would_be_drawn_wrong_is_refused() -> None:
    with pytest.raises(ValueError, match="heatmap: cannot be drawn"):
        png(go.Figure(go.Heatmap(z=[[1, 2]])), "heat")
