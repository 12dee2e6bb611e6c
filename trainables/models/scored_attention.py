"""Causal attention whose scores are computed one by one, since more than a product makes them.

score[t, s] = q_t . z**(t - s) k_s / sqrt(E) - penalty(t - s) + log kept[t] - log kept[s]
              + b(t - s) + c[t, s]
y_t = sum_s exp(score[t, s]) v_s / (exp(sink) + sum_s exp(score[t, s]))

Blocks of queries meet their keys at a time and are computed again going back, so that memory grows
linearly with the length; time is some times that of torch's own kernels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from trainables.models.attention import Heads
from trainables.models.kernels.compiled.contextual import contextual_weights
from trainables.models.kernels.door import suits

_BLOCK = 128  # queries at a time


@dataclass(frozen=True)
class Terms:
    """What scores are made of besides the product; None for what is not there.

    Attributes:
        slopes: what each head takes off for a step of distance (Press et al. 2022)
        fading: log z of each coordinate, what a step of distance leaves of it (Sun et al. 2022)
        by_bucket: what each head adds by the bucket of the distance (Raffel et al. 2020)
        farthest: the distance from which on there is one bucket
        at_positions: embeddings of the positions that gates count (Golovneva et al. 2024)
        sink: of each head, the score of what has no value and takes its share (Xiao et al. 2024)

    """

    slopes: tuple[float, ...] | None
    fading: tuple[float, ...] | None
    by_bucket: Float[Tensor, "H N"] | None
    farthest: int
    at_positions: Float[Tensor, "P E"] | None
    sink: Float[Tensor, " H"] | None

    @property
    def are_positions_alone(self) -> bool:
        """Whether gates that count are all there is."""
        others = (self.slopes, self.fading, self.by_bucket, self.sink)
        return self.at_positions is not None and all(each is None for each in others)


def scored_attention(
    q: Heads,
    k: Float[Tensor, "B H S E"],
    v: Float[Tensor, "B H S E"],
    asking: Heads,
    log_kept: Float[Tensor, "B H S"] | None,
    window: int | None,
    terms: Terms,
) -> Heads:
    """What the last T steps see of themselves and of those before, S >= T.

    Args:
        q: queries
        k: keys up to the last query
        v: values
        asking: queries before they were turned by their step, for the positions that gates count
        log_kept: the sum of a gate's logarithms up to each key (Lin et al. 2025); None for no gate
        window: how many steps are seen, the step itself among them; None for all
        terms: the rest of the scores

    """
    before = k.shape[2] - q.shape[2]
    if torch.compiler.is_exporting():  # a graph for any T has no fixed blocks
        return _block(q, k, v, asking, log_kept, before, window, terms)
    answers = []
    for start in range(0, q.shape[2], _BLOCK):
        stop = min(start + _BLOCK, q.shape[2])
        low = 0 if window is None else max(0, before + start - window + 1)
        seen = slice(low, before + stop)
        kept = None if log_kept is None else log_kept[..., seen]
        own = slice(start, stop)
        block = (q[:, :, own], k[:, :, seen], v[:, :, seen], asking[:, :, own], kept)
        offset = before + start - low
        answers.append(
            checkpoint(
                _block, *block, offset, window, terms, use_reentrant=False, preserve_rng_state=False
            )
        )
    return torch.cat(answers, dim=2)


def distance_buckets(distance: Int[Tensor, "*N"], num_buckets: int, farthest: int) -> Tensor:
    """Half of them for a distance each from 0 on, the others by its logarithm up to ``farthest``.

    As in T5 (Raffel et al. 2020), causal: what is farther is in the last.
    """
    exact = num_buckets // 2
    share = (distance.clamp(min=1).double() / exact).log() / math.log(farthest / exact)
    by_logarithm = exact + (share * (num_buckets - exact)).long().clamp(max=num_buckets - exact - 1)
    return torch.where(distance < exact, distance, by_logarithm)


def _block(
    q: Heads,
    k: Float[Tensor, "B H S E"],
    v: Float[Tensor, "B H S E"],
    asking: Heads,
    log_kept: Float[Tensor, "B H S"] | None,
    offset: int,
    window: int | None,
    terms: Terms,
) -> Heads:
    """Attention of queries that stand ``offset`` steps later than the first key."""
    at = terms.at_positions
    if at is not None and terms.are_positions_alone and log_kept is None and suits(q, k, v, at):
        scores, at_counts = q @ k.mT / math.sqrt(q.shape[-1]), asking @ at.mT
        return contextual_weights(scores, at_counts, offset, window) @ v
    C, S = q.shape[2], k.shape[2]
    steps = torch.arange(S, device=q.device)
    distance = torch.arange(offset, offset + C, device=q.device)[:, None] - steps
    unseen = distance < 0 if window is None else (distance < 0) | (distance >= window)
    products = q @ k.mT if terms.fading is None else _faded_products(q, k, offset, terms.fading)
    scores = products / math.sqrt(q.shape[-1])
    if terms.at_positions is not None:
        scores = scores + _contextual(asking, scores, unseen, terms.at_positions)
    if terms.slopes is not None:
        slopes = torch.tensor(terms.slopes, device=q.device, dtype=scores.dtype)
        scores = scores - slopes[:, None, None] * distance
    if terms.by_bucket is not None:
        buckets = distance_buckets(distance.clamp(min=0), terms.by_bucket.shape[1], terms.farthest)
        scores = scores + terms.by_bucket[:, buckets]
    if log_kept is not None:
        scores = scores + (log_kept[..., offset:, None] - log_kept[..., None, :])
    scores = scores.masked_fill(unseen, -math.inf)
    if terms.sink is None:
        return scores.softmax(-1).to(v.dtype) @ v
    sink = terms.sink[:, None, None].to(scores.dtype).expand(*scores.shape[:3], 1)
    return torch.cat((scores, sink), dim=-1).softmax(-1)[..., :-1].to(v.dtype) @ v


def _faded_products(
    q: Heads, k: Float[Tensor, "B H S E"], offset: int, fading: tuple[float, ...]
) -> Float[Tensor, "B H C S"]:
    """q_t . z**(t - s) k_s; what is ahead, where a power might be too large, is not meant.

    Powers are shared out between both from the first query on: of keys long before it they are 0
    at last, and no number leaves float32, however late the query.
    """
    C, S = q.shape[2], k.shape[2]
    precise = torch.promote_types(q.dtype, torch.float32)
    rates = torch.tensor(fading, device=q.device, dtype=precise)
    since = torch.arange(C, device=q.device, dtype=precise)[:, None]
    before = torch.arange(offset, offset - S, -1, device=q.device, dtype=precise)[:, None]
    if torch.compiler.is_exporting():  # one block as long as the sequence, so one coordinate a time
        distance = (since + before.mT).clamp(min=0)
        parts = [
            q[..., e, None] * k[..., None, :, e] * (rates[e] * distance).exp().to(q.dtype)
            for e in range(len(fading))
        ]
        return torch.stack(parts).sum(0)
    return (q * (since * rates).exp().to(q.dtype)) @ (k * (before * rates).exp().to(k.dtype)).mT


def _contextual(
    q: Heads,
    scores: Float[Tensor, "B H C S"],
    unseen: Tensor,
    at_positions: Float[Tensor, "P E"],
) -> Float[Tensor, "B H C S"]:
    """q_t . e[p], where p counts the steps from s to t whose gates sigmoid(score) are open.

    Between two whole numbers e is between theirs (Golovneva et al. 2024, eq. 3 to 6).
    """
    gates = scores.sigmoid().masked_fill(unseen, 0)
    counted = gates.flip(-1).cumsum(-1).flip(-1).clamp(max=len(at_positions) - 1)
    at_whole = q @ at_positions.to(q.dtype).mT
    below = counted.detach().floor()
    share = counted - below
    upper = at_whole.gather(-1, counted.detach().ceil().long())
    lower = at_whole.gather(-1, below.long())
    return upper * share + lower * (1 - share)
