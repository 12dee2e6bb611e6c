"""A table of real trials, and searches played against it."""
