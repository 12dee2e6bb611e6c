"""How recurrences are computed: scans and chunked forms."""
