"""The user's own rows: read, checked, split, and turned into inputs and answers."""
