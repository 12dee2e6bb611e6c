"""Training one member on one rung."""
