"""What goes with each kind of cell. Which kinds there are, a space says itself."""

from __future__ import annotations

from optuna import Trial

HEADED = (
    "bilinear_rnn",
    "mamba2",
    "mamba3",
    "slstm",
    "mlstm",
    "gated_delta",
    "kda",
    "rwkv7",
    "transformer",
    "self_attention",
    "recurrent_memory",
)
"""Kinds that work in several heads."""


def suggest_inside(trial: Trial, cell: str) -> None:
    """How a cell of this kind starts and how much it holds."""
    if cell in ("rnn", "lstm", "gru", "dilated_lstm"):
        suggest_recurrent_weights(trial)
    if cell in ("lstm", "gru", "min_gru", "min_lstm", "dilated_lstm", "slstm"):
        suggest_forget_bias(trial)
    if cell == "dilated_lstm":
        suggest_levels(trial)
    if cell in ("ind_rnn", "hyena"):
        suggest_longest_lag(trial)
    if cell in ("lru", "s4d", "mamba", "mamba2", "mamba3", "linoss"):
        suggest_state_size(trial)
    if cell == "lem":
        suggest_largest_step(trial)
    if cell == "co_rnn":
        suggest_springs(trial)
    if cell == "orthogonal_rnn":
        suggest_rotation(trial)
    if cell == "linoss":
        suggest_sampling(trial)
    if cell == "lmu":
        suggest_sliding_window(trial)
    if cell == "lru":
        suggest_damping(trial)
    if cell in ("s4d", "mamba", "mamba2", "mamba3", "gated_delta", "kda", "rwkv7"):
        suggest_timescale(trial)
    if cell in HEADED:
        suggest_heads(trial)
    if cell == "recurrent_memory":
        suggest_segments(trial)
    if cell in ("ntm", "dnc", "sam"):
        suggest_memory_size(trial)
        suggest_controller(trial)
    if cell == "sam":
        suggest_slots_a_read(trial)
    if cell == "ntm":
        suggest_write_heads(trial)
    if cell == "dnc":
        suggest_links(trial)


def suggest_recurrent_weights(trial: Trial) -> None:
    """Small uniform first weights, or orthogonal ones, which keep the length of the state."""
    trial.suggest_categorical("model/cell/recurrent_weights", ["uniform", "orthogonal"])


def suggest_forget_bias(trial: Trial) -> None:
    """The gate at the start: one bias for all units, or one that spreads them over all times.

    A bias of 0 forgets half a step, of 5 less than a hundredth.
    """
    kind = trial.suggest_categorical("model/cell/forget_bias/kind", ["constant", "chrono"])
    if kind == "constant":
        trial.suggest_categorical("model/cell/forget_bias/value", [0.0, 1.0, 3.0, 5.0])
    else:
        trial.suggest_categorical("model/cell/forget_bias/longest_lag", [64, 512, 4096])


def suggest_levels(trial: Trial) -> None:
    """How many levels of a hierarchy, and how many times slower each is than the one below."""
    trial.suggest_categorical("model/cell/dilation", [2, 4])
    trial.suggest_categorical("model/cell/levels", [2, 4, 6])


def suggest_longest_lag(trial: Trial) -> None:
    """The lag that a cell is made for: no state more than doubles in it, or filters span it."""
    trial.suggest_categorical("model/cell/longest_lag", [64, 512, 4096])


def suggest_state_size(trial: Trial) -> None:
    """Numbers that a state space carries."""
    trial.suggest_categorical("model/cell/state_size", [16, 64])


def suggest_largest_step(trial: Trial) -> None:
    """The largest share of a state that is written over at a step."""
    trial.suggest_categorical("model/cell/largest_step", [0.01, 0.1, 1.0])


def suggest_springs(trial: Trial) -> None:
    """The time of a step, and how stiff and how damped springs are."""
    trial.suggest_categorical("model/cell/time_step", [0.01, 0.04, 0.1])
    trial.suggest_categorical("model/cell/gamma", [1.0, 3.0, 10.0])
    trial.suggest_categorical("model/cell/epsilon", [0.1, 1.0, 5.0])


def suggest_rotation(trial: Trial) -> None:
    """How an orthogonal matrix is made, and whether it mirrors half the units."""
    trial.suggest_categorical("model/cell/parametrisation", ["exponential", "cayley"])
    trial.suggest_categorical("model/cell/flipped_share", [0.0, 0.5])


def suggest_sampling(trial: Trial) -> None:
    """Oscillators that lose energy, or that keep it."""
    trial.suggest_categorical("model/cell/sampling", ["implicit", "implicit_explicit"])


def suggest_sliding_window(trial: Trial) -> None:
    """The steps that a Legendre memory covers, and by how many polynomials."""
    trial.suggest_categorical("model/cell/theta", [64, 512, 4096])
    trial.suggest_categorical("model/cell/order", [16, 64])


def suggest_damping(trial: Trial) -> None:
    """The slowest oscillators at the start remember 100, 1,000 or 10,000 steps."""
    trial.suggest_categorical("model/cell/r_max", [0.99, 0.999, 0.9999])


def suggest_timescale(trial: Trial) -> None:
    """The slowest units at the start remember 100, 1,000 or 10,000 steps."""
    trial.suggest_categorical("model/cell/dt_min", [0.01, 0.001, 0.0001])


def suggest_heads(trial: Trial) -> None:
    """Heads; each count divides every hidden size offered, into even widths."""
    trial.suggest_categorical("model/cell/num_heads", [1, 2, 4, 8])


def suggest_writes(trial: Trial, cell: str) -> None:
    """Whether a write may turn around what a key recalled, and how many a step takes."""
    trial.suggest_categorical("model/cell/largest_write", [1.0, 2.0])
    if cell == "gated_delta":
        trial.suggest_categorical("model/cell/num_writes", [1, 2, 3])


def suggest_window(trial: Trial) -> None:
    """How many steps back attention sees: all, or a window of them."""
    trial.suggest_categorical("model/cell/window", [None, 64, 512])


def suggest_scores(trial: Trial) -> None:
    """Scores of attention as they are; or bounded, sharpened with length, falling by a gate.

    And whether they may all be refused, and what distance, or a count of steps, adds to them.
    """
    trial.suggest_categorical("model/cell/normed", [False, True])
    trial.suggest_categorical("model/cell/sharpened", [False, True])
    trial.suggest_categorical("model/cell/forget_bias", [None, 1.0, 5.0])
    trial.suggest_categorical("model/cell/sink", [False, True])
    trial.suggest_categorical("model/cell/distance_bias", [None, 128, 4096])
    trial.suggest_categorical("model/cell/contextual_positions", [None, 64])


def suggest_counted_positions(trial: Trial) -> None:
    """How many positions attention has, where gates count them."""
    trial.suggest_categorical("model/cell/contextual_positions", [32, 256])


def suggest_segments(trial: Trial) -> None:
    """Steps of a segment of attention, and tokens of memory from one to the next."""
    trial.suggest_categorical("model/cell/segment", [16, 64, 256])
    trial.suggest_categorical("model/cell/num_tokens", [4, 16])


def suggest_memory_size(trial: Trial) -> None:
    """Slots, numbers in each, and how many are read at a step."""
    trial.suggest_categorical("model/cell/num_slots", [16, 64, 128])
    trial.suggest_categorical("model/cell/slot_width", [8, 16, 32])
    trial.suggest_categorical("model/cell/num_read_heads", [1, 2, 4])


def suggest_controller(trial: Trial) -> None:
    """The net that drives the memory, with or without a state of its own."""
    trial.suggest_categorical("model/cell/controller/kind", ["feed_forward", "rnn", "gru", "lstm"])


def suggest_write_heads(trial: Trial) -> None:
    """How many slots an NTM writes at a step."""
    trial.suggest_categorical("model/cell/num_write_heads", [1, 2])


def suggest_slots_a_read(trial: Trial) -> None:
    """How many slots a head of sparse access reads at a step."""
    trial.suggest_categorical("model/cell/slots_a_read", [4, 8])


def suggest_links(trial: Trial) -> None:
    """Whether a DNC keeps the order of writing, at a cost of slots squared."""
    trial.suggest_categorical("model/cell/links", [True, False])


def suggest_repairs(trial: Trial) -> None:
    """What a DNC lacks: masks of keys, wiping what is let go, sharpened links."""
    trial.suggest_categorical("model/cell/masked", [False, True])
    trial.suggest_categorical("model/cell/erases_freed", [False, True])
    trial.suggest_categorical("model/cell/sharpened", [False, True])
