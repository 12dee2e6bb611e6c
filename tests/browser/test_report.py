"""The report in a browser: pictures draw, tables sort, by night as by day, with no network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.results.review.page import page
from search.spec import read
from tests.search.review.conftest import made  # noqa: F401 - a fixture

CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt install chromium"),
]

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def written(made: SearchFolder) -> Path:  # noqa: F811 - the fixture
    file = made.path / "report.html"
    file.write_text(page(made, read(made.spec), Ledger(made), []), encoding="utf-8")
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pictures_draw_and_the_table_sorts(
    browser: sync_api.Browser, written: Path, scheme: str, tmp_path: Path
) -> None:
    context = browser.new_context(color_scheme=scheme, offline=True)
    context.set_default_timeout(120_000)
    sheet = context.new_page()
    said: list[str] = []
    sheet.on("pageerror", lambda error: said.append(str(error)))
    sheet.on(
        "request",
        lambda request: said.extend(
            [] if request.url.startswith(("file:", "data:", "blob:")) else [request.url]
        ),
    )
    sheet.goto(written.as_uri())
    pictures = sheet.locator("section.picture")
    assert pictures.count() >= 7
    assert sheet.locator("section.picture .main-svg").count() >= pictures.count()

    def column(place: int) -> list[str]:
        return sheet.locator(f"table.sortable tbody td:nth-child({place})").all_inner_texts()

    assert column(2)[0] == "32"
    sheet.get_by_role("button", name="trial", exact=True).click()
    assert column(1) == [str(number) for number in range(11)]
    sheet.get_by_role("button", name="trial", exact=True).click()
    assert column(1)[0] == "10"
    sheet.get_by_role("button", name="reach", exact=True).click()
    assert column(2)[-1] == "32"
    ground = sheet.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 26)"}[scheme]
    assert said == []
    context.close()


OVERLAPS = """() => [...document.querySelectorAll(".js-plotly-plot")].flatMap(plot => {
  const box = each => each.getBoundingClientRect();
  const across = (a, b) => a.left < b.right && b.left < a.right;
  const over = (a, b) => across(a, b) && a.top < b.bottom && b.top < a.bottom;
  const titles = [...plot.querySelectorAll("[class*=xtitle], .xtick text")].map(box);
  const keys = [...plot.querySelectorAll(".legend .legendtext")].map(box);
  return keys.flatMap(key => titles.filter(title => over(key, title)).map(() => plot.innerText));
})"""


@pytest.mark.parametrize("media", ["screen", "print"])
@pytest.mark.parametrize("width", [400, 700, 1200])
def test_no_legend_lies_over_a_title(
    browser: sync_api.Browser, written: Path, width: int, media: str
) -> None:
    """On a phone, on paper, on a desk."""
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    context.set_default_timeout(120_000)
    sheet = context.new_page()
    sheet.emulate_media(media=media)
    sheet.goto(written.as_uri())
    sheet.locator("section.picture .main-svg .legendtext").first.wait_for()
    assert sheet.evaluate("document.querySelectorAll('[class*=xtitle]').length") >= 7
    assert sheet.evaluate(OVERLAPS) == []
    context.close()
