"""Going on with a search that had ended: more trials, a longer ladder, another budget."""

from __future__ import annotations

from search.errors import UserError
from search.spec import Spec
from trainables.measure.ladder import rungs


def extended(
    spec: Spec,
    trials: int | None = None,
    stop: int | None = None,
    hours: float | None = None,
    gflop: float | None = None,
) -> Spec:
    """The spec with more trials in all, a ladder whose last lag is ``stop``, or other budgets.

    Raises:
        UserError: if it would shrink, or a rung that was climbed would not be one any more.
    """
    if trials is not None:
        if trials < spec.search.trials:
            raise UserError(
                f"--trials: {trials} is not allowed; {spec.name} has {spec.search.trials} in all, "
                "and can only grow"
            )
        changed = spec.search.model_copy(update={"trials": trials})
        spec = spec.model_copy(update={"search": changed})
    budgets = {key: n for key, n in {"hours": hours, "gflop": gflop}.items() if n is not None}
    if budgets:
        spec = spec.model_copy(update={"search": spec.search.model_copy(update=budgets)})
    if stop is not None:
        ladder = spec.ladder
        if stop < ladder.stop:
            raise UserError(f"--stop: {stop} is not allowed; the ladder ends at {ladder.stop}")
        if rungs(ladder.start, stop, ladder.ratio)[: len(ladder.rungs)] != ladder.rungs:
            raise UserError(
                f"--stop: {stop} is not allowed; the last rung, {ladder.stop}, would not be one of "
                f"a longer ladder from {ladder.start} by {ladder.ratio:g}"
            )
        spec = spec.model_copy(update={"ladder": ladder.model_copy(update={"stop": stop})})
    return spec
