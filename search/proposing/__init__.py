"""Optuna: which configuration is tried next."""
