"""`benchmarks.gpu`: what it needs, what it says without it, and what it measures on a device."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu, on_a_device

REPOSITORY = Path(__file__).parents[2]
ALONE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {absent!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import torch
torch.cuda.is_available = lambda: False
from benchmarks.gpu import main
sys.exit(main([]))
"""
OURS = ("ray", "optuna", "mlflow", "pyarrow", "pandas", "scipy", "safetensors", "yaml", "typer")


def test_it_needs_torch_numpy_jaxtyping_and_pydantic_alone() -> None:
    """And says so in one line where there is no device."""
    code = ALONE.format(absent=OURS)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.stdout == "benchmarks.gpu: no CUDA device; nothing was measured\n"
    assert (done.returncode, done.stderr) == (gpu.NO_DEVICE, "")


def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "jaxtyping" else found(name)
    )
    assert gpu.main([]) == gpu.MISSING
    said = "benchmarks.gpu: jaxtyping: not installed; pip install torch numpy jaxtyping pydantic\n"
    assert capsys.readouterr().out == said


def test_a_wrong_answer_is_an_exit_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(on_a_device, "there_is_one", lambda: True)
    monkeypatch.setattr(on_a_device, "report", lambda *asked: ["gru"])
    assert gpu.main([]) == gpu.WRONG
    assert capsys.readouterr().out.startswith("benchmarks.gpu: gru: ")


def test_answers_and_gradients_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    assert on_a_device.difference("rnn", "cpu") == 0
    made = on_a_device.made
    layers = iter([made("rnn", "cpu"), made("rnn", "cpu")])
    monkeypatch.setattr(on_a_device, "made", lambda *_: next(layers))
    other = made("rnn", "cpu")
    with torch.no_grad():
        next(iter(other.parameters())).mul_(1.1)
    layers = iter([made("rnn", "cpu"), other])
    assert on_a_device.difference("rnn", "cpu") > on_a_device.CLOSE


def test_the_longest_that_fits_is_the_last_before_one_that_does_not() -> None:
    tried = list[int]()

    def fits(length: int) -> bool:
        tried.append(length)
        return length <= 5000

    assert on_a_device.longest_that_fits(fits, 1024, 2**20) == 4096
    assert tried == [1024, 2048, 4096, 8192]
    assert on_a_device.longest_that_fits(lambda _: True, 1024, 3000) == 2048
    assert on_a_device.longest_that_fits(lambda _: False, 1024, 3000) == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_row_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--steps", "64", "--batch", "4", "--most-trials", "2", "--longest", "256"]
    assert gpu.main(["gru", "min_gru", *small]) == 0
    *_, gru, min_gru = capsys.readouterr().out.splitlines()
    for row in (gru, min_gru):
        _, _, *numbers, longest = row.split()
        assert all(float(number) > 0 for number in numbers)
        assert int(longest) == 256
