"""Certifying: a claim about an architecture, made on members that the search never used."""
