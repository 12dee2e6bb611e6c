"""`docs/add_a_layer.md` does what it says: its files are written down and run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from tests.search.conftest import longspan
from tests.trainables.models import test_layer_contract as contract
from trainables.models.cells import LAYERS
from trainables.plugins import load_plugins

PAGE = Path("docs/add_a_layer.md").absolute()
FILES = ("decay.py", "against_lstm.yaml", "spec.yaml", "test_decay.py")


def blocks() -> list[str]:
    return re.findall(r"```(?:python|yaml)\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's files, in the order in which it shows them."""
    folder = tmp_path_factory.mktemp("page")
    for name, content in zip(FILES, blocks(), strict=True):
        assert f"`{name}`" in PAGE.read_text()
        (folder / name).write_text(content)
    return folder


@pytest.fixture(scope="module")
def layer(folder: Path) -> Iterator[str]:
    """The page's layer, in the table for as long as the tests of this file run."""
    kinds, path = dict(LAYERS), list(sys.path)
    load_plugins(["decay"], [folder])
    yield "decay"
    LAYERS.clear()
    LAYERS.update(kinds)
    sys.path[:] = path
    del sys.modules["decay"]


def test_the_layer_is_short() -> None:
    code = [line for line in blocks()[0].splitlines() if line.strip()]
    assert len(code) < 30


def test_the_layer_keeps_the_contract_of_layers(layer: str) -> None:
    """The checks that every shipped layer runs."""
    contract.test_no_gradient_from_the_future(layer)
    for length in (1, 2, 63):
        contract.test_a_prefix_answers_as_the_whole(layer, length)
        for dtype in (contract.torch.float32, contract.torch.bfloat16):
            contract.test_runs_and_learns_at_any_length(layer, length, dtype)
    contract.test_runs_under_autocast(layer)
    contract.test_makes_its_tensors_where_its_weights_are(layer)
    contract.test_forward_is_the_scan_of_step(layer)
    contract.test_rows_do_not_see_each_other(layer)
    contract.test_gradients_reach_every_parameter(layer)
    contract.test_all_that_matters_is_in_the_state_dict(layer)
    contract.test_forward_draws_nothing(layer)
    contract.test_configuration_round_trips(layer)
    contract.test_state_is_counted(layer)
    contract.test_flops_are_those_of_the_products(layer)


def test_the_check_runs(folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(folder)])}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_decay.py"],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.slow
def test_the_search_runs_and_what_it_finds_is_verified(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another folder and in fresh processes: driver, workers and loading find the plugin.

    The first trial is the layer's. The YAML space is deleted before the search is resumed.
    """
    content = yaml.safe_load((folder / "spec.yaml").read_text())
    content["search"]["start_with"] = [
        {"model/cell/kind": "decay", "model/hidden_size": 16, "training/learning_rate": 0.02}
    ]
    content["constraints"] = {"max_parameters": 100_000}
    spec = folder / "with_start.yaml"
    spec.write_text(yaml.safe_dump(content, sort_keys=False))
    done = longspan("search", str(spec), "--runs", str(tmp_path))
    assert done.returncode == 0, done.stderr + done.stdout
    assert "0 proposals refused by constraints" in done.stdout
    records = Ledger(SearchFolder(tmp_path, "my-layer")).records
    assert records[0].parameters["model/cell/kind"] == "decay"
    assert "error" not in {record.ended_by for record in records.values()}

    (folder / "against_lstm.yaml").unlink()
    done = longspan("resume", "my-layer", "--runs", str(tmp_path))
    assert done.returncode == 0, done.stderr
    best = tmp_path / "best"
    arguments = ("--top", "2", "--to", str(best), "--runs", str(tmp_path))
    done = longspan("export", "my-layer", *arguments)
    assert done.returncode == 0, done.stderr
    (exported,) = best.glob("*-trial-00000")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path.cwd()), str(folder)]))
    done = longspan("verify", str(exported), "--plugin", "decay")
    assert "lag" in done.stdout, done.stderr
