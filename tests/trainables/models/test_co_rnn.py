"""``co_rnn`` against a loop over the equations of Rusch & Mishra 2021."""

import pytest
import torch
from torch import Tensor

from tests.trainables.models.agreement import Weights, assert_agree, stirred, stream
from trainables.models.cells.co_rnn import CoRnn
from trainables.models.layer import Surroundings

WIDTH, DT, GAMMA, EPSILON = 5, 0.1, 2.0, 3.0


def co_rnn(weights: Weights, x: Tensor) -> Tensor:
    W, U = weights["recurrent"].split(WIDTH, dim=1)
    y = z = torch.zeros_like(x[:, 0])
    answers = []
    for u in x.unbind(1):
        driven = u @ weights["enter.weight"].T + weights["enter.bias"]
        force = torch.tanh(y @ W.T + z @ U.T + driven)
        z = z + DT * force - DT * GAMMA * y - DT * EPSILON * z
        y = y + DT * z
        answers.append(y)
    return torch.stack(answers, 1)


@pytest.mark.parametrize("length", [1, 2, 63])
def test_agrees_with_the_equations(length: int) -> None:
    torch.manual_seed(0)
    config = CoRnn.Config(time_step=DT, gamma=GAMMA, epsilon=EPSILON)
    layer = CoRnn(config, Surroundings(width=WIDTH)).double()
    stirred(layer)
    assert_agree(layer, co_rnn, stream(3, length, WIDTH))


@pytest.mark.parametrize(("time_step", "rests"), [(0.39, True), (0.41, False)])
def test_springs_that_would_swing_ever_further_are_refused(time_step: float, rests: bool) -> None:
    """Alone and with this friction, the border is where a step's matrix has an eigenvalue of -1."""
    gamma, epsilon = 2.5, 4.5
    swing = torch.tensor(
        [
            [1 - time_step * epsilon, -time_step * gamma],
            [time_step * (1 - time_step * epsilon), 1 - time_step**2 * gamma],
        ]
    )
    assert (torch.linalg.eigvals(swing).abs().max().item() < 1) == rests
    choices = {"time_step": time_step, "gamma": gamma, "epsilon": epsilon}
    if rests:
        CoRnn.Config.model_validate(choices)
    else:
        with pytest.raises(ValueError, match=r"time_step: 0.41 is not allowed; .* below 4"):
            CoRnn.Config.model_validate(choices)
