"""The run of a search itself: what it was asked, how far it is, and what has come of it."""
