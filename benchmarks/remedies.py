"""What each remedy against forgetting promises, and whether it shows: one against the other.

Every experiment climbs one task's ladder with two architectures that differ in the remedy alone,
three members each, every member by itself. A member's reach is the longest lag that it solved with
no shorter one failed. One core; the experiments take minutes to a quarter of an hour each.

    python -m benchmarks.remedies [EXPERIMENT ...]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainables.config import TrialConfig
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.report import Report
from trainables.tasks import TASKS
from trainables.training.held_out.curve import extrapolated_lag
from trainables.trial import TrialSpec, run_trial

DIGITS = Path(__file__).parents[1] / "examples" / "data" / "digits.parquet"
SCRATCH = {"kind": "scratch"}
INCREMENTAL = {"kind": "incremental"}
CHRONO = {"kind": "chrono", "longest_lag": 1024}
PLAIN = {"kind": "constant", "value": 1.0}


@dataclass(frozen=True)
class Experiment:
    """One remedy against its absence.

    Attributes:
        promise: what the literature says of it
        sides: configurations by what is said of them; they differ in the remedy alone
    """

    promise: str
    task: Mapping[str, Any]
    ladder: Mapping[str, Any]
    sides: Mapping[str, Mapping[str, Any]]


def lstm(regime: Mapping[str, Any], rate: float = 3e-3, **model: Any) -> dict[str, Any]:
    """An LSTM of width 64 with something changed."""
    return {
        "model": {"cell": {"kind": "lstm", "forget_bias": PLAIN}, "hidden_size": 64, **model},
        "training": {"regime": regime, "learning_rate": rate},
    }


def transformer(positions: str) -> dict[str, Any]:
    """Two blocks of width 32, two heads."""
    cell = {"kind": "transformer", "num_heads": 2}
    model = {"cell": cell, "hidden_size": 32, "depth": 2, "positions": {"kind": positions}}
    return {"model": model, "training": {"regime": INCREMENTAL, "learning_rate": 1e-3}}


def alone(rate: float = 2e-3, regime: Mapping[str, Any] = SCRATCH, **cell: Any) -> dict[str, Any]:
    """One layer of width 64 with its defaults but for what is given."""
    return {
        "model": {"cell": cell, "hidden_size": 64},
        "training": {"regime": regime, "learning_rate": rate},
    }


EXPERIMENTS: dict[str, Experiment] = {
    "chrono": Experiment(
        "an LSTM whose gates start spread over all times learns longer lags from scratch",
        task={"kind": "recall"},
        ladder={"start": 16, "stop": 1024, "sequences": 16_000},
        sides={
            "forget bias 1": lstm(SCRATCH),
            "chrono": lstm(SCRATCH, cell={"kind": "lstm", "forget_bias": CHRONO}),
        },
    ),
    "increments": Experiment(
        "weights carried up the ladder learn lags that fresh weights do not",
        task={"kind": "recall"},
        ladder={"start": 16, "stop": 2048, "sequences": 16_000},
        sides={"scratch": lstm(SCRATCH), "incremental": lstm(INCREMENTAL)},
    ),
    "positions": Experiment(
        "attention that knows distances finds the symbol from farther than one that does not",
        task={"kind": "recall"},
        ladder={"start": 8, "stop": 512, "sequences": 16_000},
        sides={"none": transformer("none"), "rope": transformer("rope")},
    ),
    "order": Experiment(
        "the same where the symbol is known by its place alone: its distractors look like it",
        task={"kind": "recall", "distractors": "same"},
        ladder={"start": 8, "stop": 512, "sequences": 16_000},
        sides={"none": transformer("none"), "rope": transformer("rope")},
    ),
    "digits": Experiment(
        "a convolution in front tells strokes, where single pixels tell an LSTM little",
        task={
            "kind": "parquet",
            "path": str(DIGITS),
            "sequence": "pixels",
            "target": "label",
        },
        ladder={"start": 8, "stop": 512, "ratio": 4, "sequences": 60_000, "success": 0.85},
        sides={
            "no front end": lstm(INCREMENTAL),
            "conv 17": lstm(INCREMENTAL, front_end={"kind": "conv", "kernel_width": 17}),
        },
    ),
    "eigenvalues": Experiment(
        "a write that turns around what a key recalled tells odd from even (Grazzi et al. 2024)",
        task={"kind": "parity"},
        ladder={"start": 4, "stop": 128, "sequences": 16_000},
        sides={
            "largest write 1": alone(regime=INCREMENTAL, kind="gated_delta"),
            "largest write 2": alone(regime=INCREMENTAL, kind="gated_delta", largest_write=2.0),
        },
    ),
    "rotations": Experiment(
        "two such writes a step are a rotation, which tracks what does not commute (Siems et al.)",
        task={"kind": "permutation_tracking", "items": 3},
        ladder={"start": 2, "stop": 128, "sequences": 32_000},
        sides={
            f"{n} a step": alone(
                regime=INCREMENTAL, kind="gated_delta", largest_write=2.0, num_writes=n
            )
            for n in (1, 2)
        },
    ),
    "products": Experiment(
        "inputs that are matrices track any group, which sums and gates learn late (Giles et al.)",
        task={"kind": "permutation_tracking", "protocol": "paper"},
        ladder={"start": 2, "stop": 256, "sequences": 100_000, "train_to": 16, "train_out": True},
        sides={
            "lstm": alone(5e-3, INCREMENTAL, kind="lstm"),
            "gated_delta": alone(
                5e-3, INCREMENTAL, kind="gated_delta", largest_write=2.0, num_writes=4
            ),
            "bilinear_rnn": alone(5e-3, INCREMENTAL, kind="bilinear_rnn"),
        },
    ),
    "turns": Experiment(
        "a state that turns tells odd from even, where one that only decays does not (Mamba-3)",
        task={"kind": "parity"},
        ladder={"start": 4, "stop": 128, "sequences": 16_000},
        sides={
            kind: alone(5e-3, INCREMENTAL, kind=kind, dt_min=0.5, dt_max=1.0, state_size=16)
            for kind in ("mamba2", "mamba3")
        },
    ),
    "memories": Experiment(
        "states that neither fade nor blur learn long lags from scratch, where an LSTM does not",
        task={"kind": "recall"},
        ladder={"start": 16, "stop": 512, "sequences": 8000},
        sides={
            "lstm": alone(kind="lstm", forget_bias=PLAIN),
            "refined_lstm": alone(kind="refined_lstm"),
            "orthogonal_rnn": alone(kind="orthogonal_rnn"),
            "lmu": alone(kind="lmu"),
            "linoss": alone(kind="linoss", sampling="implicit_explicit"),
            "lem": alone(kind="lem"),
            "hyena": alone(kind="hyena"),
        },
    ),
    "fading": Experiment(
        "positions that fade with distance do not lose near steps among far ones (Sun et al. 2022)",
        task={"kind": "recall", "distractors": "same"},
        ladder={"start": 8, "stop": 64, "sequences": 4000},
        sides={"rope": transformer("rope"), "xpos": transformer("xpos")},
    ),
    "anchors": Experiment(
        "a state that has to say what was read learns to hold what no answer asked for yet",
        task={"kind": "recall"},
        ladder={"start": 16, "stop": 256, "sequences": 12_000},
        sides={
            "incremental": lstm(INCREMENTAL),
            "auxiliary": lstm({"kind": "auxiliary", "steps": 16}),
            "what follows": lstm({"kind": "auxiliary", "steps": 16, "said": "what_follows"}),
        },
    ),
    "segments": Experiment(
        "memory tokens carry over segments what a window of attention loses (Bulatov et al. 2022)",
        task={"kind": "recall"},
        ladder={"start": 8, "stop": 128, "sequences": 4000},
        sides={
            "window 16": alone(regime=INCREMENTAL, kind="transformer", window=16),
            "segments of 16": alone(regime=INCREMENTAL, kind="recurrent_memory", segment=16),
        },
    ),
    **{
        f"{name}_copying": Experiment(
            f"as {name}, on four symbols of four to be copied",
            task={"kind": "copying", "symbols": 4, "alphabet": 4},
            ladder={"start": 8, "stop": 64, "sequences": 12_000},
            sides=sides,
        )
        for name, sides in {
            "segments": {
                "window 16": alone(regime=INCREMENTAL, kind="transformer", window=16),
                "segments of 16": alone(regime=INCREMENTAL, kind="recurrent_memory", segment=16),
            },
            "fading": {"rope": transformer("rope"), "xpos": transformer("xpos")},
            "anchors": {
                "incremental": lstm(INCREMENTAL),
                "auxiliary": lstm({"kind": "auxiliary", "steps": 16}),
            },
        }.items()
    },
    "convolution": Experiment(
        "a convolution in front sees a cue of several noisy steps as one",
        task={"kind": "delayed_pattern"},
        ladder={"start": 8, "stop": 512, "sequences": 24_000},
        sides={
            "no front end": lstm(INCREMENTAL),
            "conv 9": lstm(INCREMENTAL, front_end={"kind": "conv", "kernel_width": 9}),
        },
    ),
}


def climb(experiment: Experiment, side: Mapping[str, Any], seed: int) -> Report:
    """One member's climb: the last report of a trial of its own."""
    task = TASKS[experiment.task["kind"]].Config.model_validate(experiment.task)
    rule = {"members": 1, "quorum": 1}
    spec = TrialSpec(
        TrialConfig.model_validate(side),
        {task.kind: task},
        LadderConfig.model_validate({**experiment.ladder, **rule}),
        seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        return run_trial(spec, Path(folder), lambda *_: None, torch.device("cpu"))


def report(name: str, members: int) -> None:
    """Run one experiment and print its rows."""
    experiment = EXPERIMENTS[name]
    top = LadderConfig.model_validate(experiment.ladder).rungs[-1]
    print(f"\n{name}: {experiment.promise}")
    print(f"task {dict(experiment.task)}, ladder {dict(experiment.ladder)}", flush=True)
    print(
        f"{'':<16}{'reach of each member':<24}{'succeeds untrained at':<24}"
        f"{'training sequences':>20}{'cpu s':>8}"
    )
    for label, side in experiment.sides.items():
        started = time.process_time()
        ends = [climb(experiment, side, seed) for seed in range(members)]
        reaches = [f">={e.reach}" if e.reach == top else str(e.reach) for e in ends]
        untrained = [extrapolated_lag(end.curve, 0.9) for end in ends]
        beyond = ["-" if lag is None else str(lag) for lag in untrained]
        sequences = sum(end.sequences for end in ends)
        seconds = time.process_time() - started
        print(
            f"{label:<16}{', '.join(reaches):<24}{', '.join(beyond):<24}"
            f"{sequences:>20,}{seconds:>8.0f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiments", nargs="*", help=", ".join(EXPERIMENTS))
    parser.add_argument("--members", type=int, default=3)
    arguments = parser.parse_args()
    unknown = set(arguments.experiments) - set(EXPERIMENTS)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: allowed are {', '.join(EXPERIMENTS)}")
    torch.set_num_threads(1)
    for name in arguments.experiments or EXPERIMENTS:
        report(name, arguments.members)


if __name__ == "__main__":
    main()
