"""Judging one layer, of whoever wrote it, in a process of its own that has limits."""
