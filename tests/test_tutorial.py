"""`docs/tutorial.md` is run, block by block, as somebody would who follows it."""

from __future__ import annotations

import ast
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

import trainables
from tests.waiting import HANGS

PAGE = Path("docs/tutorial.md").absolute()
PORT = "5000"

pytestmark = pytest.mark.slow


def blocks() -> Iterator[tuple[str | None, str]]:
    """Every block with the name of its file, which stands in the line before; None: typed."""
    pattern = r"(?:^`([\w.]+)`:\n\n)?^```(\w+)\n(.*?)^```"
    for name, language, content in re.findall(pattern, PAGE.read_text(), re.DOTALL | re.MULTILINE):
        assert (language == "sh") == (not name), content
        yield name or None, content


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tutorial")


@pytest.fixture(scope="module")
def port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def environment() -> dict[str, str]:
    """With Python and the commands of this environment first, as once it is activated."""
    own = {k: v for k, v in os.environ.items() if k not in ("LONGSPAN_RUNS", "MLFLOW_TRACKING_URI")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**own, "PATH": path, "PYTHONWARNINGS": "ignore"}


def typed(command: str, folder: Path) -> str:
    """What a command prints."""
    done = subprocess.run(
        ["sh", "-e", "-c", command],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=HANGS,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextmanager
def serving(command: str, folder: Path, port: str) -> Iterator[None]:
    """A server in a terminal of its own, for as long as the block."""
    log = folder / "server.log"
    with log.open("w") as file:
        server = subprocess.Popen(
            ["sh", "-e", "-c", command],
            cwd=folder, env=environment(), stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    try:
        while True:
            assert server.poll() is None, log.read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=10):
                    break
            except OSError:
                time.sleep(0.3)
        yield
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def test_the_page_is_followed_to_its_end(folder: Path, port: str) -> None:
    """Every file is written and every command typed; the answers are those of `predict`."""
    said: dict[str, str] = {}
    commands = []
    for name, content in blocks():
        if name is not None:
            (folder / name).write_text(content.replace(f":{PORT}/", f":{port}/"))
        else:
            commands.append(content.replace(f"--port {PORT}", f"--port {port}"))
    *before, server, last = commands
    assert "models serve" in server
    assert last == "python ask.py\n"
    for command in before:
        said[command.split()[1]] = typed(command, folder)
    assert "Certificate" in next(folder.glob("best/*/CARD.md")).read_text()

    (best,) = folder.glob("best/1-*")
    model = trainables.load(best)
    rows = pd.read_parquet(folder / "photos.parquet")
    assert rows.strip.map(len).nunique() > 10
    after, at_once, streamed = said["predict.py"].splitlines()
    assert after.startswith(f"right after a gap of {model.lag} steps: 0.")
    assert float(after.split()[-1]) > 0.85
    label = model.predict(rows[:1])[0]
    assert streamed == f"by the stream: {label} and at once: {label}"
    assert at_once.startswith("right at once: ")

    shutil.rmtree(best)  # what is served is MLflow's own copy
    with serving(server, folder, port):
        answers = [ast.literal_eval(line) for line in typed(last, folder).splitlines()]
    shares = model.predict_proba(rows[:3], gap=8)
    for answer, share in zip(answers, shares, strict=True):
        assert [answer["flower"], answer["temple"]] == pytest.approx(share.tolist(), rel=1e-4)
    assert [answer["label"] for answer in answers] == model.predict(rows[:3], gap=8).tolist()
