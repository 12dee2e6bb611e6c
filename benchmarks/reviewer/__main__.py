"""The tables.

python -m benchmarks.reviewer
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.reviewer import measures
from benchmarks.reviewer.cheats import CHEATS, EVADING, refusal, refusal_when_solved
from benchmarks.reviewer.rows import by_heart

DATA_SETS, SUCCESS = 20, 0.85


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print one in Markdown."""
    print("| " + " | ".join(heads) + " |\n| --- |" + " ---: |" * (len(heads) - 1))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    print(flush=True)


def main() -> None:
    """Print them, the quickest first."""
    heads = "guesser, 91.5 % of one class", "passes by its rate", "task refused", "passes now"
    searches = range(measures.SEARCHES)
    table(
        heads,
        (
            (f"{name}, {len(searches)} searches",
             *np.array([measures.guesser(shares, seed) for seed in searches]).sum(0))
            for name, shares in measures.SHARES.items()
        ),
    )  # fmt: skip
    table(
        ("certificates tried", "the best claims, before", "what stands claims"),
        ((seeds, *_shares(seeds)) for seeds in (1, 5, measures.SEEDS)),
    )
    generator = np.random.default_rng(0)
    together = (
        (1, False, "one"),
        (3, False, "three, each by itself"),
        (3, True, "three, erring on the same rows"),
    )

    def passing(members: int, shared: bool) -> np.floating:
        draws = range(measures.SPLITS)
        return np.mean([measures.passing_together(members, shared, generator) for _ in draws])

    table(
        ("members just below the rate, on 400 finite rows", "all pass"),
        ((words, f"{passing(members, shared):.3%}") for members, shared, words in together),
    )
    table(
        ("what members show of a rung", "progress before", "now"),
        (
            (f"{words}, {rate:.0%} of answers right",
             *(f"{progress:.3f}" for progress in measures.flat(answers, chance, rate)))
            for words, answers, chance, rate in measures.FLAT
        ),
    )  # fmt: skip
    cheats = [*CHEATS, *EVADING]
    said = [refusal(cheat) or refusal_when_solved(cheat) for cheat in cheats]
    table(
        ("layer that cheats", "what is said now; before, all were let through"),
        ((f"`{cheat.__name__}`", words) for cheat, words in zip(cheats, said, strict=True)),
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.parquet"
        found = {
            words: np.array([by_heart(file, seed, SUCCESS, **group) for seed in range(DATA_SETS)])
            for words, group in (("split by row", {}), ("`group: thing`", {"group": "thing"}))
        }
    table(
        (f"random labels, ten near copies each, {DATA_SETS} data sets", "known by heart: solved",
         "near copies warned of"),
        ((words, *counts.sum(0)) for words, counts in found.items()),
    )  # fmt: skip


def _shares(seeds: int) -> list[str]:
    generator = np.random.default_rng(seeds)
    found = [measures.fishing(measures.Q, seeds, generator) for _ in range(measures.FISHERS)]
    return [f"{share:.1%}" for share in np.array(found).mean(0)]


if __name__ == "__main__":
    main()
