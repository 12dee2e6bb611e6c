"""Which part of the data a row falls to, and drawing from a part."""
