"""What succeeds on a task without the memory that it is meant to need."""
