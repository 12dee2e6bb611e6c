"""The gradient horizon: how far back a scored answer feels its inputs.

For each k, the norm of the Jacobian of the last scored answer in the input k steps before it: what
training can see of a dependency of k steps (Hochreiter 1991; Pascanu et al. 2013). Taken at first
weights and at final ones, it tells a remedy that lets gradients through from one that learned to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.measure.records import HorizonPoint, Moment
from trainables.models.model import Model
from trainables.models.room import Room
from trainables.tasks.task import Batch, Task

HORIZON_SEQUENCES = 16


def gradient_horizon(
    model: Model,
    name: str,
    task: Task,
    lag: int,
    moment: Moment,
    generator: torch.Generator,
    device: torch.device,
    memory_bytes: float = math.inf,
) -> Iterator[HorizonPoint]:
    """The norms at ``lag``, one an octave of k: 0, 1, 2 to 3, 4 to 7, and so on.

    None where the sequences would not fit into ``memory_bytes``: a gradient in every input takes
    what all of them take.
    """
    if not Room(model, memory_bytes).fits(HORIZON_SEQUENCES, task.length(lag)):
        return
    batch = task.sample(lag, HORIZON_SEQUENCES, generator)
    signs = 2 * torch.randint(2, (len(batch.inputs), model.outputs), generator=generator) - 1
    squares = squared_norms(model, batch.to(device), signs.to(device))
    back, width = 0, 1
    while back < len(squares):
        norm = squares[back : back + width].mean().sqrt()
        yield HorizonPoint(name, moment, lag, back, float(norm))
        back, width = back + width, max(1, back + width)


def squared_norms(model: Model, batch: Batch, signs: Float[Tensor, "B C"]) -> Float[Tensor, " K"]:
    """Squared Frobenius norms for k = 0 .. K - 1, means over the sequences.

    Random signs v stand in for the answer's axes: the expectation of |J^T v|^2 is that of the
    squared Frobenius norm of J (Hutchinson 1990). Inputs that are symbols count as embedded.
    K is the number of steps up to the earliest last answer of the batch.
    """
    last = batch.scored[:, -1]
    steps = int(last.min()) + 1
    was_training = model.training
    model.train()  # cuDNN's recurrent kernels have no gradient otherwise
    with torch.enable_grad():
        embedded = model.embed(batch.inputs).detach().requires_grad_()
        answers = model.readout(model.hidden(embedded), last[:, None])[:, 0]
        (gradient,) = torch.autograd.grad((answers * signs).sum(), embedded)
    model.train(was_training)
    squares = gradient.double().square().sum(-1)
    at = last[:, None] - torch.arange(steps, device=last.device)
    return squares.gather(1, at).mean(0).cpu()
