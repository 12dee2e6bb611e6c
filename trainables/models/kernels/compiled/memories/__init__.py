"""Nets with an external memory, compiled."""
