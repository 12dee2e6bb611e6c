"""The search: Ray Tune schedules, Optuna proposes, MLflow records; and the command line."""
