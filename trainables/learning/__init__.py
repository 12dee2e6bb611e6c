"""From gradients to weights: optimisers, and how the learning rate goes with time and lag."""
