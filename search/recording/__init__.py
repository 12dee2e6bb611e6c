"""MLflow: what it is told of a search."""
