"""Exported configurations: a folder that gives the model back and can be measured again.

``config.yaml`` what it is and on which task · ``model.safetensors`` the weights ·
``outcome.json`` the claim and how it was measured · ``encoding.json`` what turns a row into its
input and an output into an answer; folders of the version before lack it ·
``CARD.md`` and a picture for people ·
``SHA256SUMS`` what the four first are to be; a folder of the version before lacks it.
Only safetensors and YAML by the safe loader are read: nothing in a folder from someone else runs.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from pydantic import ValidationError, field_validator
from torch import Tensor

from trainables.config import TrialConfig
from trainables.encoding.encoding import Encoding
from trainables.encoding.identity import DataIdentity
from trainables.exports.foreign import (
    parsed_json,
    parsed_yaml,
    require_claim,
    require_fitting,
    require_shapes,
)
from trainables.exports.predicting import Predictor
from trainables.files import sums, weights
from trainables.measure.reliability import CONFIDENCE, trials_needed
from trainables.messages import one_line
from trainables.parts import Config, OneOf
from trainables.plugins import load_plugins, require_loaded
from trainables.randomness import Streams
from trainables.tasks import TASKS, make_task
from trainables.tasks.held_out import TEST_SHARE
from trainables.tasks.task import (
    ClassAnswer,
    NumberAnswer,
    ProtocolConfig,
    Reals,
    Symbols,
    Task,
    TaskConfig,
)
from trainables.training.held_out.evaluation import Tally, evaluate
from trainables.training.memory import host_bytes

CONFIG, WEIGHTS, OUTCOME = "config.yaml", "model.safetensors", "outcome.json"
ENCODING = "encoding.json"

VERIFY_SEQUENCES = 2000
"""Fresh sequences of one verification, where the task generates them."""


log = logging.getLogger(__name__)


class ExportedConfig(Config):
    """``config.yaml`` of an exported folder.

    Attributes:
        plugins: modules that bring its layers or its task; never imported on a file's word
        inputs: what one step of a sequence is, so that the model can be built without the data
        answer: what the model gives at a scored step
        class_symbols: the symbol that each class is, where the read-out needs to know
    """

    later: ClassVar[frozenset[str]] = frozenset({"class_symbols"})

    plugins: list[str] = []
    configuration: TrialConfig
    task: Annotated[TaskConfig, OneOf(TASKS)]
    inputs: Symbols | Reals
    answer: ClassAnswer | NumberAnswer
    class_symbols: tuple[int, ...] = ()

    @field_validator("plugins")
    @classmethod
    def _given(cls, plugins: list[str]) -> list[str]:
        """Ahead of the parts that they bring."""
        require_loaded(plugins)
        return plugins


@dataclass(frozen=True)
class Exported:
    """An exported folder, read.

    Attributes:
        outcome: what ``outcome.json`` holds; ``lag`` and ``success`` are the claim
        encoding: how rows become inputs and outputs answers; None in a folder that keeps none
        checked: whether the folder says what its files are to be; they are that, then
    """

    config: ExportedConfig
    outcome: dict[str, Any]
    weights: Path
    checked: bool
    encoding: Encoding | None = None

    @property
    def lag(self) -> int:
        """The lag at which success is claimed."""
        return int(self.outcome["lag"])

    @property
    def trial(self) -> int:
        """The trial it was measured in."""
        return int(self.outcome["trial"])

    @property
    def success(self) -> float:
        """The success rate claimed."""
        return float(self.outcome["success"])

    @property
    def learned(self) -> str:
        """What is claimed, in words of Markdown: a dependency, or where none is known a length.

        Under the papers' own protocols, and where rows are answered at their steps and no column
        says how far back each answer's evidence lies, an answer may need less than the lag.
        """
        steps = f"**{'at least ' if self.outcome.get('censored') else ''}{self.lag} steps**"
        task = self.config.task
        is_length = isinstance(task, ProtocolConfig) and task.protocol == "paper"
        if self.encoding is not None and self.encoding.each_step:
            is_length = "lag" not in self.encoding.columns
        if is_length:
            return f"Learned sequences of {steps} (a length: how far back answers need is not said)"
        return f"Learned a dependency of {steps}"

    @property
    def data(self) -> DataIdentity | None:
        """Which data it was measured on; None if generated, or the folder does not say."""
        kept = self.outcome.get("data")
        try:
            return None if kept is None else DataIdentity.model_validate(kept)
        except ValidationError as error:
            raise ValueError(
                f"{self.weights.with_name(OUTCOME)}: data: {one_line(error)}"
            ) from None

    def task_config(self, data: Path | str | None = None) -> TaskConfig:
        """The task it was measured on; ``data`` stands in for the path in the configuration.

        Raises:
            ValueError: if ``data`` is given and the task reads none; or it is not, and the file
                that the folder names is not in the current one, or an address.
        """
        task = self.config.task
        if data is not None:
            return task.with_files(data)
        named = task.files
        if named is None:
            return task
        if not isinstance(named, Path):
            raise ValueError(
                f"data: {named}, which it was measured on, is an address, and none is opened on a"
                " folder's word; give it as --data ADDRESS"
            )
        if named.is_absolute():
            return task
        if not named.exists():
            raise ValueError(
                f"data: {str(named)!r}, which it was measured on, is not in the current folder; "
                "give it as --data FILE"
            )
        return task.with_files(named.absolute())

    def model(self) -> Predictor:
        """The model with its weights, ready to answer; the task's data is not needed.

        Raises:
            ValueError: in one line, if the weights are damaged, or not this configuration's.
        """
        config = self.config.configuration.model
        try:
            require_shapes(config, self.config, self.weights, self.weights.with_name(CONFIG))
        except OSError as error:
            raise ValueError(_unreadable(self.weights, error)) from None
        tensors = self._tensors()
        with torch.random.fork_rng(devices=[]):  # first weights are drawn, and then replaced
            model = Predictor(config, self.config, self.encoding, self.lag)
        try:
            model.load_state_dict(tensors)
        except RuntimeError as error:
            reason = one_line(error)
            raise ValueError(
                f"{self.weights}: not this configuration's weights: {reason}"
            ) from None
        return model.eval()

    def _tensors(self) -> dict[str, Tensor]:
        try:
            checked = sums.check(self.weights.parent, [WEIGHTS])
            tensors, carried = weights.read_checked(self.weights)
        except OSError as error:
            raise ValueError(_unreadable(self.weights, error)) from None
        if not checked and not carried:
            log.warning("%s: these weights carry no checksum; taken as they are", self.weights)
        return tensors


def _unreadable(file: Path, error: OSError) -> str:
    return f"{file}: these weights cannot be read: {one_line(error)}"


def read(folder: Path) -> Exported:
    """Read an exported folder.

    Raises:
        ValueError: in one line, if a file is missing or is not what it should be.
    """
    config_file, outcome_file = folder / CONFIG, folder / OUTCOME
    try:
        config = ExportedConfig.model_validate(parsed_yaml(config_file))
    except ValidationError as error:
        raise ValueError(f"{config_file}: {one_line(error)}") from None
    outcome = parsed_json(outcome_file)
    require_claim(outcome, outcome_file)
    checked = sums.check(folder, [CONFIG, OUTCOME])
    encoding = _encoding(folder / ENCODING, outcome.get("encoding_sha256"))
    if encoding is not None:
        require_fitting(encoding, config, config.task.kind, folder / ENCODING)
    return Exported(config, outcome, folder / WEIGHTS, checked, encoding)


def _encoding(file: Path, expected: str | None) -> Encoding | None:
    """The encoding in ``file``, which is the one that the outcome names."""
    if expected is None:
        return None
    try:
        encoding = Encoding.model_validate(parsed_json(file))
    except ValidationError as error:
        raise ValueError(f"{file}: {one_line(error)}") from None
    if encoding.digest != expected:
        raise ValueError(
            f"{file}: damaged, or edited: its SHA-256 is {encoding.digest[:12]}, not the"
            f" {expected[:12]} that was trained with ({OUTCOME})"
        )
    return encoding


def load(folder: str | Path, plugins: Sequence[str] = ()) -> Predictor:
    """The model in an exported folder, as an `nn.Module` with its weights.

    ``model.predict(rows)`` answers on rows as the user has them. Whoever trains on calls
    ``model(inputs, scored)`` with inputs (B, T) of symbols or (B, T, F) of numbers, encoded, and
    the steps (B, S) to answer at; it gives (B, S, C).

    Args:
        folder: as ``longspan export`` left it
        plugins: modules with layers or tasks of one's own, which are imported; what a folder
            asks for is not unless it is named here

    Raises:
        ValueError: in one line, if a file is missing or is not what it should be.
    """
    load_plugins(plugins)
    return read(Path(folder)).model()


def task_to_verify(exported: Exported, data: Path | str | None = None) -> Task:
    """The task that the claim is measured on again, its rows as the export's encoding has them.

    Raises:
        ValueError: in one line, if the data cannot be read or is none of the export's: of another
            number of features, with other classes or symbols, or of too few rows.
    """
    config = exported.task_config(data)
    try:
        task = make_task(config, exported.encoding)
        held_out = task.split("test").distinct_sequences(exported.lag)
    except ValueError as error:
        raise ValueError(one_line(error)) from None
    own = exported.config
    if (task.inputs, task.answer) != (own.inputs, own.answer):
        raise ValueError(
            f"{exported.weights.with_name(CONFIG)}: task: {task} shows {task.inputs} and asks for"
            f" {task.answer}; the model takes {own.inputs} and gives {own.answer}"
        )
    needed = trials_needed(exported.success, CONFIDENCE)
    if held_out is not None and held_out < needed:
        raise ValueError(
            f"data: success {exported.success:g} cannot be established on the {held_out} different"
            f" held-out rows of {task} at lag {exported.lag}; it takes at least {needed} rows held"
            f" out, about {round(needed / TEST_SHARE)} in all"
        )
    return task


def verify(exported: Exported, seed: int, data: Path | str | None = None) -> Tally:
    """The success of the exported weights on fresh sequences at the lag claimed.

    Raises:
        ValueError: as `task_to_verify`.
    """
    return measure(exported, seed, task_to_verify(exported, data))


def measure(exported: Exported, seed: int, task: Task) -> Tally:
    """`verify`, on a task that was looked at."""
    streams = Streams(seed, exported.config.configuration.digest)
    generator = streams.generator("verify", exported.lag, 0)
    return evaluate(
        exported.model(),
        task.split("test"),
        exported.lag,
        max(VERIFY_SEQUENCES, 2 * trials_needed(exported.success, CONFIDENCE)),
        generator,
        torch.device("cpu"),
        host_bytes(),
    )
