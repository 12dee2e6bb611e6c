"""A loss beside that of the answers: at random steps, inputs are said that were read or follow.

At an anchor a small net beside the model starts from what the read-out would see there, and says
the inputs of a segment one after the other, each told the one before (Trinh et al. 2018, arXiv
1803.00144): those up to the anchor (r-LSTM), or those behind it (p-LSTM). A gradient goes back over
the segment that ends at the anchor and no further, whatever the lag. The net is dropped with the
training: what is judged, kept and exported is the model alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, pad

from trainables.models.model import Model
from trainables.models.passing import read_on
from trainables.models.room import Room
from trainables.regimes import Auxiliary, Regime
from trainables.shapes import Inputs
from trainables.tasks.task import Symbols


class Anchors(nn.Module):
    """Draws anchors, and says segments of inputs beside a model.

    Symbols are said by their scores, numbers as they are.
    """

    def __init__(self, config: Auxiliary.Config, model: Model) -> None:
        super().__init__()
        self.config = config
        self.symbols = isinstance(model.inputs, Symbols)
        told, width = model.front_end.features, model.config.hidden_size
        self.begin = nn.Linear(width, width)
        self.net = nn.GRU(told, width, batch_first=True)
        self.say = nn.Linear(width, _numbers_said(model))

    def draw(self, length: int, generator: torch.Generator) -> Sequence[int]:
        """How many steps are read before each anchor, ascending; none of sequences too short.

        Evenly among those at which a whole segment can be said, or all there are.
        """
        lowest, highest = self.config.steps, length
        if self.config.said == "what_follows":
            lowest, highest = 1, length - self.config.steps
        lowest, highest = min(lowest, length), max(highest, 1)
        if self.config.said == "what_follows" and length < 2:
            return ()
        drawn = torch.randint(lowest, highest + 1, (self.config.anchors,), generator=generator)
        return sorted(drawn.tolist())

    def loss(self, room: Room, inputs: Inputs, anchors: Sequence[int]) -> Tensor:
        """Mean cross entropy of the symbols said, in nats, or mean squared error of the numbers."""
        model, steps = room.model, self.config.steps
        carried, read = model.initial_state(len(inputs)), 0
        losses = [torch.zeros((), device=inputs.device)] if not anchors else []
        for anchor in anchors:
            first = max(0, anchor - steps)
            carried = read_on(room, inputs[:, read:first], carried)
            read = first
            stream, _ = model.scan(model.embed(inputs[:, first:anchor]), carried)
            behind = self.config.said == "what_follows"
            segment = slice(anchor, anchor + steps) if behind else slice(first, anchor)
            losses.append(self._saying(model, stream[:, -1], inputs[:, segment]))
        return torch.stack(losses).mean()

    def _saying(self, model: Model, seen: Float[Tensor, "B D"], segment: Inputs) -> Tensor:
        told = pad(model.embed(segment)[:, :-1], (0, 0, 1, 0))
        states, _ = self.net(told, self.begin(seen).tanh()[None])
        guesses = self.say(states)
        if self.symbols:
            return cross_entropy(guesses.flatten(0, 1), segment.flatten().long())
        return mse_loss(guesses, segment)


def anchors_of(regime: Regime, model: Model, seed: int) -> Anchors | None:
    """The net beside a model that ``regime`` asks for, its first weights by ``seed``; or None."""
    if not isinstance(regime, Auxiliary):
        return None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return Anchors(regime.config, model)


def training_flops(regime: Regime, model: Model, length: int, answers: int) -> float:
    """Operations of the forward passes that a sequence takes in training; backward, twice as many.

    What is only read, on the way to an anchor, counts a third: it is not gone back over. Of n
    anchors the last lies, on average, n / (n + 1) of the way.
    """
    flops = regime.passes * model.flops(length, answers)
    if not isinstance(regime, Auxiliary):
        return flops
    config, a_step = regime.config, model.flops(length, 0) / length
    said, times = min(config.steps, length), config.anchors
    read = (length - said) * times / (times + 1)
    return flops + a_step * read / 3 + times * said * (a_step + _flops_said(model))


def _numbers_said(model: Model) -> int:
    """Of one input: a score a symbol, or the numbers themselves."""
    inputs = model.inputs
    return inputs.vocabulary if isinstance(inputs, Symbols) else inputs.features


def _flops_said(model: Model) -> float:
    """Operations of saying one input: three gates of two maps each, and a guess."""
    told, width = model.front_end.features, model.config.hidden_size
    return 2.0 * width * (3 * (told + width) + _numbers_said(model))
