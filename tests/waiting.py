"""How long a test waits for what it has started."""

HANGS = 1200.0
"""Seconds after which something hangs. A test waits for what happens, never for a time: it passes
however busy the machine is, and this only ends it where nothing happens at all."""
