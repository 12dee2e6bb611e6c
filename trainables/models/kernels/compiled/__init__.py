"""Recurrences in C, forward and backward, built on the machine that runs them."""
