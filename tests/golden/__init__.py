"""A few searches of fixed seeds, whose outcomes must not change."""
