"""MLflow's pages in a browser, from the link that ``longspan ui`` prints."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.disk.record import Record
from search.recording.tracker import Tracker
from search.spec import read
from tests.search.conftest import COMMAND
from tests.search.review.conftest import search_of
from tests.search.review.trials import trial
from tests.waiting import HANGS, answers

CHROMIUM = shutil.which("chromium")
SLOW_PAGE = 60_000
"""Milliseconds: MLflow's pages are large, and the machine may be busy."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt install chromium"),
]

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

TRIALS = [
    trial(0, 8),
    replace(trial(1, 32, "lstm"), ended_ms=2),
    replace(trial(2, 16, "rnn", ended_by="pruned"), ended_ms=3),
    replace(trial(3, 0, ended_by="error", error="RuntimeError: no"), ended_ms=4),
]


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What ``ui`` printed, while its server answers."""
    folder = search_of(TRIALS, tmp_path_factory.mktemp("pages") / "runs")
    record_all(folder, TRIALS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(COMMAND), "ui", "made", "--runs", str(folder.runs), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        printed = re.search(r"http://\S+", server.stdout.readline())
        assert printed is not None
        deadline = time.monotonic() + HANGS
        while not answers(port):
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield printed[0]
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0


def record_all(folder: SearchFolder, records: list[Record]) -> None:
    tracker = Tracker(read(folder.spec), folder)
    for record in records:
        tracker.send(record)
    tracker.end(list(Ledger(folder).records.values()), finished=True)
    tracker.disconnect()


@pytest.fixture
def sheet(link: str) -> Iterator[sync_api.Page]:
    """The page at the link, in a browser that has never been there."""
    with sync_api.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 900})
        page.set_default_timeout(SLOW_PAGE)
        page.goto(link)
        page.get_by_role("link", name="≥16 · rnn 8").first.wait_for()
        yield page
        browser.close()


def test_the_best_is_on_screen_without_a_click(sheet: sync_api.Page) -> None:
    """The longest reach first, with what it is; nothing of language models."""
    names = sheet.locator(".ag-row a").all_inner_texts()
    assert names == ["32 · lstm 8", "≥16 · rnn 8", "8 · gru 8", "failed by error · gru 8", "made"]
    first = " ".join(sheet.locator('.ag-row[row-index="0"]').all_inner_texts()).split()
    assert {"1", "32", "lstm"} <= {*first}
    heads = sheet.locator(".ag-header-cell").all_inner_texts()
    assert {"trial", "reach", "progress", "ended_by", "cell"} <= {head.strip() for head in heads}
    assert sheet.get_by_text("Model training", exact=True).is_visible()


def test_every_column_is_seen_at_1500_pixels(sheet: sync_api.Page) -> None:
    """Once MLflow's Assistant is closed, which opens itself in a browser that is new to it."""
    sheet.set_viewport_size({"width": 1500, "height": 900})
    sheet.locator('button[aria-label="Close"]').first.click()
    last = sheet.locator(".ag-header-cell", has_text="training_gflop")
    last.wait_for()
    place, table = last.bounding_box(), sheet.locator(".ag-header").first.bounding_box()
    assert place is not None
    assert table is not None
    assert place["x"] + place["width"] <= table["x"] + table["width"] <= 1500
    name = last.get_by_text("training_gflop", exact=True).first
    assert name.evaluate("it => it.scrollWidth <= it.clientWidth || !it.clientWidth")


def test_a_stopped_trial_is_not_red_and_a_failed_one_is(sheet: sync_api.Page) -> None:
    assert not is_red(sheet, 1)
    assert not is_red(sheet, 2)
    assert is_red(sheet, 3)


def test_the_search_tells_its_story(sheet: sync_api.Page) -> None:
    """Its description is a table, whose links lead to the trials."""
    sheet.get_by_role("link", name="made", exact=True).click()
    table = sheet.locator("table", has_text="architecture")
    table.wait_for()
    assert "| # |" not in sheet.inner_text("body")
    place = table.get_by_role("link", name="1", exact=True).get_attribute("href")
    sheet.goto(f"{sheet.url.partition('#')[0]}{place}")
    sheet.get_by_text("32 · lstm 8").first.wait_for()


def test_pictures_leave_what_stands_beside_them_on_the_screen(sheet: sync_api.Page) -> None:
    """In a window of 1500 pixels; MLflow shows a picture as wide as it is."""
    sheet.set_viewport_size({"width": 1500, "height": 900})
    sheet.locator('button[aria-label="Close"]').first.click()
    sheet.get_by_role("link", name="made", exact=True).click()
    picture = sheet.locator("img[src*='forgetting_curves']")
    picture.wait_for(state="attached")
    sheet.wait_for_function("img => img.naturalWidth > 0", arg=picture.element_handle())
    identity = re.search(r"runs/([0-9a-f]{32})", sheet.url)
    assert identity is not None
    beside = sheet.get_by_text(identity[1], exact=True).first.bounding_box()
    assert beside is not None
    assert beside["x"] + beside["width"] <= 1480


def test_a_trial_says_what_its_members_showed_and_at_which_lag(sheet: sync_api.Page) -> None:
    """From a row with one click; the latest success has its lag beside it."""
    sheet.get_by_role("link", name="32 · lstm 8").first.click()
    sheet.get_by_text("Metrics (", exact=False).first.wait_for()
    for name, value in (("lag", "64"), ("success", "0.5")):
        row = sheet.get_by_role("row", name=f"by_sequence/{name}_member_0")
        row.wait_for()
        assert row.inner_text().split()[-1] == value


def is_red(page: sync_api.Page, row: int) -> bool:
    """Whether the sign beside a run's time of birth is red."""
    sign = page.locator(f'.ag-row[row-index="{row}"] [col-id*="Date"] svg').first
    colour = sign.evaluate("sign => getComputedStyle(sign).color")
    red, green, _ = map(int, re.findall(r"\d+", colour)[:3])
    return red > green
