"""What MLflow shows as the description of a run, in Markdown."""
