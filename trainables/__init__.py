"""Tasks, models, training and the ladder: everything of a trial that needs no cluster."""
