"""Sequences that begin with the state another one left (state passing, arXiv 2507.02782)."""

from __future__ import annotations

import torch

from trainables.models.model import Carried
from trainables.models.room import Room
from trainables.shapes import Inputs, Predictions, Scored


def after_others(room: Room, inputs: Inputs, scored: Scored, fraction: float) -> Predictions:
    """What a model answers if a ``fraction`` of a batch begins where another sequence ended.

    Of B sequences, the first fraction * B, rounded, begin each with the final states of the one
    before it in the batch, the first with the last one's. States get no gradient. Front end and
    positions begin anew; of attention the other sequence's keys and values are passed, which are
    then looked back on. A batch of one has no other.
    """
    passed = round(fraction * len(inputs)) if len(inputs) > 1 else 0
    if not passed:
        return room.answers(inputs, scored)
    first = states_after(room, inputs.roll(1, 0)[:passed])
    answers = room.answers(inputs[:passed], scored[:passed], first)
    if passed == len(inputs):
        return answers
    return torch.cat((answers, room.answers(inputs[passed:], scored[passed:])))


@torch.no_grad()
def states_after(room: Room, inputs: Inputs) -> Carried:
    """What another sequence may begin with: the layers' states after ``inputs``, and no more."""
    anew = room.model.initial_state(len(inputs))
    carried = read_on(room, inputs, anew)
    return Carried(anew.front, anew.frame, anew.frames, carried.blocks)


@torch.no_grad()
def read_on(room: Room, inputs: Inputs, carried: Carried) -> Carried:
    """What is carried after inputs that are only read; by pieces, where memory is short."""
    model, (B, T) = room.model, inputs.shape[:2]
    for piece in inputs.split(room.steps(B, T) or T, dim=1) if T else ():
        _, carried = model.scan(model.embed(piece), carried)
    return carried
