"""What the tests would not notice: every function of a module is changed in small ways, one by one.

    pip install mutmut==3.8.1
    python -m benchmarks.mutants ladder reliability --to mutants/

Without names, every module of `MODULES`. Run by hand, not by the gate: a module takes minutes. The
work is mutmut's, on a copy of the project; its tests run in a fork of one process that has imported
everything. It changes neither decorated functions (properties) nor what is outside functions. The
survivors, of which CONTRIBUTING says why, are printed as differences.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent

TRAINABLES, SEARCH = "tests/trainables", "tests/search"
ENDS = f"{TRAINABLES}/test_trial_ends.py::test_"
CONSTRAINTS = f"{SEARCH}/test_constraints.py::test_"
MODULES: dict[str, tuple[str, list[str]]] = {
    "ladder": (
        "trainables/measure/ladder.py",
        [f"{TRAINABLES}/test_ladder.py", f"{TRAINABLES}/test_progress.py"],
    ),
    "reliability": ("trainables/measure/reliability.py", [f"{TRAINABLES}/test_reliability.py"]),
    "certificate": ("trainables/measure/certificate.py", [f"{TRAINABLES}/test_certificate.py"]),
    "records": (
        "trainables/measure/records.py",
        [
            f"{TRAINABLES}/test_report.py",
            f"{TRAINABLES}/test_trial.py::test_the_best_member_solved_the_rung_with_the_highest_rate",
            f"{SEARCH}/test_scheduler.py",
        ],
    ),
    "report": (
        "trainables/measure/report.py",
        [
            f"{TRAINABLES}/test_report.py",
            f"{SEARCH}/test_scheduler.py::test_the_history_of_a_trial_is_what_it_reported",
        ],
    ),
    "rung": (
        "trainables/training/rung.py",
        [f"{TRAINABLES}/training/test_rung.py", f"{TRAINABLES}/training/test_rung_ends.py"],
    ),
    "looks": (
        "trainables/training/held_out/looks.py",
        [f"{TRAINABLES}/training/test_rung.py", f"{TRAINABLES}/training/test_looks_by_stages.py"],
    ),
    "climber": (
        "trainables/training/climber.py",
        [
            f"{TRAINABLES}/training/test_climber.py",
            f"{ENDS}a_model_that_memory_cannot_hold_is_an_outcome",
            f"{ENDS}another_error_while_building_is_no_outcome",
            f"{ENDS}learned_positions_end_a_climb_where_their_table_ends",
            f"{ENDS}memory_that_is_gone_after_a_crash_is_an_outcome",
            f"{TRAINABLES}/test_trial_cut_off.py::test_a_resumed_trial_does_not_repeat_its_work",
        ],
    ),
    "checkpoint": (
        "trainables/files/checkpoint.py",
        [f"{TRAINABLES}/training/test_checkpoint.py", f"{TRAINABLES}/files"],
    ),
    "weights": (
        "trainables/files/weights.py",
        [f"{TRAINABLES}/training/test_weights.py", f"{TRAINABLES}/files"],
    ),
    "whole_files": (
        "trainables/files/whole_files.py",
        [f"{TRAINABLES}/test_whole_files.py", f"{TRAINABLES}/files", f"{SEARCH}/test_damage.py"],
    ),
    "ledger": (
        "search/disk/ledger.py",
        [
            f"{SEARCH}/test_ledger.py",
            f"{SEARCH}/test_damage.py",
            f"{CONSTRAINTS}a_driver_that_dies_while_it_refuses",
        ],
    ),
    "searcher": (
        "search/proposing/searcher.py",
        [
            f"{SEARCH}/test_searcher.py",
            f"{SEARCH}/test_damage.py",
            f"{SEARCH}/test_budget.py::test_what_is_under_way_when_the_gflop_are_used_up_goes_on_later",
            f"{CONSTRAINTS}what_breaks_a_constraint_is_no_trial",
            f"{CONSTRAINTS}a_resumed_search_proposes_and_refuses_the_same",
            f"{CONSTRAINTS}a_search_that_finds_nothing_small_enough_says_so",
        ],
    ),
    "asha": ("search/scheduling/asha.py", [f"{SEARCH}/test_scheduler.py"]),
    "scheduler": ("search/scheduling/scheduler.py", [f"{SEARCH}/test_scheduler.py"]),
}
"""By name, the module and the tests that are to notice its changes: fast ones, without Ray."""

# What is left out are simulations, too slow to be run for every mutant.
SETTINGS = """\
[mutmut]
source_paths =
    longspan
    search
    spaces
    trainables
only_mutate =
    {module}
also_copy =
    benchmarks
    examples
    docs
pytest_add_cli_args_test_selection =
    {tests}
pytest_add_cli_args =
    -pno:cacheprovider
    -pno:xdist
    -knot keeps_the_error_of_one
process_isolation = forkserver
use_git_change_detection = false
"""

MUTMUT = "import mutmut.__main__ as mutmut; mutmut.cli()"


def mutmut(folder: Path, *command: str) -> str:
    """What a command of mutmut's prints."""
    call = [sys.executable, "-c", MUTMUT, *command]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout[-4000:] + done.stderr[-4000:])
    return done.stdout


def copied(to: Path, module: str, tests: list[str]) -> None:
    """A copy of the project that is mutmut's to change."""
    shutil.rmtree(to, ignore_errors=True)
    left = shutil.ignore_patterns("__pycache__", "runs")
    for name in (
        "longspan",
        "search",
        "spaces",
        "trainables",
        "tests",
        "benchmarks",
        "examples",
        "docs",
    ):
        shutil.copytree(ROOT / name, to / name, ignore=left)
    shutil.copy(ROOT / "pyproject.toml", to)
    settings = SETTINGS.format(module=module, tests="\n    ".join(tests))
    (to / "setup.cfg").write_text(settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MODULES))
    parser.add_argument("--to", type=Path, default=Path("mutants"), help="a folder for the copies")
    parser.add_argument("--at-once", type=int, default=1, help="mutants tried side by side")
    asked = parser.parse_args()
    for name in asked.names or MODULES:
        module, tests = MODULES[name]
        folder = asked.to.absolute() / name
        copied(folder, module, tests)
        mutmut(folder, "run", "--max-children", str(asked.at_once))
        lines = mutmut(folder, "results", "--all", "true").split("\n")
        states = dict(line.strip().split(": ") for line in lines if ": " in line)
        counts = Counter(states.values())
        noticed = counts["killed"] + counts["timeout"]
        print(f"{name}: {noticed} of {len(states)} noticed; {dict(counts)}", flush=True)
        for mutant, state in states.items():
            if state not in ("killed", "timeout"):
                print(f"\n{state}:\n{mutmut(folder, 'show', mutant)}", flush=True)


if __name__ == "__main__":
    main()
