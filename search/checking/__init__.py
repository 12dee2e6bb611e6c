"""What is refused before a search starts."""
