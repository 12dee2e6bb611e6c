"""``longspan judge``: a shipped layer, one's own, and those that cheat, hang, fail or end it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from search.certifying.judging import process
from search.certifying.judging.judged import judge as judged_here
from search.certifying.judging.request import VERDICTS, Request
from tests.search.conftest import in_process
from trainables.models.cells import LAYERS

LAYER = """
import os, sys, time
from typing import Literal
import torch
from trainables.models.cells.rnn import Rnn

class Mine(Rnn):
    class Config(Rnn.Config):
        kind: Literal["mine"] = "mine"

    def forward(self, x):
        {body}

LAYERS = {{"mine": Mine}}
"""

HONEST = "return super().forward(x)"
CHEAT = "return super().forward(x) + x.mean(1, keepdim=True)"
FAILS = "raise KeyError('mine')"
LEAVES = "sys.exit(0)"

TASK = """\
tasks: [{kind: recall, alphabet: 2}]
ladder: {start: 2, stop: 64, members: 1, quorum: 1, test_sequences: 64, sequences: 6400}
certify: {reliability: 0.5, failures: 0}
"""
SET = ["--set", "model/hidden_size=8", "--set", "training/learning_rate=1e-2"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current one, with a task in it; tables and modules are as before in the end."""
    (tmp_path / "task.yaml").write_text(TASK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    layers, modules = dict(LAYERS), set(sys.modules)
    yield tmp_path
    LAYERS.clear()
    LAYERS.update(layers)
    for name in set(sys.modules) - modules:
        if name.startswith("own_"):
            del sys.modules[name]


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Judged in this process, which has no limits: without the seconds that another one starts."""

    def judged(request: Request) -> Mapping[str, Any]:
        said: dict[str, Any] = {"reason": None, "layer": request.layer}
        asked = request.model_copy(update={"folder": str(folder / "judging")})
        judged_here(asked, lambda **found: said.update(found))
        return {**said, "exit_code": VERDICTS[said["verdict"]]}

    monkeypatch.setattr(process, "judge", judged)


def judge(layer: str, *options: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and the JSON, which says the same code."""
    done = in_process("judge", layer, "--json", *options)
    found = json.loads(done.stdout)
    assert found["exit_code"] == done.returncode == VERDICTS[found["verdict"]]
    assert done.stderr.count("\n") == (done.returncode == 2)
    return done.returncode, found


def write(folder: Path, body: str, name: str = "own_layer") -> str:
    (folder / f"{name}.py").write_text(LAYER.format(body=body))
    return f"{name}:mine"


@pytest.mark.usefixtures("here")
def test_a_shipped_layer_has_a_reach_and_a_certificate() -> None:
    code, found = judge("lstm", "--task", "task.yaml", "--stop", "4", *SET)
    assert (code, found["reach"], found["censored"], found["ended_by"]) == (0, 4, True, "top")
    assert [(r["lag"], r["passed"]) for r in found["rungs"]] == [(2, True), (4, True)]
    assert (found["certificate"]["lag"], found["fresh_members"]) == (4, [4] * 5)
    assert found["certificate"]["plan"]["members"] == 5
    assert found["configuration"]["model"]["hidden_size"] == 8
    assert found["sizes"]["parameters"] == found["members"][0]["parameters"]


@pytest.mark.usefixtures("here")
def test_a_layer_of_ones_own_by_its_class(folder: Path) -> None:
    write(folder, HONEST)
    options = ("--task", "{kind: recall, alphabet: 2}", "--start", "2", "--stop", "2")
    more = ("--members", "1", "--sequences", "2000", "--no-certify", *SET)
    code, found = judge("own_layer:Mine", *options, *more)
    assert (code, found["reach"], found.get("certificate")) == (0, 2, None)
    assert found["configuration"]["model"]["cell"]["kind"] == "mine"


@pytest.mark.usefixtures("here")
def test_one_that_reads_the_future_is_refused(folder: Path) -> None:
    code, found = judge(write(folder, CHEAT), "--task", "task.yaml")
    assert (code, found["stage"]) == (3, "ladder")
    assert "change with later inputs" in found["reason"]
    assert "reach" not in found


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("body", [FAILS, LEAVES])
def test_one_whose_own_code_fails_is_told(body: str, folder: Path) -> None:
    code, found = judge(write(folder, body), "--task", "task.yaml")
    assert code == 5
    assert found["reason"].startswith(("KeyError", "SystemExit"))


@pytest.mark.usefixtures("here")
def test_one_that_learns_nothing_fails() -> None:
    options = ("--task", "task.yaml", "--sequences", "64", "--set", "training/learning_rate=1e-9")
    code, found = judge("rnn", *options, "--set", "model/hidden_size=2")
    assert (code, found["reach"], found["ended_by"]) == (1, 0, "failed_rung")
    assert "certificate" not in found


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("layer", "options", "says"),
    [
        ("gruu", [], "layer: 'gruu' is not known; allowed: "),
        ("own_none:mine", [], "layer: 'own_none' cannot be imported"),
        ("own_layer:other", [], "'own_layer' has no 'other' in LAYERS; allowed: mine"),
        ("gru", ["--set", "model/hidden=8"], "--set: model.hidden: this key is not known"),
        ("gru", ["--set", "model/cell/kind=lstm"], "model/cell/kind is the layer"),
        ("gru", ["--set", "model"], "--set: 'model' is not allowed; PATH=VALUE"),
        ("gru", ["--set", "model/depth=2", "--set", "model/depth/x=2"], "--set: a path stands"),
        ("gru", ["--stop", "1"], "ladder.stop: 1 is not allowed"),
        ("gru", ["--memory", "0.1"], "--memory: 0.1 is not allowed"),
        ("gru", ["--task", "recal"], "'recal' is not known"),
        ("gru", ["--task", "none.yaml"], "none.yaml: no such file"),
        ("gru", ["--task", "{tasks: [recall, copying]}"], "a layer is judged on one task"),
    ],
)
def test_what_is_not_as_it_should_be_is_one_line(
    layer: str, options: list[str], says: str, folder: Path
) -> None:
    write(folder, HONEST)
    code, found = judge(layer, "--task", "task.yaml", *options)
    assert code == 2
    assert says in found["reason"]


def _heard(*lines: str, seconds: float, ended: bool = False) -> tuple[dict[str, Any], bool]:
    told, tell = os.pipe()
    os.write(tell, "".join(lines).encode())
    if ended:
        os.close(tell)
    try:
        return process.heard(told, seconds)
    finally:
        os.close(told)
        if not ended:
            os.close(tell)


def test_what_was_said_in_time_counts() -> None:
    said = ('{"stage": "layer", "reach": 2}\n', '{"reach": 4}\n')
    known = {"stage": "layer", "reach": 4}
    assert _heard(*said, seconds=0) == (known, False)
    assert _heard(*said, '{"verdict": "holds"}\n', seconds=0)[0]["verdict"] == "holds"
    assert _heard(*said, '{"reach": 8', seconds=9999, ended=True) == (known, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "options", "verdict", "says"),
    [
        ("time.sleep(9999)", ["--seconds", "1"], "limit", "within 1 s"),
        ("os._exit(0)", [], "error", "it ended its process: exit code 0"),
        ("os.kill(os.getpid(), 11)", [], "error", "it ended its process: Segmentation fault"),
        ("return torch.zeros(len(x), 2**36)", [], "limit", "memory ran out"),
        (CHEAT, [], "refused", "change with later inputs"),
        (HONEST, ["--stop", "2", "--no-certify", *SET], "holds", None),
    ],
)
def test_in_a_process_of_its_own(
    body: str, options: list[str], verdict: str, says: str | None, folder: Path
) -> None:
    """Whatever a layer does to its process, there is JSON, and this one goes on."""
    code, found = judge(
        write(folder, f"print('noise'); {body}"), "--task", "task.yaml", "--memory", "4", *options
    )
    assert (code, found["verdict"]) == (VERDICTS[verdict], verdict)
    assert found["reason"] == says or says in found["reason"]
    assert found["limits"] == {"seconds": 1 if "--seconds" in options else 600, "memory": 4}
