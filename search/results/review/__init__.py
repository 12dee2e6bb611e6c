"""What people review after a search: its trials as tables, what mattered, pictures, one page."""
