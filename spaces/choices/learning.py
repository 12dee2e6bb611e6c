"""How a model is trained."""

from __future__ import annotations

from optuna import Trial

STATE_SPACES = (
    "lru",
    "s4d",
    "mamba",
    "mamba2",
    "mamba3",
    "mlstm",
    "gated_delta",
    "kda",
    "rwkv7",
    "linoss",
    "hyena",
    "orthogonal_rnn",
)
"""Kinds that learn to recall in a narrow window of learning rates only (arXiv 2508.19029)."""


def suggest_regime(trial: Trial) -> None:
    """Whether weights are carried up the ladder, and which lags a batch is drawn at."""
    kinds = ["incremental", "scratch", "mixed"]
    if trial.suggest_categorical("training/regime/kind", kinds) == "incremental":
        trial.suggest_categorical("training/regime/rehearsal_fraction", [0.0, 0.1, 0.25])


def suggest_any_regime(trial: Trial) -> None:
    """The same, or gradients that end after a window, first states of others, inputs said again."""
    kinds = ["incremental", "scratch", "mixed", "truncated", "state_passing", "auxiliary"]
    kind = trial.suggest_categorical("training/regime/kind", kinds)
    if kind in ("incremental", "truncated", "state_passing", "auxiliary"):
        trial.suggest_categorical("training/regime/rehearsal_fraction", [0.0, 0.1, 0.25])
    if kind == "truncated":
        trial.suggest_categorical("training/regime/window", [32, 128, 512])
    if kind == "state_passing":
        trial.suggest_categorical("training/regime/passed_fraction", [0.25, 0.5])
    if kind == "auxiliary":
        trial.suggest_categorical("training/regime/said", ["what_was_read", "what_follows"])
        trial.suggest_categorical("training/regime/steps", [8, 32, 128])
        trial.suggest_categorical("training/regime/weight", [0.1, 1.0])


def suggest_learning(trial: Trial) -> str:
    """An optimiser, how its rate goes with time and lag, noise, smoothed labels, an average."""
    optimisers = ["adam", "adamw", "rmsprop", "lion", "muon"]
    optimiser: str = trial.suggest_categorical("training/optimiser/kind", optimisers)
    schedules = ["constant", "inverse_root", "cosine"]
    trial.suggest_categorical("training/schedule/kind", schedules)
    trial.suggest_categorical("training/schedule/warm_up_steps", [0, 30, 300])
    trial.suggest_categorical("training/lag_scaling", [0.0, 0.25, 0.5])
    trial.suggest_categorical("training/gradient_noise", [0.0, 0.01])
    trial.suggest_categorical("training/label_smoothing", [0.0, 0.1])
    trial.suggest_categorical("training/average_decay", [0.0, 0.99])
    return optimiser


def suggest_optimisation(
    trial: Trial, cell: str, optimiser: str = "adam", *, counts: bool = False
) -> None:
    """Clipping, and a learning rate from the range of the cell's family.

    Lion's steps are of one length, and want a tenth of the others' rate. Attention that ``counts``
    its positions by gates learns at the rates of gated cells.
    """
    trial.suggest_categorical("training/clip_norm", [0.1, 1.0, 10.0])
    low, high = 1e-3, 1e-2
    if cell in STATE_SPACES:
        low, high = 5e-4, 4e-3
    if cell in ("transformer", "self_attention", "recurrent_memory") and not counts:
        low, high = 2e-4, 3e-3
    if cell in ("ntm", "dnc", "sam"):
        low, high = 3e-4, 5e-3
    share = 0.1 if optimiser == "lion" else 1.0
    trial.suggest_float("training/learning_rate", share * low, share * high, log=True)
