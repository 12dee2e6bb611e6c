"""The model: inputs -> front end -> positions -> blocks on residual paths -> read-out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from trainables.models.cells import LAYERS
from trainables.models.config import ModelConfig
from trainables.models.front_ends import FRONT_ENDS
from trainables.models.layer import State
from trainables.models.positions import POSITIONS
from trainables.models.readouts import READOUTS, ReadoutConfig, TiedMap
from trainables.models.residuals import RESIDUALS, Residual
from trainables.models.starts import STARTS
from trainables.shapes import Inputs, Numbers, Predictions, Scored, Stream
from trainables.tasks.task import Interface, Symbols

FAR = 1 << 24
"""A length, in steps, at which every window is full."""


@dataclass(frozen=True)
class Carried:
    """What goes from one piece of a sequence to the next.

    Attributes:
        front: the front end's state
        frame: its frame's
        frames: how many frames have ended
        blocks: the state of each
    """

    front: State
    frame: State
    frames: int
    blocks: tuple[State, ...]

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All that is carried."""
        return (*self.front, *self.frame, *(part for block in self.blocks for part in block))

    def of(self, tensors: Iterable[torch.Tensor]) -> Carried:
        """The same with other `tensors`, in their order."""
        given = iter(tensors)
        front = tuple(itertools.islice(given, len(self.front)))
        frame = tuple(itertools.islice(given, len(self.frame)))
        blocks = tuple(tuple(itertools.islice(given, len(block))) for block in self.blocks)
        return Carried(front, frame, self.frames, blocks)


class Model(nn.Module):
    """A sequence model for one kind of input and answer.

    Build it with `build`, which fixes its first weights by a seed.
    """

    def __init__(self, config: ModelConfig, task: Interface) -> None:
        super().__init__()
        self.config = config
        self.inputs, self.outputs = inputs, outputs = task.inputs, task.answer.outputs
        width = config.hidden_size
        if isinstance(inputs, Symbols):
            features = width
            self.embedding: nn.Embedding | None = nn.Embedding(inputs.vocabulary, width)
        else:
            features = inputs.features
            self.embedding = None
        self.front_end = FRONT_ENDS[config.front_end.kind](config.front_end, features, width)
        self.positions = POSITIONS[config.positions.kind](config.positions, width)
        around = self.positions.around_layers
        residual = RESIDUALS[config.residual.kind]
        self.blocks = nn.ModuleList(
            residual(config.residual, layer)
            for block in config.blocks
            for layer in LAYERS[block.kind].parts(block, around)
        )
        self.norm = residual.last_norm(config.residual, width)
        self.readout = READOUTS[config.readout.kind](config.readout, width, outputs)
        if isinstance(config.readout, ReadoutConfig) and config.readout.tied:
            self.readout.map = TiedMap(self.embedding, task.class_symbols, outputs)
        start = STARTS[config.first_weights.kind](config.first_weights)
        start.fill(self, [path.layer for path in self._paths])

    def forward(self, inputs: Inputs, scored: Scored) -> Predictions:
        """The answers at the scored steps, each from inputs up to its own step."""
        return self.readout(self.hidden(self.embed(inputs)), scored)

    def embed(self, inputs: Inputs) -> Numbers:
        """Numbers (B, T, F), from symbols by a table."""
        return inputs if self.embedding is None else self.embedding(inputs)

    def hidden(self, embedded: Numbers) -> Stream:
        """What the read-out sees, at every step."""
        x = self.front_end(embedded)
        frames = self.positions(self.front_end.down(x))
        for block in self.blocks:
            frames = block(frames)
        return self.norm(self.front_end.up(frames, x))

    def initial_state(self, batch_size: int) -> Carried:
        """What is carried before the first step."""
        return Carried(
            self.front_end.initial_state(batch_size),
            self.front_end.initial_frame(batch_size),
            0,
            tuple(path.initial_state(batch_size) for path in self._paths),
        )

    def scan(self, embedded: Numbers, carried: Carried) -> tuple[Stream, Carried]:
        """`hidden` of steps that follow on ``carried``, and what is carried after them."""
        x, front = self.front_end.scan(embedded, carried.front)
        frames = self.front_end.down_from(x, carried.frame)
        ended, blocks = frames.shape[1], carried.blocks
        if ended:
            frames = self.positions(frames, carried.frames)
            after = []
            for path, state in zip(self._paths, blocks, strict=True):
                frames, state = path.scan(frames, state)
                after.append(state)
            blocks = tuple(after)
        y, frame = self.front_end.up_from(frames, x, carried.frame)
        return self.norm(y), Carried(front, frame, carried.frames + ended, blocks)

    @property
    def longest(self) -> int | None:
        """The longest sequence, in steps, that it can read; None for any."""
        frames = self.positions.longest
        return None if frames is None else frames * self.front_end.stride

    def reads(self, length: int) -> bool:
        """Whether it can read a sequence of ``length`` steps."""
        return self.longest is None or length <= self.longest

    @property
    def num_parameters(self) -> int:
        """Trainable numbers."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def flops(self, length: int, answers: int) -> float:
        """Floating-point operations of `forward` for one sequence."""
        frames = self._frames(length)
        a_frame = sum(path.flops_per_step(frames) for path in self._paths)
        a_step = self.front_end.flops_per_step() + self.readout.flops_per_step()
        return length * a_step + frames * a_frame + answers * self.readout.flops_per_answer(length)

    def state_bytes(self, length: int) -> int:
        """Bytes one sequence must carry after ``length`` steps to go on, in float32."""
        carried = sum(path.state_bytes(self._frames(length)) for path in self._paths)
        return self.front_end.state_bytes() + carried + self.readout.state_bytes(length)

    @property
    def carries_no_past(self) -> bool:
        """Whether what `scan` carries stops growing: so of recurrences, and of full windows."""
        grown = FAR + self.front_end.stride
        return self._blocks_carry(grown) == self._blocks_carry(FAR)

    @property
    def bytes_a_step(self) -> int:
        """What each further step adds to what `scan` carries and the read-out looks back on.

        Once windows are full, for one sequence in float32; 0 of recurrences.
        """
        stride = self.front_end.stride
        return (self._carried_bytes(FAR + stride) - self._carried_bytes(FAR)) // stride

    def _carried_bytes(self, length: int) -> int:
        carried = self._blocks_carry(length)
        return self.front_end.state_bytes() + carried + self.readout.state_bytes(length)

    def _blocks_carry(self, length: int) -> int:
        return sum(path.layer.carried_bytes(self._frames(length)) for path in self._paths)

    @property
    def _paths(self) -> Iterable[Residual]:
        return cast(Iterable[Residual], self.blocks)

    def _frames(self, length: int) -> int:
        return (length - 1) // self.front_end.stride + 1


def build(config: ModelConfig, task: Interface, seed: int) -> Model:
    """A model for ``task`` whose first weights depend on ``seed`` alone.

    The layers' own initialisations draw from torch's global generator; here it is seeded for the
    while and put back, so that nothing outside is read or changed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return Model(config, task)


def outline(config: ModelConfig, task: Interface) -> Model:
    """A model for ``task`` without numbers in it: for what can be counted before it is trained."""
    with torch.device("meta"), _NothingDrawn():
        return build(config, task, seed=0)


class _NothingDrawn(TorchFunctionMode):
    """Normal numbers are not drawn: without storage, torch would import its compiler to do it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.Tensor.normal_, nn.init.normal_, nn.init.kaiming_normal_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


@contextmanager
def tested(model: nn.Module) -> Iterator[None]:
    """The model as it answers when it is tested, for the length of the block."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
