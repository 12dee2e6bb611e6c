"""``python -m benchmarks.hostile [KIND ...]``: how much of what is hostile is met well."""

from __future__ import annotations

import argparse

from benchmarks.hostile import data, plugins, specs

KINDS = {"data": data.run, "plugins": plugins.run, "specs": specs.run}


def main() -> None:
    """Print a table; exit with 1 if anything was not met well."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    for kind in given.kinds:
        if kind not in KINDS:
            parser.error(f"KIND: {kind!r} is not known; allowed: {', '.join(KINDS)}")
    tried = [line for kind in given.kinds or KINDS for line in KINDS[kind](given.seed)]
    print("| kind | tried | met well |\n| --- | ---: | ---: |")
    for line in tried:
        print(f"| {line.kind} | {line.tried} | {line.met_well} |")
    raise SystemExit(any(line.tried != line.met_well for line in tried))


if __name__ == "__main__":
    main()
