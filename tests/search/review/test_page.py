"""The page and the command that writes it; the same as JSON; and the same from Python."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import plotly.graph_objects as go
import pytest

import longspan
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.results.review.figures import KINDS
from search.results.review.page import page
from search.spec import read as read_spec
from tests.search.conftest import in_process
from tests.search.review.conftest import MADE, search_of
from tests.search.review.trials import trial


class Read(HTMLParser):
    """What a browser would show, and what it would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.fetched: list[str] = []
        self.inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.inside):
            self.texts.append(data)


def read(page: Path) -> Read:
    found = Read()
    found.feed(page.read_text(encoding="utf-8"))
    return found


def test_a_reach_of_nothing_says_why(tmp_path: Path) -> None:
    """In the terminal's words; and no column stands there empty."""
    failed, stopped = trial(0, 0), trial(1, 0, "rnn", ended_by="pruned")
    folder = search_of([failed, stopped], tmp_path / "runs")
    html = page(folder, read_spec(folder.spec), Ledger(folder), [])
    assert [html.count(f">{words}</td>") for words in ("below 8", "–", "none")] == [1, 1, 0]
    assert ">why<" not in html


def test_the_report_is_one_page_that_fetches_nothing(made: SearchFolder) -> None:
    done = in_process("report", "made", "--runs", str(made.runs))
    assert done.returncode == 0, done.stderr
    assert "over 32 steps" in " ".join(done.stdout.split())
    found = read(made.path / "report.html")
    text = " ".join(" ".join(found.texts).split())
    assert found.fetched == []
    assert "over 32 steps" in text
    assert "RuntimeError: <b>no</b>" in text
    assert text.count("gru 8") >= 5
    for title in ("Forgetting curves", "What carries reach", "Reach against its price"):
        assert title in text
    assert f"longspan certify made --runs {made.runs}" in text


def test_it_is_written_elsewhere_on_request(made: SearchFolder, tmp_path: Path) -> None:
    page = tmp_path / "elsewhere" / "page.html"
    done = in_process("report", "made", "--runs", str(made.runs), "--to", str(page))
    assert done.returncode == 0, done.stderr
    assert page.exists()
    assert not (made.path / "report.html").exists()


def test_a_damaged_record_is_named_on_the_page(made: SearchFolder) -> None:
    (made.trial(3) / "record.json").write_text("{")
    assert in_process("report", "made", "--runs", str(made.runs)).returncode == 0
    assert "trials/00003/record.json" in " ".join(read(made.path / "report.html").texts)


def test_a_search_without_trials_has_a_page(tmp_path: Path, made: SearchFolder) -> None:
    folder = SearchFolder(tmp_path / "runs", "fresh")
    folder.create(made.spec.read_text().replace("name: made", "name: fresh"))
    assert in_process("report", "fresh", "--runs", str(made.runs)).returncode == 0
    assert "No trial has passed" in " ".join(read(folder.path / "report.html").texts)


def test_status_as_json_is_every_trial_with_its_parameters(made: SearchFolder) -> None:
    done = in_process("status", "made", "--runs", str(made.runs), "--json")
    found = json.loads(done.stdout)
    assert (found["name"], found["state"], found["ended"]) == ("made", "stopped", len(MADE))
    assert len(found["trials"]) == len(MADE)
    best = found["trials"][0]
    assert (best["reach"], best["model/cell/kind"]) == (32, "gru")
    assert found["trials"][-1]["error"] == "RuntimeError: <b>no</b>"


def test_as_many_trials_are_shown_as_are_asked_for(made: SearchFolder) -> None:
    done = in_process("status", "made", "--runs", str(made.runs), "--top", "2")
    assert len(re.findall(r"^ *\d+=? +\d+ +≥? ?\d+ ", done.stdout, re.MULTILINE)) == 2


def test_from_python(made: SearchFolder, tmp_path: Path) -> None:
    found = longspan.open("made", made.runs)
    assert repr(found) == "<longspan search 'made': stopped, 11 trials ended>"
    assert found.best is not None
    assert found.best.reach == found.trials["reach"].max() == 32
    assert found.outcomes.num_rows == sum(len(record.rows) for record in MADE)
    cells = found.outcomes.to_pandas().groupby("trial")["model/cell/kind"].unique()
    assert cells[1].tolist() == ["lstm"]
    assert cells[2].tolist() == ["gru"]
    assert set(found.forgetting_curves["trial"]) == {r.number for r in MADE if r.report.curve}
    assert found.spec.ladder.stop == 64
    page = read(found.report(tmp_path / "page.html"))
    assert f"longspan certify made --runs {made.runs}" in page.texts


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_drawn(kind: str, made: SearchFolder) -> None:
    figure = longspan.open("made", made.runs).figure(kind)
    assert isinstance(figure, go.Figure)
    assert len(figure.data) > 0


@pytest.mark.parametrize(
    ("kind", "of", "names"),
    [
        ("pie", None, "forgetting_curves"),
        ("reach_by_choice", "colour", "model/cell/kind"),
        ("members_by_rung", 99, "99"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    kind: str, of: str | int | None, names: str, made: SearchFolder
) -> None:
    with pytest.raises(longspan.UserError, match=names) as error:
        longspan.open("made", made.runs).figure(kind, of)
    assert "\n" not in str(error.value)


def test_a_search_that_is_not_there_is_one_line(made: SearchFolder) -> None:
    with pytest.raises(longspan.UserError, match="known: made"):
        longspan.open("mode", made.runs)
