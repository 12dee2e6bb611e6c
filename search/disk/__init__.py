"""What lies under the runs folder."""
