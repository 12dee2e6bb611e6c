"""Recurrences whose steps within a chunk are products of matrices; states join the chunks."""
