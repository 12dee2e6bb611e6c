"""Read-outs: from the stream to the scored answers, computed at the scored steps only."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.models.layer import PartConfig
from trainables.shapes import Predictions, Scored, Stream


class Readout(nn.Module, ABC):
    """(B, T, D) and the scored steps (B, S) -> (B, S, C)."""

    Config: ClassVar[type[PartConfig]]

    def __init__(self, config: Any, width: int, outputs: int) -> None:
        super().__init__()
        self.config, self.width, self.outputs = config, width, outputs

    @abstractmethod
    def forward(self, x: Stream, scored: Scored) -> Predictions:
        """The answers, each from steps up to its own."""

    @abstractmethod
    def flops_per_answer(self, length: int) -> float:
        """Floating-point operations of one answer over a sequence of ``length`` steps."""

    def state_bytes(self, length: int) -> int:
        """Bytes that one sequence must keep for the read-out after ``length`` steps, in float32."""
        return 0


def at(x: Stream, scored: Scored) -> Float[Tensor, "B S D"]:
    """The stream at the scored steps."""
    return x.gather(1, scored.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


class Last(Readout):
    """``last``: a linear map of the stream at the scored step itself."""

    class Config(PartConfig):
        """The scored step alone."""

        kind: Literal["last"] = "last"

    def __init__(self, config: Config, width: int, outputs: int) -> None:
        super().__init__(config, width, outputs)
        self.map = nn.Linear(width, outputs)

    def forward(self, x: Stream, scored: Scored) -> Predictions:
        """W x_t + b."""
        return self.map(at(x, scored))

    def flops_per_answer(self, length: int) -> float:
        """One multiply-add a weight."""
        return 2.0 * self.width * self.outputs


class Attention(Readout):
    """``attention``: the scored step looks back over all steps up to itself.

    Scaled dot products, context and step mapped together (Luong et al. 2015, eq. 5 and 8, with
    Vaswani's scale): c_t = sum_s softmax_s(q_t . k_s / sqrt(D)) x_s, and the answer is
    W tanh(V [x_t; c_t]).
    """

    class Config(PartConfig):
        """Attention over the past of the scored step."""

        kind: Literal["attention"] = "attention"

    def __init__(self, config: Config, width: int, outputs: int) -> None:
        super().__init__(config, width, outputs)
        self.query = nn.Linear(width, width, bias=False)
        self.combine = nn.Linear(2 * width, width)
        self.map = nn.Linear(width, outputs)

    def forward(self, x: Stream, scored: Scored) -> Predictions:
        """Look back from each scored step, then map step and context."""
        x_BSD = at(x, scored)
        score_BST = self.query(x_BSD) @ x.transpose(1, 2) / math.sqrt(self.width)
        future = torch.arange(x.shape[1], device=x.device) > scored.unsqueeze(-1)
        context_BSD = score_BST.masked_fill(future, -math.inf).softmax(-1) @ x
        return self.map(torch.tanh(self.combine(torch.cat((x_BSD, context_BSD), dim=-1))))

    def flops_per_answer(self, length: int) -> float:
        """Scores and context over the whole past, and three maps."""
        maps = 3 * self.width * self.width + self.width * self.outputs
        return 2.0 * (2 * length * self.width + maps)

    def state_bytes(self, length: int) -> int:
        """The whole past of the stream."""
        return 4 * length * self.width


READOUTS: dict[str, type[Readout]] = {"last": Last, "attention": Attention}
