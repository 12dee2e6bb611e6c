"""External memory: a controller that reads and writes slots."""
