"""Distance to the limit: how far an architecture can reach, known before it is trained.

Layers stand on each other, and what one of them cannot hold another may. So the gradient, the
window and the precision of a model are those of the layer that reaches farthest, a convolution in
front adds its steps, a stride multiplies them, windows add up, and capacities do. A read-out that
attends to the past needs no layer for any of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from trainables.limits.capacity import bits_held, items_held
from trainables.limits.cost import cost_limit
from trainables.limits.demand import Demand, demand_of
from trainables.limits.gradient import gradient_reach, last_where
from trainables.limits.precision import precision_limit
from trainables.limits.window import convolution_reach, stride_of, window_of
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.records import Limits

Plain = Mapping[str, Any]


def limits_of(
    model: Plain,
    task: Plain,
    ladder: LadderConfig,
    *,
    precision: str = "float32",
    choices: int | None = None,
    length: Callable[[int], int] | None = None,
    flops: Callable[[int], float] | None = None,
) -> Limits:
    """In steps of lag, each by itself.

    Args:
        model: an architecture's configuration, as plain values
        task: a task's
        ladder: whose budget bounds the cost
        precision: ``bf16`` or ``float32``
        choices: of an answer, where only the task's data says it
        length: steps of a sequence, by lag; without it, lag + 1
        flops: of one forward pass over a sequence, by lag; without it, cost is not known
    """
    blocks, width = blocks_of(model), model["hidden_size"]
    front, positions = model["front_end"], model["positions"]
    looks_back = model["readout"]["kind"] == "attention"
    stride, ahead = stride_of(front), convolution_reach(front)

    def through(reach: float | None) -> float | None:
        if looks_back:
            return math.inf
        return None if reach is None else stride * reach + ahead

    window = through(total(window_of(block) for block in blocks))
    numbered = _numbered(positions, stride, ladder, length or (lambda lag: lag + 1))
    return Limits(
        gradient=through(largest(gradient_reach(block, width, positions) for block in blocks)),
        capacity=math.inf if looks_back else _capacity(blocks, width, demand_of(task, choices)),
        precision=through(
            largest(precision_limit(block, width, positions, precision) for block in blocks)
        ),
        window=None if window is None else min(window, numbered),
        cost=cost_limit(ladder, flops),
    )


def blocks_of(model: Plain) -> Sequence[Plain]:
    """The layer at every depth, as `trainables.models.config.ModelConfig.blocks`."""
    hybrid, order = model["hybrid"], []
    for block in range(1, model["depth"] + 1):
        order.append(model["cell"])
        if hybrid["kind"] == "interleaved" and block % hybrid["every"] == 0:
            order.append(hybrid["cell"])
    return order


def largest(found: Iterable[float | None]) -> float | None:
    """Of several reaches; not known if one is not, unless another has no end."""
    known = list(found)
    if math.inf in known:
        return math.inf
    return None if None in known else max(one for one in known if one is not None)


def total(found: Iterable[float | None]) -> float | None:
    """Of several reaches, one behind the other; known as `largest` is."""
    known = list(found)
    if math.inf in known:
        return math.inf
    return None if None in known else sum(one for one in known if one is not None)


def _capacity(blocks: Sequence[Plain], width: int, demand: Demand | None) -> float | None:
    """No end, or no step at all: what is asked for does not grow with the lag."""
    if demand is None:
        return None
    bits = total(bits_held(block, width) for block in blocks)
    items = total(items_held(block, width, demand.choices) for block in blocks)
    if bits is None or items is None:
        return None
    return math.inf if bits >= demand.bits and items >= demand.items else 0.0


def _numbered(
    positions: Plain, stride: int, ladder: LadderConfig, length: Callable[[int], int]
) -> float:
    """The longest lag whose sequence learned positions still number; of the ladder's."""
    if positions["kind"] != "learned":
        return math.inf
    most = positions["max_length"] * stride
    return last_where(lambda lag: length(lag) <= most, ladder.start, ladder.stop)
