"""What was read, and what of it looks hardly meant."""
