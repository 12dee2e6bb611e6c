"""A cluster: reached by ssh, what travels there, and what runs on its head."""
