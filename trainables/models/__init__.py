"""Sequence models, built from parts: front end, positions, blocks with residual paths, read-out."""
