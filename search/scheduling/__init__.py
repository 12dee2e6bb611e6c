"""Ray: where and for how long a trial runs."""
