"""How wide and deep a model is, and what stands around and between its blocks."""

from __future__ import annotations

from optuna import Trial


def suggest_hidden_size(trial: Trial) -> None:
    """The width of the stream."""
    trial.suggest_categorical("model/hidden_size", [32, 64, 128])


def suggest_depth(trial: Trial) -> int:
    """How many blocks of the cell."""
    return trial.suggest_int("model/depth", 1, 3)


def suggest_plain_residual(trial: Trial) -> None:
    """A residual path that adds, or none."""
    if trial.suggest_categorical("model/residual/kind", ["none", "add"]) == "add":
        suggest_norm(trial)


def suggest_residual(trial: Trial) -> None:
    """No residual path, or one that adds, gates or scales."""
    kinds = ["none", "add", "gated", "scaled"]
    residual = trial.suggest_categorical("model/residual/kind", kinds)
    if residual != "none":
        suggest_norm(trial)
    if residual == "gated":
        trial.suggest_categorical("model/residual/gate_bias", [-3.0, -1.0])
    if residual == "scaled":
        trial.suggest_categorical("model/residual/initial_scale", [0.0, 0.1])


def suggest_norm(trial: Trial) -> None:
    """The norm ahead of the layer or behind the sum."""
    trial.suggest_categorical("model/residual/norm", ["pre", "post"])


def suggest_hybrid(trial: Trial, depth: int) -> bool:
    """The cell alone, or attention after every one or two of its blocks; whether it attends."""
    attends = trial.suggest_categorical("model/hybrid/kind", ["none", "interleaved"]) != "none"
    if attends:
        trial.suggest_categorical("model/hybrid/cell/kind", ["self_attention", "transformer"])
        trial.suggest_categorical("model/hybrid/cell/num_heads", [1, 4])
        if depth > 1:
            trial.suggest_categorical("model/hybrid/every", [1, 2])
    return attends
