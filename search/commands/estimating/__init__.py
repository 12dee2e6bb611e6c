"""What a search may cost, before it runs: operations counted, seconds probed."""
