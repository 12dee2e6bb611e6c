"""Exported folders: read, loaded, verified, served."""
