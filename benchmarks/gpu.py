"""What a CUDA device makes of every kind of layer: is it right, how fast, how many, how long.

    python -m benchmarks.gpu [KIND ...]

Needs torch, numpy, jaxtyping and pydantic, nothing else of Longspan's. Exit codes: 0 after
measuring, 1 if an answer is wrong, 3 if one of the packages is missing, 4 where there is no CUDA
device; 3 and 4 say so in one line.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Sequence

NEEDED = ("torch", "numpy", "jaxtyping", "pydantic")
WRONG, MISSING, NO_DEVICE = 1, 3, 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what ``arguments`` ask for; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="all kinds, if none is named")
    parser.add_argument("--steps", type=int, default=1024, help="of a sequence")
    parser.add_argument("--batch", type=int, default=32, help="sequences a training step")
    parser.add_argument("--repetitions", type=int, default=7, help="of what is timed")
    parser.add_argument("--most-trials", type=int, default=8, help="side by side, by doubling")
    parser.add_argument("--longest", type=int, default=2**15, help="steps that are tried")
    asked = parser.parse_args(arguments)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"benchmarks.gpu: {', '.join(missing)}: not installed; pip install {' '.join(NEEDED)}"
        )
        return MISSING
    measured = importlib.import_module("benchmarks.on_a_device")
    if not measured.there_is_one():
        print("benchmarks.gpu: no CUDA device; nothing was measured")
        return NO_DEVICE
    wrong = measured.report(
        asked.kinds, asked.steps, asked.batch, asked.repetitions, asked.most_trials, asked.longest
    )
    if wrong:
        print(f"benchmarks.gpu: {', '.join(wrong)}: the device's answers are not the CPU's")
    return WRONG if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
