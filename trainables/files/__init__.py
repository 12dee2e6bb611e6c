"""Files that are whole or found out: JSON, checkpoints, weights."""
