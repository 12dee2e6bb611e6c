"""An error in one line, whatever it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from trainables.messages import named, one_line
from trainables.tasks.recall import Recall


def test_line_breaks_and_runs_of_spaces_are_one_space() -> None:
    assert one_line(OSError("disk\n  is \tfull\n")) == "disk is full"
    assert one_line("two\nlines") == "two lines"


def test_the_first_characters_are_kept() -> None:
    assert one_line(ValueError("a  " * 5), longest=4) == "a a "


def test_a_configuration_says_its_first_complaint() -> None:
    with pytest.raises(ValidationError) as caught:
        Recall.Config.model_validate({"lader": 3, "other": 4})
    assert one_line(caught.value) == "lader: this key is not known"


def test_of_somebody_elses_code_the_type_is_named() -> None:
    assert named(KeyError("x\ny")) == r"KeyError: 'x\ny'"
    assert named(RuntimeError("x\ny")) == "RuntimeError: x y"


def test_a_task_without_files_takes_none() -> None:
    config = Recall.Config()
    assert config.files is None
    with pytest.raises(ValueError, match=r"^data: x is not allowed; recall reads no file$"):
        config.with_files(Path("x"))
