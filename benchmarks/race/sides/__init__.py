"""Each side is a program: `python -m benchmarks.race.sides.SIDE SPEC SEED FOLDER`."""
