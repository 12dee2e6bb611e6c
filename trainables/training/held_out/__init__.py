"""What a model shows on held-out sequences."""
