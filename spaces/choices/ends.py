"""What stands before the blocks and after them: front ends, positions, read-outs."""

from __future__ import annotations

from optuna import Trial


def suggest_convolution(trial: Trial) -> None:
    """Each step by itself, or a causal convolution over several."""
    if trial.suggest_categorical("model/front_end/kind", ["none", "conv"]) == "conv":
        suggest_kernel_width(trial)


def suggest_front_end(trial: Trial) -> None:
    """Each step by itself, one convolution, a stack of dilated ones, or fewer steps."""
    kinds = ["none", "conv", "dilated", "strided"]
    front_end = trial.suggest_categorical("model/front_end/kind", kinds)
    if front_end == "conv":
        suggest_kernel_width(trial)
    if front_end == "dilated":
        trial.suggest_categorical("model/front_end/num_layers", [3, 6])
    if front_end == "strided":
        trial.suggest_categorical("model/front_end/stride", [2, 4, 8])


def suggest_kernel_width(trial: Trial) -> None:
    """Steps that the convolution sees."""
    trial.suggest_categorical("model/front_end/kernel_width", [3, 5, 9, 17])


def suggest_early_positions(trial: Trial) -> None:
    """What tells attention which step is which, added to the stream.

    The learned table ends at 8,192 steps.
    """
    trial.suggest_categorical("model/positions/kind", ["none", "sinusoidal", "learned"])


def suggest_positions(trial: Trial) -> None:
    """What tells attention which step is which, added to the stream or acting inside attention.

    The learned table ends at 8,192 steps.
    """
    kinds = ["none", "sinusoidal", "learned", "rope", "alibi", "xpos"]
    trial.suggest_categorical("model/positions/kind", kinds)


def suggest_readout(trial: Trial) -> None:
    """The last step alone, or heads of attention over all of them."""
    if trial.suggest_categorical("model/readout/kind", ["last", "attention"]) == "attention":
        trial.suggest_categorical("model/readout/score", ["dot", "additive"])
        trial.suggest_categorical("model/readout/num_heads", [1, 4])
