"""The user's own space or sampler that does not come back in the middle of a search."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest

from search import spec as specs
from search.checking import unanswered
from search.checking.unanswered import Watch, own_modules, where
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.proposing.searcher import StudySearch
from search.proposing.study import restore_study
from search.recording.parent import pictures
from search.results.review import story
from spaces import Space
from spaces.quick import quick
from tests.search.conftest import COMMAND, write_spec
from tests.search.review.trials import spec
from tests.search.written_down import written_down
from tests.waiting import HANGS

HINT = "longspan resume mine"

MODULE = """\
import time
from pathlib import Path
from spaces.quick import quick

HERE = Path(__file__).parent

def space(trial):
    searching = (HERE / "runs" / "small" / "trials" / "00000").exists()
    if searching and trial.number == 1 and not (HERE / "mended").exists():
        (HERE / "hangs").touch()
        time.sleep(9999)
    return quick(trial)
"""

SPEC = """\
name: small
space: own_hang:space
tasks: [{kind: recall}]
ladder: {start: 4, stop: 4, members: 1, quorum: 1, sequences: 64, test_sequences: 64}
search: {trials: 2, sampler: random, scheduler: none, seed: 3, concurrency: 1}
controls: off
"""


def test_the_line_names_whose_call_it_is_and_how_to_go_on() -> None:
    said: list[str] = []
    told = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        told.set()

    with Watch({__name__}, say, HINT, seconds=0.01)():
        assert told.wait(HANGS)
    (line,) = said
    name = "test_the_line_names_whose_call_it_is_and_how_to_go_on"
    assert line.startswith(f"{__name__}:{name}, line ")
    assert "has not answered for 0 s" in line
    assert "Ctrl-C ends the search, what was measured is kept" in line
    assert f"`{HINT}` goes on" in line


def test_what_comes_back_is_not_told() -> None:
    said: list[str] = []
    with Watch({"mine"}, said.append, HINT, seconds=HANGS)():
        waiting = threading.enumerate()[-1]
    waiting.join(HANGS)
    assert not said
    assert where(sys._getframe(), {"mine", "other"}) == "mine or other"


@contextmanager
def at_ctrl_c(handler: object) -> Iterator[None]:
    before = signal.signal(signal.SIGINT, handler)  # type: ignore[arg-type]  # a handler
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_a_call_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tune's handler, which only notes that the search is to end, is not asked; then it is back."""
    heard: list[int] = []

    def tune(number: int, _: object) -> None:
        heard.append(number)

    def hang() -> None:
        with Watch({"mine"}, print, HINT)():
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait(HANGS)

    monkeypatch.setattr(unanswered, "A_MOMENT", -1.0)
    with at_ctrl_c(tune):
        with pytest.raises(KeyboardInterrupt):
            hang()
        assert signal.getsignal(signal.SIGINT) is tune
    assert not heard


def test_ctrl_c_in_a_call_that_is_over_in_a_moment_is_tunes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which puts back the handler before its own; that stays."""
    heard: list[int] = []

    def tune(number: int, _: object) -> None:
        heard.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    monkeypatch.setattr(unanswered, "A_MOMENT", HANGS)
    with at_ctrl_c(tune):
        with Watch({"mine"}, print, HINT)():
            os.kill(os.getpid(), signal.SIGINT)
            while not heard:
                time.sleep(0.01)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_whose_calls_are_watched() -> None:
    assert not own_modules(spec())
    search = spec().search.model_copy(update={"sampler": "theirs:make"})
    own = spec().model_copy(update={"space": "mine.deep:space", "plugins": ["p"], "search": search})
    assert own_modules(own) == {"mine.deep", "theirs", "p"}


def test_every_call_of_space_and_sampler_is_watched(tmp_path: Path) -> None:
    """Of the sampler's three: when it is made, when it is asked, when a trial has ended."""
    inside: list[bool] = []
    called: list[str] = []

    @contextmanager
    def watched() -> Iterator[None]:
        inside.append(True)
        yield
        inside.pop()

    def asked(name: str) -> None:
        called.append(name)
        assert inside

    class Own(optuna.samplers.RandomSampler):
        def sample_independent(self, *words: object) -> object:
            asked("sampled")
            return super().sample_independent(*words)  # type: ignore[arg-type]

        def after_trial(self, *words: object) -> None:
            asked("ended")

    def make(_: int) -> Own:
        asked("made")
        return Own(seed=0)

    def space(trial: optuna.Trial) -> object:
        asked("space")
        return quick(trial)

    own: Space = space  # type: ignore[assignment]
    folder = SearchFolder(tmp_path, "small")
    folder.create(SPEC)
    ledger = Ledger(folder)
    study = restore_study(folder.journal, "small", quick, ledger)
    searcher = StudySearch(own, study, ledger, make, 1, watched=watched)
    searcher.suggest("one")
    searcher.end("one", "error", "no matter")
    assert {*called} == {"made", "sampled", "space", "ended"}
    assert not inside


def test_the_report_of_a_running_search_does_not_ask_the_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made in another thread than the search's; `longspan report` asks it."""
    folder, asked = written_down(tmp_path), []
    monkeypatch.setattr(story, "_never_tried", lambda *_: asked.append(1) or "")
    pictures.report(spec().model_copy(update={"space": "mine:space"}), folder, [])
    assert not asked
    pictures.report(spec(), folder, [])
    assert asked


@pytest.mark.slow
def test_ctrl_c_ends_a_search_whose_space_hangs_and_resume_goes_on(tmp_path: Path) -> None:
    (tmp_path / "own_hang.py").write_text(MODULE)
    path, runs = write_spec(tmp_path, SPEC), tmp_path / "runs"
    log = tmp_path / "log"
    with log.open("w") as file:
        searching = subprocess.Popen(
            [str(COMMAND), "search", str(path), "--runs", str(runs)], stdout=file, stderr=file
        )
        while not (tmp_path / "hangs").exists():
            assert searching.poll() is None, log.read_text()
            time.sleep(0.1)
        time.sleep(2 * unanswered.A_MOMENT)
        searching.send_signal(signal.SIGINT)
        assert searching.wait(HANGS) == 130, log.read_text()
    assert "Stopped. Go on with: longspan resume small" in log.read_text()
    assert specs.read(runs / "small" / "spec.yaml").space == "own_hang:space"
    (tmp_path / "mended").touch()
    words = ["resume", "small", "--runs", str(runs)]
    subprocess.run([str(COMMAND), *words], check=True, capture_output=True, timeout=HANGS)
    records = Ledger(SearchFolder(runs, "small")).records
    assert [record.finished for record in records.values()] == [True, True]
