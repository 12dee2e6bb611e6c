"""Read-outs: from the stream to the scored answers, computed at the scored steps only."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trainables.models.layer import PartConfig
from trainables.shapes import Predictions, Scored, Stream

Asking = Float[Tensor, "B S D"]
Scores = Float[Tensor, "B H S T"]

_BLOCK = 1 << 18  # numbers a row that additive scores hold in memory at a time


class Readout(nn.Module, ABC):
    """(B, T, D) and the scored steps (B, S) -> (B, S, C)."""

    Config: ClassVar[type[PartConfig]]
    looks_back: ClassVar[bool] = False
    """Whether it needs the stream at steps before the scored one."""

    def __init__(self, config: Any, width: int, outputs: int) -> None:
        super().__init__()
        self.config, self.width, self.outputs = config, width, outputs

    @abstractmethod
    def forward(self, x: Stream, scored: Scored) -> Predictions:
        """The answers, each from steps up to its own."""

    def flops_per_step(self) -> float:
        """Floating-point operations a step, whatever the number of answers."""
        return 0.0

    @abstractmethod
    def flops_per_answer(self, length: int) -> float:
        """Floating-point operations of one answer over a sequence of ``length`` steps."""

    def state_bytes(self, length: int) -> int:
        """Bytes that one sequence must keep for the read-out after ``length`` steps, in float32."""
        return 0


def at(x: Stream, scored: Scored) -> Asking:
    """The stream at the scored steps."""
    return x.gather(1, scored.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


class ReadoutConfig(PartConfig):
    """What read-outs share.

    Attributes:
        tied: whether an answer's scores are products with the vectors that its classes have as
            symbols of the input, in place of a map of their own (Press & Wolf 2017)

    """

    later: ClassVar[frozenset[str]] = frozenset({"tied"})

    tied: bool = False


class TiedMap(nn.Module):
    """E_c . x for each class c, E_c the row of the table of symbols that is the class's.

    The table stays the model's: nothing here is saved or counted twice.

    Args:
        embedding: the table of symbols, if inputs are symbols
        symbols: the symbol that each class is; empty where they are none
        outputs: how many numbers an answer has

    Raises:
        ValueError: if the answers are not classes that each are a symbol of the inputs.
    """

    symbols: Tensor

    def __init__(
        self, embedding: nn.Embedding | None, symbols: Sequence[int], outputs: int
    ) -> None:
        super().__init__()
        most = 0 if embedding is None else embedding.num_embeddings
        if len(symbols) != outputs or not all(0 <= symbol < most for symbol in symbols):
            raise ValueError(
                "readout.tied: True is not allowed; the task's answers are not symbols of its"
                " inputs"
            )
        self._table = (embedding,)  # in a tuple, so that it is no part of this module
        self.register_buffer("symbols", torch.tensor(symbols), persistent=False)

    def forward(self, x: Asking) -> Predictions:
        """A score a class."""
        (embedding,) = self._table
        assert embedding is not None
        return x @ embedding.weight[self.symbols].T


class Last(Readout):
    """``last``: a linear map of the stream at the scored step itself."""

    class Config(ReadoutConfig):
        """The scored step alone."""

        kind: Literal["last"] = "last"

    def __init__(self, config: Config, width: int, outputs: int) -> None:
        super().__init__(config, width, outputs)
        self.map: nn.Module = nn.Linear(width, outputs)

    def forward(self, x: Stream, scored: Scored) -> Predictions:
        """W x_t + b."""
        return self.map(at(x, scored))

    def flops_per_answer(self, length: int) -> float:
        """One multiply-add a weight."""
        return 2.0 * self.width * self.outputs


class DotScore(nn.Module):
    """(Q_h x_t) . x_s / sqrt(D) (Luong et al. 2015, eq. 8, with Vaswani's scale)."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.width, self.num_heads = width, num_heads
        self.query = nn.Linear(width, num_heads * width, bias=False)

    def forward(self, at_BSD: Asking, x: Stream) -> Scores:
        """How much each answer's heads want each step."""
        query_BSHD = self.query(at_BSD).unflatten(-1, (self.num_heads, self.width))
        return query_BSHD.transpose(1, 2) @ x.mT.unsqueeze(1) / math.sqrt(self.width)

    def flops_per_step(self) -> float:
        """The steps are taken as they are."""
        return 0.0

    def flops_per_answer(self, length: int) -> float:
        """A query a head, and its products with all steps."""
        return 2.0 * self.num_heads * (self.width**2 + length * self.width)


class AdditiveScore(nn.Module):
    """v_h . tanh(W_h x_t + U_h x_s) (Bahdanau et al. 2015, A.1.2)."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.width, self.num_heads = width, num_heads
        self.query = nn.Linear(width, num_heads * width)
        self.key = nn.Linear(width, num_heads * width, bias=False)
        bound = 1 / math.sqrt(width)
        self.v = nn.Parameter(torch.empty(num_heads, width).uniform_(-bound, bound))

    def forward(self, at_BSD: Asking, x: Stream) -> Scores:
        """How much each answer's heads want each step; a few answers at a time, to bound memory."""
        query, key = self.query(at_BSD), self.key(x)
        if torch.compiler.is_exporting():  # a graph for any S and T has no fixed blocks
            return self._block(query, key)
        answers = max(1, _BLOCK // key[0].numel())
        blocks = query.split(answers, dim=1)
        scores = [
            checkpoint(self._block, block, key, use_reentrant=False, preserve_rng_state=False)
            for block in blocks
        ]
        return torch.cat(scores, dim=2)

    def _block(self, query: Float[Tensor, "B S A"], key: Float[Tensor, "B T A"]) -> Scores:
        sums_BSTA = torch.tanh(query.unsqueeze(2) + key.unsqueeze(1))
        heads_BSTHD = sums_BSTA.unflatten(-1, (self.num_heads, self.width))
        return torch.einsum("bsthd,hd->bhst", heads_BSTHD, self.v)

    def flops_per_step(self) -> float:
        """U_h x_s, shared by all answers."""
        return 2.0 * self.num_heads * self.width**2

    def flops_per_answer(self, length: int) -> float:
        """W_h x_t a head, and the products of v_h with all steps."""
        return 2.0 * self.num_heads * (self.width**2 + length * self.width)


SCORES: dict[str, type[DotScore] | type[AdditiveScore]] = {
    "dot": DotScore,
    "additive": AdditiveScore,
}


class Attention(Readout):
    """``attention``: each head of the scored step looks back over all steps up to itself.

    c_h = sum_s softmax_s(score_h(x_t, x_s)) x_s, and the answer is W tanh(V [x_t; c_1; ...; c_H])
    (Luong et al. 2015, eq. 5). Keys and values are the steps themselves: the maps of multi-head
    attention (Vaswani et al. 2017) are contained in Q and V.
    """

    class Config(ReadoutConfig):
        """Attention over the past of the scored step, ``num_heads`` heads by one ``score``."""

        kind: Literal["attention"] = "attention"
        score: Literal["dot", "additive"] = "dot"
        num_heads: int = Field(default=1, ge=1, le=64)

    looks_back = True

    def __init__(self, config: Config, width: int, outputs: int) -> None:
        super().__init__(config, width, outputs)
        self.score = SCORES[config.score](width, config.num_heads)
        self.combine = nn.Linear((1 + config.num_heads) * width, width)
        self.map: nn.Module = nn.Linear(width, outputs)

    def forward(self, x: Stream, scored: Scored) -> Predictions:
        """Look back from each scored step, then map step and contexts."""
        x_BSD = at(x, scored)
        future_BST = torch.arange(x.shape[1], device=x.device) > scored.unsqueeze(-1)
        score_BHST = self.score(x_BSD, x).masked_fill(future_BST.unsqueeze(1), -math.inf)
        context_BHSD = score_BHST.softmax(-1) @ x.unsqueeze(1)
        seen = torch.cat((x_BSD, context_BHSD.transpose(1, 2).flatten(2)), dim=-1)
        return self.map(torch.tanh(self.combine(seen)))

    def flops_per_step(self) -> float:
        """Those of the score."""
        return self.score.flops_per_step()

    def flops_per_answer(self, length: int) -> float:
        """Scores and contexts over the whole past, and two maps."""
        heads = self.config.num_heads
        context = 2.0 * heads * length * self.width
        maps = 2.0 * ((1 + heads) * self.width**2 + self.width * self.outputs)
        return self.score.flops_per_answer(length) + context + maps

    def state_bytes(self, length: int) -> int:
        """The whole past of the stream."""
        return 4 * length * self.width


READOUTS: dict[str, type[Readout]] = {"last": Last, "attention": Attention}
